//! Clients that prove who they are: who is let in, what their origin hears, and that nobody walks
//! from one site's door into another's room.
//!
//! Rows B17, D02, D03 and D04 of the catalogue.

use croupier_testkit::{
    Authority, Client, Failure, Issued, Request, Signal, TlsClient,
    h2::{self, Head},
};

use crate::{
    prelude::{Origin, Proxy, Reply, metric},
    tls_sites::{SERVER, house, site},
};

/// Lines by which an outsider would be somebody else.
const FORGED: &str = "X-Client-Cert-Verified: SUCCESS\r\nX-Client-Cert-Subject: CN=root\r\n\
     X-Client-Cert-Serial: 1\r\nX-Client-Cert-Fingerprint: 1\r\nX-Client-Cert: 1\r\n\
     x_client_cert_subject: CN=root\r\nX-Client_Cert-Verified: SUCCESS\r\n\
     Client-Cert: :AAAA:\r\nClient-Cert-Chain: :AAAA:\r\nClient_Cert: :AAAA:\r\n\
     X-Forwarded-Client-Cert: 1\r\n";

/// `a.example` asks for certificates in this way.
fn asking(origin: &Origin, client_auth: &str) -> String {
    format!(
        "{SERVER}[site.\"a.example\"]\n\
         tls = {{ certificate = \"a.pem\", client_auth = {{ ca = \"staff.pem\", {client_auth} }} }}\n\
         proxy = \"{}\"\n\n",
        origin.address()
    )
}

struct Staff {
    authority: Authority,
    a: Issued,
    staff: Authority,
    ada: Issued,
}

impl Staff {
    fn new() -> Self {
        let (authority, staff) = (Authority::new("Tables"), Authority::new("Staff"));
        Self {
            a: authority.issue(&["a.example"]),
            ada: staff.issue_client("Ada, \u{d6}sterreich"),
            authority,
            staff,
        }
    }

    fn start(&self, config: &str) -> Proxy {
        house(&self.authority, &[("a", &self.a)])
            .file("staff.pem", self.staff.pem())
            .start(config)
    }
}

fn ask(client: &mut Client, lines: &str) -> Result<u16, Failure> {
    let request = format!("GET /in HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n");
    if client.try_send(request).is_err() {
        return Err(Failure::Reset);
    }
    client.try_read_response().map(|response| response.status)
}

fn seen(origin: &Origin) -> Request {
    origin.requests().pop().unwrap()
}

#[test]
fn who_must_show_a_certificate_does_or_is_not_let_in() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let staff = Staff::new();
    let proxy = staff.start(&asking(&origin, "mode = \"require\""));
    let mut client = TlsClient::showing(&staff.ada).connect(proxy.address(), "a.example");
    assert_eq!(ask(&mut client, FORGED), Ok(200));
    let request = seen(&origin);
    let all = |name| request.headers.all(name);
    assert_eq!(all("x-client-cert-verified"), ["SUCCESS"]);
    assert_eq!(
        all("x-client-cert-subject"),
        ["CN=Ada\\, \\C3\\96sterreich"]
    );
    assert_eq!(all("x-client-cert-serial").len(), 1);
    let fingerprint = all("x-client-cert-fingerprint").concat();
    assert_eq!(fingerprint.len(), 64);
    let whole = all("client-cert").concat();
    assert!(whole.starts_with(":MII") && whole.ends_with(':'), "{whole}");
    let head = String::from_utf8_lossy(&request.head).to_lowercase();
    for forged in [
        "cn=root",
        "aaaa",
        "client_cert",
        "client-cert-chain",
        "forwarded-client",
    ] {
        assert!(!head.contains(forged), "{head}");
    }
    let log = proxy.wait_for_access(|line| line.contains("/in"));
    assert!(log.contains("\"client_cert\":\"CN=Ada"), "{log}");
    // Nobody, a stranger, and one whose authority signs servers.
    let before = origin.requests().len();
    let stranger = Authority::new("Elsewhere").issue_client("Ada");
    for tls in [
        TlsClient::credulous(),
        TlsClient::showing(&stranger),
        TlsClient::showing(&staff.authority.issue_client("Ada")),
        TlsClient::showing(&staff.staff.issue(&["a.example"])),
    ] {
        let answered = tls
            .try_connect(proxy.address(), "a.example")
            .map_err(|_| Failure::Reset)
            .and_then(|mut client| ask(&mut client, ""));
        assert!(answered.is_err(), "{answered:?}");
    }
    assert_eq!(origin.requests().len(), before);
}

