//! What can fail: one table, the only source of status, retry class, log word and metric.
//!
//! A fault names the side, the stage and the kind. Nobody sets a retry class or a status by
//! hand; they follow from the code.

use croupier_telemetry::Level;

/// May a failed attempt be made again?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    Never,
    /// Nothing was sent: another server may try.
    Elsewhere,
    /// A reused connection died before one byte came back: again, on a fresh connection.
    Afresh,
    /// The request may have reached the server: only when repeating it is safe.
    IfRepeatable,
}

macro_rules! faults {
    ($($id:ident $code:literal $status:literal $retry:ident $level:ident $sentence:literal;)+) => {
        /// The code of a fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $(#[doc = $sentence] $id),+ }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$id),+];

            /// The words of all codes, in the order of the table.
            pub const WORDS: &'static [&'static str] = &[$($code),+];

            /// The word in logs, metrics, headers and pages.
            #[must_use]
            pub fn as_str(self) -> &'static str { Self::WORDS[self as usize] }

            /// The status a client gets; 0 when it gets none.
            #[must_use]
            pub fn status(self) -> u16 { match self { $(Self::$id => $status),+ } }

            /// May the attempt be made again?
            #[must_use]
            pub fn retry(self) -> Retry { match self { $(Self::$id => Retry::$retry),+ } }

            /// How loud it is in the process log.
            #[must_use]
            pub fn level(self) -> Level { match self { $(Self::$id => Level::$level),+ } }

            /// What happened, in one sentence that tells an outsider nothing of the inside.
            #[must_use]
            pub fn sentence(self) -> &'static str { match self { $(Self::$id => $sentence),+ } }
        }
    };
}

faults! {
    // id                  code                      status retry  level  sentence
    ClientHeadMalformed    "client.head.malformed"      400 Never  Debug  "the request could not be parsed";
    ClientHeadVersion      "client.head.version"        505 Never  Debug  "the request speaks an HTTP version other than 1.0 and 1.1";
    ClientHeadTooLarge     "client.head.too_large"      431 Never  Info   "the request head exceeds a limit";
    ClientTargetTooLong    "client.target.too_long"     414 Never  Info   "the request target exceeds `limits.target_bytes`";
    ClientTargetMalformed  "client.target.malformed"    400 Never  Debug  "the request target is malformed";
    ClientTargetAmbiguous  "client.target.ambiguous"    400 Never  Info   "servers could read the path in two ways that lead to different routes";
    ClientFraming          "client.framing"             400 Never  Info   "the request's framing could be read in two ways";
    ClientLengthMissing    "client.length.missing"      411 Never  Info   "the request has content but no length";
    ClientMethodRefused    "client.method.refused"      405 Never  Debug  "the method is not served by this proxy";
    ClientExpect           "client.expect"              417 Never  Debug  "the expectation is not known";
    ClientBodyMalformed    "client.body.malformed"      400 Never  Info   "the request body is not in lawful chunks";
    ClientBodyTooLarge     "client.body.too_large"      413 Never  Info   "the request body exceeds `limits.body_bytes`";
    ClientHeadTimeout      "client.head.timeout"        408 Never  Info   "the request head did not arrive in time";
    ClientBodyTimeout      "client.body.timeout"        408 Never  Info   "the request body stopped arriving";
    ClientSendTimeout      "client.send.timeout"          0 Never  Info   "the client stopped taking the answer";
    ClientGone             "client.gone"                  0 Never  Info   "the client left before the answer was complete";
    ProxyMisdirected       "proxy.misdirected"          421 Never  Info   "the connection was made for another host";
    ProxySiteNone          "proxy.site.none"            404 Never  Debug  "no site answers for this host";
    ProxyRouteNone         "proxy.route.none"           404 Never  Debug  "no route of the site matches";
    ProxyDenied            "proxy.denied"               403 Never  Debug  "a rule of the site denies this request";
    ProxyRewrite           "proxy.rewrite"              400 Never  Info   "the rewritten path is not lawful";
    ProxyLoop              "proxy.loop"                 508 Never  Warn   "the request has passed too many proxies";
    ProxyCacheAbsent       "proxy.cache.absent"         504 Never  Debug  "the request takes only what is kept (`only-if-cached`), and nothing that is kept will do";
    ProxyPoolEmpty         "proxy.pool.empty"           503 Never  Warn   "no server of the pool has a known address";
    ProxyPoolBusy          "proxy.pool.busy"            503 Never  Warn   "no server of the pool could take the request";
    ProxyQueueFull         "proxy.queue.full"           503 Never  Warn   "too many requests wait for a server of the pool already";
    ProxyQueueTimeout      "proxy.queue.timeout"        503 Never  Warn   "no server of the pool could take the request in time";
    ProxyExhausted         "proxy.exhausted"            503 Never  Error  "the proxy has no descriptors, ports or memory left for a connection; raise `LimitNOFILE` or lower `limits.connections`";
    ProxyTimeout           "proxy.exchange.timeout"     504 Never  Info   "the exchange took longer than `timeouts.exchange`";
    ProxyInternal          "proxy.internal"             500 Never  Error  "a bug in the proxy; please report it with the request id";
    OriginConnectRefused   "origin.connect.refused"     502 Elsewhere    Warn  "the server refused the connection";
    OriginConnectTimeout   "origin.connect.timeout"     504 Elsewhere    Warn  "the server did not accept in time";
    OriginConnectFailed    "origin.connect.failed"      502 Elsewhere    Warn  "the server could not be reached";
    OriginReusedClosed     "origin.reused.closed"       502 Afresh       Debug "an idle connection was closed as it was used";
    OriginTls              "origin.tls"                 502 Elsewhere    Warn  "the server and the proxy could not agree on TLS";
    OriginUnprocessed      "origin.unprocessed"         502 Elsewhere    Debug "the server said that it did not look at the request";
    OriginWebsocket        "origin.websocket"           502 Never        Warn  "the server speaks HTTP/2 without WebSockets (RFC 8441)";
    OriginClosed           "origin.closed"              502 IfRepeatable Warn  "the server closed without an answer";
    OriginReset            "origin.reset"               502 IfRepeatable Warn  "the server reset the connection before its answer";
    OriginHeadTimeout      "origin.head.timeout"        504 IfRepeatable Warn  "the server sent no answer in time";
    OriginGone             "origin.gone"                502 IfRepeatable Warn  "the server was found to be down before it answered";
    OriginSendTimeout      "origin.send.timeout"        504 IfRepeatable Warn   "the server stopped taking the request";
    OriginHeadMalformed    "origin.head.malformed"      502 IfRepeatable Warn   "the server's answer could not be parsed";
    OriginHeadTooLarge     "origin.head.too_large"      502 IfRepeatable Warn   "the head of the server's answer exceeds a limit";
    OriginFraming          "origin.framing"             502 IfRepeatable Warn   "the framing of the server's answer could be read in two ways";
    OriginInterim          "origin.interim"             502 IfRepeatable Warn   "the server sent too many interim answers";
    OriginSwitch           "origin.switch"              502 Never  Warn   "the server switched protocols without being asked";
    OriginBodyTruncated    "origin.body.truncated"        0 Never  Warn   "the server closed before the end of its answer";
    OriginBodyMalformed    "origin.body.malformed"        0 Never  Warn   "the server's answer is not in lawful chunks";
    OriginBodyTimeout      "origin.body.timeout"          0 Never  Warn   "the server stopped sending its answer";
}

