//! Every metric, in one table: name, kind, labels, unit, sentence.
//!
//! To add a metric, add a row to `metrics!`. If it is a plain number that a worker counts, add a row to
//! `counters!` or `gauges!` as well and it is exported without further code. A number that is computed
//! when somebody asks (is this server up?) is handed to the exporter as a `Sample`.
//! Labels hold configured names and closed sets of words, never what a client sent.

use std::fmt::Write as _;

/// What a metric is, in the words of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; starts at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets with `_sum` and `_count`.
    Histogram,
    /// `_sum` and `_count` without quantiles.
    Summary,
}

impl Kind {
    /// The word of the `# TYPE` line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Spec {
    /// The family name as exported.
    pub name: &'static str,
    /// Counter, gauge, histogram or summary.
    pub kind: Kind,
    /// Label names, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What one unit of the value is.
    pub unit: &'static str,
    /// One sentence, for `# HELP` and the reference page.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident $kind:ident $name:literal [$($label:literal),*] $unit:literal $help:literal;)+) => {
        /// A metric family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Metric {
            $(#[doc = $help] $id,)+
        }

        impl Metric {
            /// Every family, in the order of the table and of the export.
            pub const ALL: &'static [Self] = &[$(Self::$id),+];

            /// This family's row.
            #[must_use]
            pub const fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$id => &Spec {
                        name: $name,
                        kind: Kind::$kind,
                        labels: &[$($label),*],
                        unit: $unit,
                        help: $help,
                    },)+
                }
            }
        }
    };
}