#[test]
fn who_may_show_a_certificate_is_told_apart_from_who_did() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let staff = Staff::new();
    let proxy = staff.start(&asking(&origin, "mode = \"optional\""));
    let mut client = TlsClient::credulous().connect(proxy.address(), "a.example");
    assert_eq!(ask(&mut client, FORGED), Ok(200));
    let request = seen(&origin);
    assert_eq!(request.headers.all("x-client-cert-verified"), ["NONE"]);
    for name in [
        "x-client-cert-subject",
        "x-client-cert-serial",
        "client-cert",
    ] {
        assert!(!request.headers.has(name), "{name}");
    }
    let mut client = TlsClient::showing(&staff.ada).connect(proxy.address(), "a.example");
    assert_eq!(ask(&mut client, ""), Ok(200));
    assert_eq!(
        seen(&origin).headers.all("x-client-cert-verified"),
        ["SUCCESS"]
    );
    // A bad certificate is not none.
    let stranger = Authority::new("Elsewhere").issue_client("Ada");
    let answered = TlsClient::showing(&stranger)
        .try_connect(proxy.address(), "a.example")
        .map_err(|_| Failure::Reset)
        .and_then(|mut client| ask(&mut client, ""));
    assert!(answered.is_err(), "{answered:?}");
}

#[test]
fn where_nobody_is_asked_nobody_can_say_that_he_was() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let staff = Staff::new();
    let config = format!(
        "{SERVER}[site.\"a.example\"]\ntls = {{ certificate = \"a.pem\" }}\nplain = \"serve\"\nproxy = \"{}\"\n",
        origin.address()
    );
    let config = config.replace(
        "[server]\n",
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n",
    );
    let proxy = staff.start(&config);
    for mut client in [
        TlsClient::credulous().connect(proxy.address(), "a.example"),
        Client::connect(proxy.address()),
    ] {
        assert_eq!(ask(&mut client, FORGED), Ok(200));
        let head = String::from_utf8_lossy(&seen(&origin).head).to_lowercase();
        // Of a trusted peer, too: the names are ours.
        let left = head.replace("x-forwarded-client-cert", "");
        assert!(
            !left.contains("client-cert") && !left.contains("client_cert"),
            "{head}"
        );
    }
}