/// Something that failed: its code, and more words when the code alone does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line of the table.
    pub code: Code,
    /// A sentence that is more precise than the table's, still fit for outsiders.
    pub detail: Option<&'static str>,
}

impl Fault {
    /// What happened, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        self.detail.unwrap_or_else(|| self.code.sentence())
    }

    /// Was it the origin's side that failed?
    #[must_use]
    pub fn is_of_origin(&self) -> bool {
        self.code.as_str().starts_with("origin.")
    }

    /// With a more precise sentence.
    #[must_use]
    pub fn because(code: Code, detail: &'static str) -> Self {
        Self {
            code,
            detail: Some(detail),
        }
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Self {
        Self { code, detail: None }
    }
}

/// Whether and where a failed attempt is made again, in words.
#[must_use]
pub fn retried(code: Code) -> &'static str {
    match code.retry() {
        Retry::Never => "never",
        Retry::Elsewhere => "on another server",
        Retry::Afresh => "on a fresh connection, if nothing was sent or repeating is safe",
        Retry::IfRepeatable => "on another server, if repeating is safe",
    }
}

/// The reference page of all faults, as Markdown.
#[must_use]
pub fn reference() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Faults\n\nGenerated from the table in the proxy. The code is the same word in the access log, \
         in `croupier_faults_total`, in the process log and on the error page.\n\n\
         | code | status | retried | meaning |\n| --- | --: | --- | --- |\n",
    );
    for code in Code::ALL {
        let retried = retried(*code);
        let status = match code.status() {
            0 => "-".to_owned(),
            status => status.to_string(),
        };
        let _ = writeln!(
            page,
            "| `{}` | {status} | {retried} | {} |",
            code.as_str(),
            code.sentence()
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn words_are_unique_and_statuses_are_errors() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, index);
            assert!(
                !Code::WORDS[..index].contains(&code.as_str()),
                "{}",
                code.as_str()
            );
            assert!(code.status() == 0 || (400..600).contains(&code.status()));
            assert!(!code.sentence().ends_with('.'));
        }
    }
}