metrics! {
    ServerRequestDuration Histogram "http_server_request_duration_seconds"
        ["site", "route", "http_request_method", "http_response_status_code", "network_protocol_version"]
        "seconds" "Time from the first byte of a request to the last byte of its answer; the status is empty when no answer was sent.";
    ActiveRequests Gauge "http_server_active_requests" []
        "requests" "Requests being worked on now.";
    RequestBodySize Summary "http_server_request_body_size_bytes" ["site", "route"]
        "bytes" "Bytes of request bodies received from clients.";
    ResponseBodySize Summary "http_server_response_body_size_bytes" ["site", "route"]
        "bytes" "Bytes of response bodies sent to clients.";
    ClientRequestDuration Histogram "http_client_request_duration_seconds" ["pool", "server"]
        "seconds" "Time from sending a request to a server to the last byte of its answer.";
    ServerUp Gauge "croupier_server_up" ["pool", "server"]
        "boolean" "1 when the server may be picked, 0 when it is out.";
    ServerState Gauge "croupier_server_state" ["pool", "server", "state"]
        "boolean" "1 for the state a server is in, 0 for the others: up, ejected, probation, down.";
    ServerEjections Counter "croupier_server_ejections_total" ["pool", "server"]
        "ejections" "Times a server was put aside because of how its traffic failed.";
    HealthChecks Counter "croupier_health_checks_total" ["pool", "server", "result"]
        "checks" "Active checks by result, passed or failed.";
    PoolFailOpen Gauge "croupier_pool_fail_open" ["pool"]
        "boolean" "1 while too few servers are up and those that were put aside are used as well.";
    PoolQueue Gauge "croupier_pool_queue" ["pool"]
        "requests" "Requests that wait for a server now.";
    PoolQueued Counter "croupier_pool_queued_total" ["pool"]
        "requests" "Requests that had to wait for a server.";
    PoolQueueRefused Counter "croupier_pool_queue_refused_total" ["pool", "reason"]
        "requests" "Requests that got no server from the queue: it was full, or they waited too long (timeout).";
    ServerConnections Gauge "croupier_server_connections" ["pool", "server", "state"]
        "connections" "Open connections to a server, idle or busy.";
    SpareConnections Gauge "croupier_spare_connections" []
        "connections" "Idle connections to servers that any worker may take; they count as idle ones too.";
    Leases Counter "croupier_leases_total" ["connection"]
        "leases" "Connections borrowed for an attempt: kept by the same worker, a spare one of any worker, or dialled anew.";
    MirrorSent Counter "croupier_mirror_sent_total" []
        "requests" "Copies of requests that a shadow pool was asked with.";
    MirrorDropped Counter "croupier_mirror_dropped_total" []
        "requests" "Copies that were not sent: too many under way, no shadow server free, or a body too large or not whole yet.";
    MirrorFailures Counter "croupier_mirror_failures_total" []
        "requests" "Copies that were sent, or were to be, and got no whole answer.";
    ServerRetries Counter "croupier_server_retries_total" ["pool"]
        "attempts" "Attempts that were made because an earlier one failed.";
    RetriesRefused Counter "croupier_retries_refused_total" ["reason"]
        "attempts" "Failed attempts that were not made again, by the reason that forbade it.";
    ServerFailures Counter "croupier_server_failures_total" ["pool", "server"]
        "attempts" "Attempts that ended without a complete answer from the server.";
    Faults Counter "croupier_faults_total" ["fault"]
        "faults" "Faults by code; `croupier explain` has a page for each.";
    Connections Gauge "croupier_connections" []
        "connections" "Client connections open now.";
    ConnectionsTotal Counter "croupier_connections_total" []
        "connections" "Client connections accepted.";
    ConnectionsRefused Counter "croupier_connections_refused_total" ["reason"]
        "connections" "Client connections closed at the door.";
    ConnectionProtocols Counter "croupier_connection_protocols_total" ["protocol", "tls"]
        "connections" "Client connections by what they speak: http1 or h2, over TLS or not.";
    ProxyHeaders Counter "croupier_proxy_headers_total" ["result"]
        "connections" "PROXY headers of listed peers: accepted, local (the peer speaks for itself), missing, malformed or cut.";
    TlsHandshakes Counter "croupier_tls_handshakes_total" ["version", "resumed"]
        "handshakes" "TLS handshakes with clients that were completed, by version and by whether an earlier session was resumed.";
    TlsHandshakeFailures Counter "croupier_tls_handshake_failures_total" ["reason"]
        "handshakes" "TLS handshakes with clients that failed: closed, alert (the client refused), timeout, limit, not_tls, protocol, incompatible (version or suite), no_protocol (ALPN), nothing_to_show (no certificate yet), client_certificate or internal.";
    TlsHandshakesActive Gauge "croupier_tls_handshakes_active" []
        "handshakes" "TLS handshakes with clients under way now.";
    TlsChallenges Counter "croupier_tls_challenges_total" ["result"]
        "handshakes" "Handshakes of an ACME authority that looks for a challenge (RFC 8737): answered, or not known.";
    AcceptErrors Counter "croupier_accept_errors_total" []
        "errors" "Errors while accepting a connection, for instance too many open files.";
    Tunnels Gauge "croupier_tunnels" []
        "connections" "Upgraded connections, for instance WebSocket, open now.";
    Bytes Counter "croupier_bytes_total" ["side", "direction"]
        "bytes" "Bytes read (in) and written (out), on the client side and on the origin side.";
    CacheRequests Counter "croupier_cache_requests_total" ["result"]
        "requests" "Requests of cached routes by what the cache did: hit, stale (given after its time), collapsed (another request had asked already), revalidated, expired, miss, refresh (the client wanted it anew), pass (known not to be kept) or bypass.";
    CacheObjects Gauge "croupier_cache_objects" ["store", "tier"]
        "objects" "Answers that a store holds, in memory or on disk; some are in both.";
    CacheBytes Gauge "croupier_cache_bytes" ["store", "tier"]
        "bytes" "Bytes that they take.";
    CacheStored Counter "croupier_cache_stored_total" ["store", "tier"]
        "objects" "Answers that came into a store.";
    CacheEvictions Counter "croupier_cache_evictions_total" ["store", "tier"]
        "objects" "Answers that had to make room for others.";
    CacheRefused Counter "croupier_cache_refused_total" ["store", "reason"]
        "answers" "Answers that were not kept, by the reason.";
    CacheDiskDropped Counter "croupier_cache_disk_dropped_total" ["store"]
        "objects" "Answers that were not written to disk: too many waited, or writing had failed a moment before.";
    CacheDiskErrors Counter "croupier_cache_disk_errors_total" ["store", "kind"]
        "errors" "What the disk did wrong: write, read, or checksum (bytes came back other than they were written).";
    CompressedBytes Counter "croupier_compressed_bytes_total" ["coding", "direction"]
        "bytes" "Bytes that went into the compression of answers (in) and came out of it (out).";
    CertificateExpiry Gauge "croupier_certificate_expiry_timestamp_seconds" ["site", "source"]
        "unix seconds" "When the certificate that a site shows ends; 0 while it has none. Sources: files, acme, internal.";
    CertificateRenewals Counter "croupier_certificate_renewals_total" ["source", "result"]
        "certificates" "Certificates that were read, issued or renewed, and failures to: success or failure.";
    ConfigReloads Counter "croupier_config_reloads_total" ["result"]
        "reloads" "Attempts to load a changed configuration.";
    ConfigLastReload Gauge "croupier_config_last_reload_success_timestamp_seconds" []
        "unix seconds" "When the configuration in force was loaded.";
    AccessLogDropped Counter "croupier_access_log_dropped_total" []
        "lines" "Access-log lines lost because the sink was full, slow or broken.";
    Panics Counter "croupier_panics_total" []
        "panics" "Panics that ended one exchange; each is a bug.";
    BuildInfo Gauge "croupier_build_info" ["version"]
        "none" "Always 1; the label says which version runs.";
}