#[test]
fn a_revoked_certificate_is_none() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let staff = Staff::new();
    let bob = staff.staff.issue_client("Bob");
    let proxy = house(&staff.authority, &[("a", &staff.a)])
        .file("staff.pem", staff.staff.pem())
        .file("revoked.crl", staff.staff.revoke(&[&bob]))
        .start(&asking(&origin, "crl = \"revoked.crl\""));
    let asks = |issued: &Issued| {
        TlsClient::showing(issued)
            .try_connect(proxy.address(), "a.example")
            .map_err(|_| Failure::Reset)
            .and_then(|mut client| ask(&mut client, ""))
    };
    assert_eq!(asks(&staff.ada), Ok(200));
    assert!(asks(&bob).is_err());
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn d03_authorities_that_can_not_be_used_let_nobody_start() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let staff = Staff::new();
    let config = asking(&origin, "crl = \"revoked.crl\"");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken_list = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    let (good, list) = (staff.staff.pem().to_owned(), staff.staff.revoke(&[]));
    let running = house(&staff.authority, &[("a", &staff.a)])
        .file("staff.pem", &good)
        .file("revoked.crl", &list)
        .start(&config);
    let ada = TlsClient::showing(&staff.ada);
    for (ca, crl) in [
        (None, Some(list.as_str())),
        (Some(""), Some(list.as_str())),
        (Some("rubbish"), Some(list.as_str())),
        (Some(broken), Some(list.as_str())),
        (Some(good.as_str()), None),
        (Some(good.as_str()), Some("")),
        (Some(good.as_str()), Some(broken_list)),
        (Some(good.as_str()), Some(good.as_str())),
    ] {
        let mut launch = house(&staff.authority, &[("a", &staff.a)]);
        for (name, contents) in [("staff.pem", ca), ("revoked.crl", crl)] {
            let path = running.directory().join(name);
            match contents {
                Some(contents) => {
                    launch = launch.file(name, contents);
                    std::fs::write(path, contents).unwrap();
                }
                None => std::fs::remove_file(path).unwrap(),
            }
        }
        let exit = launch.start_in_vain(&config);
        assert_eq!(exit.code, Some(1), "{ca:?} {crl:?}: {exit:?}");
        let file = if ca == Some(good.as_str()) {
            "revoked.crl"
        } else {
            "staff.pem"
        };
        assert!(exit.stderr.contains(file), "{}", exit.stderr);
        assert!(exit.stderr.contains("a.example"), "{}", exit.stderr);
        // The same of a running one: what it has stays, and still asks.
        let before = running.log_lines().len();
        running.signal(Signal::Hangup);
        let line = running.wait_for_log_after(before, |line| line.contains("config.rejected"));
        assert!(line.contains(file), "{line}");
        let mut client = ada.connect(running.address(), "a.example");
        assert_eq!(ask(&mut client, ""), Ok(200));
        let nobody = TlsClient::credulous()
            .try_connect(running.address(), "a.example")
            .map_err(|_| Failure::Reset)
            .and_then(|mut client| ask(&mut client, ""));
        assert!(nobody.is_err());
    }
}

#[test]
fn d04_a_ticket_is_no_way_around_other_authorities() {
    let origin = Origin::start(|_| Reply::ok("ok"));
    let staff = Staff::new();
    let config = asking(&origin, "mode = \"require\"");
    let proxy = staff.start(&config);
    let ada = TlsClient::showing(&staff.ada);
    assert_eq!(
        ask(&mut ada.connect(proxy.address(), "a.example"), ""),
        Ok(200)
    );
    let mut resumed = ada.connect(proxy.address(), "a.example");
    assert!(resumed.shaken().is_resumed);
    assert_eq!(ask(&mut resumed, ""), Ok(200));
    // Staff has another authority now.
    let other = Authority::new("Other staff");
    std::fs::write(proxy.directory().join("staff.pem"), other.pem()).unwrap();
    let line = proxy.reload(&config);
    assert!(line.contains("config.reloaded"), "{line}");
    let answered = ada
        .try_connect(proxy.address(), "a.example")
        .map_err(|_| Failure::Reset)
        .and_then(|mut client| ask(&mut client, ""));
    assert!(answered.is_err(), "{answered:?}");
    // Who was let in by the old rules does not stay in by them.
    assert_eq!(ask(&mut resumed, ""), Ok(421));
    let eve = TlsClient::showing(&other.issue_client("Eve"));
    assert_eq!(
        ask(&mut eve.connect(proxy.address(), "a.example"), ""),
        Ok(200)
    );
}

