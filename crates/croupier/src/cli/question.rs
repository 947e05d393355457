//! A request as a person writes it, put to the plan: for `explain` and for the tests in a config.

use std::net::IpAddr;

use croupier_config::{Config, model};
use croupier_proxy::{
    Live, Plan,
    explain::{self, Explanation, Question},
    plan,
};

/// Client connections that a plan which nobody runs is made for.
const CONNECTIONS: usize = 1024;

/// The plan of a config, with live state of its own: nothing is opened or looked up.
pub(super) fn plan(config: &Config) -> Result<Plan, String> {
    plan::build(config, &Live::new(), CONNECTIONS)
}

/// A request that nobody sends.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    scheme: &'static str,
    host: String,
    port: Option<u16>,
    target: String,
    headers: Vec<(String, String)>,
    client: Option<IpAddr>,
}

/// What the plan says of it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) explanation: Explanation,
    /// Which listener it was put to: its place in the plan.
    pub(super) listener: usize,
    /// False when no listener has the port of the URL.
    pub(super) is_port_served: bool,
}

impl Request {
    /// From an absolute URL; without a scheme, `http` is meant.
    pub(super) fn new(
        method: &str,
        url: &str,
        headers: Vec<(String, String)>,
        client: Option<IpAddr>,
    ) -> Result<Self, String> {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
            Some((scheme, _)) => {
                return Err(format!("`{scheme}` is neither `http` nor `https`"));
            }
            None => ("http", url),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.is_empty() {
            return Err(format!("`{url}` names no host"));
        }
        // The colons of an IPv6 address are within brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let number = port.parse().map_err(|_| format!("`{port}` is no port"))?;
                (host, Some(number))
            }
            _ => (authority, None),
        };
        Ok(Self {
            method: method.to_owned(),
            scheme,
            host: host.to_owned(),
            port,
            target: if target.starts_with('/') {
                target.to_owned()
            } else {
                format!("/{target}")
            },
            headers,
            client,
        })
    }

    /// The request of a config's test.
    pub(super) fn of_test(test: &model::Test) -> Self {
        let request = &test.request.value;
        let query = request.query.as_ref().map(|query| format!("?{query}"));
        let headers = test.headers.iter();
        Self {
            method: request.method.clone(),
            scheme: if request.scheme == "https" {
                "https"
            } else {
                "http"
            },
            host: request.host.clone(),
            port: request.port,
            target: format!("{}{}", request.path, query.unwrap_or_default()),
            headers: headers
                .map(|line| (line.name.value.clone(), line.value.value.clone()))
                .collect(),
            client: test.client,
        }
    }

    /// The port it would come to.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            "https" => 443,
            _ => 80,
        })
    }

    /// As a URL.
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority(), self.target)
    }

    /// The command that explains it, to be typed in a shell.
    pub(super) fn command(&self) -> String {
        let mut command = format!("croupier explain {} {}", self.method, quoted(&self.url()));
        for (name, value) in &self.headers {
            command.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
        }
        if let Some(client) = self.client {
            command.push_str(&format!(" --client {client}"));
        }
        command
    }

    fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Puts it to the plan: by the listener with its port; when there is none (a port that is
    /// mapped, a socket), by the first on which a site answers for its host.
    pub(super) fn ask(&self, plan: &Plan) -> Reply {
        let has_port = |listener: &plan::ListenerPlan| match listener.address {
            model::Listen::Port(port) => port == self.port(),
            model::Listen::Socket(address) => address.port() == self.port(),
            model::Listen::Unix(_) => false,
        };
        let served = plan.listeners.iter().position(has_port);
        let listener = served.unwrap_or_else(|| {
            (0..plan.listeners.len())
                .find(|listener| self.explain(plan, *listener).site.is_some())
                .unwrap_or(0)
        });
        Reply {
            explanation: self.explain(plan, listener),
            listener,
            is_port_served: served.is_some(),
        }
    }

    fn explain(&self, plan: &Plan, listener: usize) -> Explanation {
        explain::explain(
            plan,
            &Question {
                method: &self.method,
                scheme: self.scheme,
                authority: &self.authority(),
                target: &self.target,
                headers: &self.headers,
                client: self.client,
                listener,
            },
        )
    }
}

/// As one word of a shell command.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::Request;

    #[test]
    fn the_command_is_ready_for_a_shell() {
        let headers = vec![("X-A".to_owned(), "it's".to_owned())];
        let request = Request::new("GET", "http://a.example/x?y", headers, None).unwrap();
        assert_eq!(
            request.command(),
            "croupier explain GET 'http://a.example/x?y' -H 'X-A: it'\\''s'"
        );
    }

    #[test]
    fn urls_as_people_write_them() {
        for (written, url, port) in [
            ("http://a.example/x?y=1", "http://a.example/x?y=1", 80),
            ("a.example", "http://a.example/", 80),
            ("a.example?q", "http://a.example/?q", 80),
            (
                "HTTPS://a.example:8443/x#y",
                "https://a.example:8443/x",
                8443,
            ),
            ("https://[::1]/x", "https://[::1]/x", 443),
            ("[::1]:8080/x", "http://[::1]:8080/x", 8080),
        ] {
            let request = Request::new("GET", written, Vec::new(), None).unwrap();
            assert_eq!((request.url().as_str(), request.port()), (url, port));
        }
        for bad in ["", "/x", "ftp://a/", "http:///x", "http://a:x/"] {
            assert!(Request::new("GET", bad, Vec::new(), None).is_err(), "{bad}");
        }
    }
}