macro_rules! plain {
    ($doc:literal $ty:ident; $($id:ident => $metric:ident [$($value:literal),*];)+) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $ty {
            $(#[doc = concat!("One cell of [`Metric::", stringify!($metric), "`].")] $id,)+
        }

        impl $ty {
            /// All of them; a value's position is its discriminant.
            pub const ALL: &'static [Self] = &[$(Self::$id),+];
            pub(crate) const COUNT: usize = Self::ALL.len();

            /// The family it belongs to.
            #[must_use]
            pub const fn metric(self) -> Metric {
                match self { $(Self::$id => Metric::$metric,)+ }
            }

            /// Its label values, as many as the family has labels.
            #[must_use]
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$id => &[$($value),*],)+ }
            }
        }
    };
}

plain! { "A number that a worker counts up: `cells.add(Counter::X, n)`." Counter;
    Connections => ConnectionsTotal [];
    RefusedLimit => ConnectionsRefused ["limit"];
    RefusedClientLimit => ConnectionsRefused ["client_limit"];
    RefusedOverload => ConnectionsRefused ["overload"];
    Http1Plain => ConnectionProtocols ["http1", "false"];
    Http1Tls => ConnectionProtocols ["http1", "true"];
    H2Plain => ConnectionProtocols ["h2", "false"];
    H2Tls => ConnectionProtocols ["h2", "true"];
    ProxyHeaderAccepted => ProxyHeaders ["accepted"];
    ProxyHeaderLocal => ProxyHeaders ["local"];
    ProxyHeaderMissing => ProxyHeaders ["missing"];
    ProxyHeaderMalformed => ProxyHeaders ["malformed"];
    ProxyHeaderCut => ProxyHeaders ["cut"];
    Tls12Full => TlsHandshakes ["1.2", "false"];
    Tls12Resumed => TlsHandshakes ["1.2", "true"];
    Tls13Full => TlsHandshakes ["1.3", "false"];
    Tls13Resumed => TlsHandshakes ["1.3", "true"];
    TlsFailedClosed => TlsHandshakeFailures ["closed"];
    TlsFailedTimeout => TlsHandshakeFailures ["timeout"];
    TlsFailedLimit => TlsHandshakeFailures ["limit"];
    TlsFailedAlert => TlsHandshakeFailures ["alert"];
    TlsFailedNotTls => TlsHandshakeFailures ["not_tls"];
    TlsFailedProtocol => TlsHandshakeFailures ["protocol"];
    TlsFailedIncompatible => TlsHandshakeFailures ["incompatible"];
    TlsFailedNoProtocol => TlsHandshakeFailures ["no_protocol"];
    TlsFailedNothingToShow => TlsHandshakeFailures ["nothing_to_show"];
    TlsFailedClientCertificate => TlsHandshakeFailures ["client_certificate"];
    TlsFailedInternal => TlsHandshakeFailures ["internal"];
    TlsChallengeAnswered => TlsChallenges ["answered"];
    TlsChallengeUnknown => TlsChallenges ["unknown"];
    AcceptErrors => AcceptErrors [];
    LeasesKept => Leases ["kept"];
    LeasesSpare => Leases ["spare"];
    LeasesDialled => Leases ["dialled"];
    MirrorSent => MirrorSent [];
    MirrorDropped => MirrorDropped [];
    MirrorFailures => MirrorFailures [];
    BytesClientIn => Bytes ["client", "in"];
    BytesClientOut => Bytes ["client", "out"];
    BytesOriginIn => Bytes ["origin", "in"];
    BytesOriginOut => Bytes ["origin", "out"];
    RetryRefusedAttempts => RetriesRefused ["attempts"];
    RetryRefusedBody => RetriesRefused ["body>cap"];
    RetryRefusedMethod => RetriesRefused ["method"];
    RetryRefusedServers => RetriesRefused ["servers"];
    RetryRefusedBudget => RetriesRefused ["budget"];
    RetryRefusedQueue => RetriesRefused ["queue"];
    RetryRefusedOn => RetriesRefused ["on"];
    RetryRefusedOff => RetriesRefused ["off"];
    CacheHit => CacheRequests ["hit"];
    CacheStale => CacheRequests ["stale"];
    CacheCollapsed => CacheRequests ["collapsed"];
    CacheRevalidated => CacheRequests ["revalidated"];
    CacheExpired => CacheRequests ["expired"];
    CacheMiss => CacheRequests ["miss"];
    CacheRefresh => CacheRequests ["refresh"];
    CachePass => CacheRequests ["pass"];
    CacheBypass => CacheRequests ["bypass"];
    ZstdIn => CompressedBytes ["zstd", "in"];
    ZstdOut => CompressedBytes ["zstd", "out"];
    BrotliIn => CompressedBytes ["br", "in"];
    BrotliOut => CompressedBytes ["br", "out"];
    GzipIn => CompressedBytes ["gzip", "in"];
    GzipOut => CompressedBytes ["gzip", "out"];
    ReloadSuccess => ConfigReloads ["success"];
    ReloadFailure => ConfigReloads ["failure"];
    CertificateFilesSuccess => CertificateRenewals ["files", "success"];
    CertificateFilesFailure => CertificateRenewals ["files", "failure"];
    CertificateAcmeSuccess => CertificateRenewals ["acme", "success"];
    CertificateAcmeFailure => CertificateRenewals ["acme", "failure"];
    CertificateInternalSuccess => CertificateRenewals ["internal", "success"];
    CertificateInternalFailure => CertificateRenewals ["internal", "failure"];
    Panics => Panics [];
}