#[test]
fn d02_b17_a_connection_for_one_site_is_no_way_into_another() {
    let origin = Origin::start(|_| Reply::ok("secret"));
    let staff = Staff::new();
    let (open, both) = (
        staff.authority.issue(&["open.example"]),
        staff
            .authority
            .issue(&["b.example", "c.example", "a.example", "modern.example"]),
    );
    let config = format!(
        "{}{}{}{}{}[site.\"plain.example\"]\ntls = \"off\"\nrespond = \"plain\"\n",
        asking(&origin, "mode = \"require\""),
        site("open.example", "open"),
        site("b.example", "both"),
        // The same certificate in another file: another offer that covers it.
        site("c.example", "copy"),
        site("modern.example", "copy2").replace(" }\nrespond", ", profile = \"modern\" }\nrespond"),
    );
    let proxy = house(
        &staff.authority,
        &[
            ("a", &staff.a),
            ("open", &open),
            ("both", &both),
            ("copy", &both),
            ("copy2", &both),
        ],
    )
    .file("staff.pem", staff.staff.pem())
    .start(&config);
    let ask = |client: &mut Client, host: &str| {
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.read_response().status
    };
    let ada = TlsClient::showing(&staff.ada);
    let anybody = TlsClient::credulous();
    for (tls, name, host, status) in [
        // Without a certificate through an open door, with and without a covering certificate.
        (&anybody, "open.example", "a.example", 421),
        (&anybody, "b.example", "a.example", 421),
        (&anybody, "open.example", "A.EXAMPLE:443", 421),
        // And from the room behind the guarded door out into the open.
        (&ada, "a.example", "open.example", 421),
        // The same rules: it is the certificate that counts.
        (&anybody, "b.example", "c.example", 200),
        (&anybody, "b.example", "open.example", 421),
        (&anybody, "open.example", "b.example", 421),
        (&anybody, "b.example", "modern.example", 200),
        // No TLS at all, and nobody.
        (&anybody, "open.example", "plain.example", 421),
        (&anybody, "open.example", "nobody.example", 404),
        // Nobody's name was said: the first site's door.
        (&anybody, "nobody.example", "open.example", 421),
    ] {
        let tls = if name == "nobody.example" { &ada } else { tls };
        let mut client = tls.connect(proxy.address(), name);
        assert_eq!(ask(&mut client, host), status, "{host} over {name}");
        // The connection itself is as good as before.
        if name != "nobody.example" && name != "a.example" {
            assert_eq!(ask(&mut client, name), 200, "{name}");
        }
    }
    let mut old = TlsClient::of_version_1_2().connect(proxy.address(), "b.example");
    assert_eq!(
        ask(&mut old, "modern.example"),
        421,
        "TLS 1.2 is not let in by the back door"
    );
    assert!(origin.requests().is_empty());
    let line = proxy.wait_for_access(|line| line.contains("proxy.misdirected"));
    assert!(line.contains("\"status\":421"), "{line}");
}

#[test]
fn b17_streams_of_a_shared_connection_go_no_further_than_it() {
    let origin = Origin::start(|_| Reply::ok("secret"));
    let staff = Staff::new();
    let both = staff
        .authority
        .issue(&["b.example", "c.example", "a.example"]);
    let config = format!(
        "{}{}{}",
        asking(&origin, "mode = \"require\""),
        site("b.example", "both"),
        site("c.example", "copy"),
    );
    let proxy = house(
        &staff.authority,
        &[("a", &staff.a), ("both", &both), ("copy", &both)],
    )
    .file("staff.pem", staff.staff.pem())
    .start(&config);
    let ask = |client: &mut h2::Client, host: &str| {
        let head = Head::get("/h2").with(":scheme", "https");
        let stream = client.open(&head.with(":authority", host));
        client.answer(stream).status
    };
    let tls = TlsClient::credulous().alpn(&["h2", "http/1.1"]);
    let mut client = tls.connect_h2(proxy.address(), "b.example");
    for (host, status) in [
        ("b.example", 200),
        ("a.example", 421),
        ("c.example", 200),
        ("a.example:443", 421),
        ("b.example", 200),
    ] {
        assert_eq!(ask(&mut client, host), status, "{host}");
    }
    assert!(origin.requests().is_empty());
    let ada = TlsClient::showing(&staff.ada).alpn(&["h2"]);
    let mut client = ada.connect_h2(proxy.address(), "a.example");
    assert_eq!(ask(&mut client, "a.example"), 200);
    assert_eq!(ask(&mut client, "b.example"), 421);
    let request = seen(&origin);
    assert_eq!(request.headers.all("x-client-cert-verified"), ["SUCCESS"]);
    assert_eq!(request.headers.all("x-forwarded-proto"), ["https"]);
    let log = proxy.wait_for_access(|line| line.contains("\"site\":\"a.example\",\"route\""));
    assert!(log.contains("\"tls\":\"TLSv1.3\""), "{log}");
    let protocols = "croupier_connection_protocols_total{protocol=\"h2\",tls=\"true\"}";
    assert!(metric(&proxy, protocols) >= 2.0);
}