plain! { "A level that a worker moves up and down: `cells.gauge(Gauge::X, 1)`." Gauge;
    ActiveRequests => ActiveRequests [];
    Connections => Connections [];
    TlsHandshakes => TlsHandshakesActive [];
    Tunnels => Tunnels [];
    SpareConnections => SpareConnections [];
}

impl Counter {
    /// Where a retry is counted that was refused for this reason, a word of the access log; None
    /// for other words.
    #[must_use]
    pub fn of_refused_retry(reason: &str) -> Option<Self> {
        [
            Self::RetryRefusedAttempts,
            Self::RetryRefusedBody,
            Self::RetryRefusedMethod,
            Self::RetryRefusedServers,
            Self::RetryRefusedBudget,
            Self::RetryRefusedQueue,
            Self::RetryRefusedOn,
            Self::RetryRefusedOff,
        ]
        .into_iter()
        .find(|counter| counter.labels() == [reason])
    }

    /// Where a request is counted of which the access log says this of the cache; None for other
    /// words.
    #[must_use]
    pub fn of_cache(word: &str) -> Option<Self> {
        Self::CACHE
            .into_iter()
            .find(|counter| counter.labels() == [word])
    }

    const CACHE: [Self; 9] = [
        Self::CacheHit,
        Self::CacheStale,
        Self::CacheCollapsed,
        Self::CacheRevalidated,
        Self::CacheExpired,
        Self::CacheMiss,
        Self::CacheRefresh,
        Self::CachePass,
        Self::CacheBypass,
    ];
}

/// The reference page of all metrics, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from("# Metrics\n\n| name | kind | labels | unit | meaning |\n");
    page.push_str("| --- | --- | --- | --- | --- |\n");
    for metric in Metric::ALL {
        let Spec {
            name,
            kind,
            labels,
            unit,
            help,
        } = metric.spec();
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (kind.as_str(), labels.join(" "));
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {unit} | {help} |");
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let mut seen = HashSet::new();
        for metric in Metric::ALL {
            let spec = metric.spec();
            assert!(seen.insert(spec.name), "{} twice", spec.name);
            let total = spec.name.ends_with("_total");
            assert_eq!(total, spec.kind == Kind::Counter, "{}", spec.name);
            assert!(
                spec.help.ends_with('.') && !spec.help.contains('\n'),
                "{}",
                spec.name
            );
            assert!(
                !spec.help.contains('|'),
                "{} would break the table",
                spec.name
            );
            if spec.unit == "seconds" {
                assert!(spec.name.ends_with("_seconds"), "{}", spec.name);
            }
        }
    }

    #[test]
    fn plain_cells_fit_their_family() {
        for counter in Counter::ALL {
            let spec = counter.metric().spec();
            assert_eq!(spec.kind, Kind::Counter);
            assert_eq!(spec.labels.len(), counter.labels().len(), "{counter:?}");
        }
        for gauge in Gauge::ALL {
            let spec = gauge.metric().spec();
            assert_eq!(spec.kind, Kind::Gauge);
            assert_eq!(spec.labels.len(), gauge.labels().len(), "{gauge:?}");
        }
    }

    #[test]
    fn every_reason_for_no_retry_has_its_counter() {
        for counter in Counter::ALL {
            if counter.metric() == Metric::RetriesRefused {
                let found = Counter::of_refused_retry(counter.labels()[0]);
                assert_eq!(found, Some(*counter));
            }
        }
        assert_eq!(Counter::of_refused_retry(""), None);
    }

    #[test]
    fn every_word_of_the_cache_has_its_counter() {
        for counter in Counter::ALL {
            if counter.metric() == Metric::CacheRequests {
                assert_eq!(Counter::of_cache(counter.labels()[0]), Some(*counter));
            }
        }
        assert_eq!(Counter::of_cache(""), None);
    }

    #[test]
    fn the_reference_has_a_line_per_metric() {
        let page = reference();
        for metric in Metric::ALL {
            assert!(page.contains(&format!("| `{}` |", metric.spec().name)));
        }
        assert_eq!(page.lines().count(), 4 + Metric::ALL.len());
    }
}
