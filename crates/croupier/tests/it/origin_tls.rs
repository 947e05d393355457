//! Servers that are reached over TLS: nginx, and Python's `ssl`, with certificates made by
//! `openssl`. Where a program is missing a story says so and ends.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use croupier_testkit::{Connections, Load, wait_until};

use super::prelude::*;

/// An authority, and certificates signed by it.
struct Authority {
    folder: PathBuf,
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Authority {
    /// None where `openssl` is missing.
    fn new(name: &str) -> Option<Self> {
        let folder =
            std::env::temp_dir().join(format!("croupier-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let this = Self { folder };
        let made = this.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
             -days 2 -subj /CN={name} -addext basicConstraints=critical,CA:TRUE"
        ));
        if made.is_none() {
            croupier_testkit::tools::skip("openssl is not installed");
        }
        made.map(|()| this)
    }

    fn openssl(&self, arguments: &str) -> Option<()> {
        let run = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.folder)
            .stderr(Stdio::null())
            .status();
        let status = run.ok()?;
        assert!(status.success(), "openssl {arguments}");
        Some(())
    }

    /// A certificate for these names, `DNS:..` or `IP:..`; its files are `NAME.pem` and `NAME.key`.
    fn issue(&self, name: &str, names: &str) {
        let extensions = format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\n");
        fs::write(self.folder.join("extensions"), extensions).unwrap();
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr \
             -subj /CN={name}"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem \
             -days 1 -extfile extensions"
        ));
    }

    fn path(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }
}

/// A program that ends with the story.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn accepts(address: SocketAddr) -> bool {
    wait_until(SOON, || TcpStream::connect(address).is_ok())
}

/// nginx over TLS, with lines of its server; None where it is missing.
fn nginx(authority: &Authority, certificate: &str, lines: &str) -> Option<(Running, SocketAddr)> {
    let address = free();
    let folder = authority.folder.join(format!("nginx-{}", address.port()));
    fs::create_dir_all(folder.join("www")).unwrap();
    fs::write(folder.join("www/large"), vec![b'd'; 8 << 20]).unwrap();
    let listen = if lines.contains("h1") {
        "ssl"
    } else {
        "ssl http2"
    };
    let place = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {place}/pid; error_log {place}/error.log;\n\
         events {{ worker_connections 512; }}\n\
         http {{ access_log {place}/access.log; client_body_temp_path {place}/body;\n\
         client_max_body_size 0; http2_max_concurrent_streams 32; keepalive_requests 200;\n\
         proxy_temp_path {place}/p; fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u;\n\
         scgi_temp_path {place}/s; root {place}/www;\n\
         server {{ listen {address} {listen}; ssl_certificate {}; ssl_certificate_key {};\n\
         location / {{ return 200 \"$request_uri $server_protocol $ssl_server_name\\n\"; }}\n\
         location /large {{ }} location /load {{ return 200 $request_uri; }}\n {} }} }}\n",
        authority.path(&format!("{certificate}.pem")),
        authority.path(&format!("{certificate}.key")),
        lines.replace("h1", ""),
    );
    fs::write(folder.join("nginx.conf"), config).unwrap();
    let started = Command::new("nginx")
        .arg("-p")
        .arg(&folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = started else {
        croupier_testkit::tools::skip("nginx is not installed");
        return None;
    };
    let running = Running(child);
    assert!(accepts(address), "nginx did not start");
    Some((running, address))
}

fn https(address: SocketAddr, tls: &str, more: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nmetrics = \"127.0.0.1:0\"\n\n\
         [pool.p]\nservers = [\"{address}\"]\nprotocol = \"https\"\n{tls}\n{more}\n\n\
         [site.\"*\"]\npool = \"p\"\n"
    )
}

fn ca(authority: &Authority) -> String {
    format!("tls = {{ ca = \"{}\" }}", authority.path("ca.pem"))
}

#[test]
fn nginx_is_spoken_to_in_http_2_and_believed_by_its_authority() {
    let Some(authority) = Authority::new("h2") else {
        return;
    };
    authority.issue("server", "IP:127.0.0.1");
    let Some((_nginx, address)) = nginx(&authority, "server", "") else {
        return;
    };
    let proxy = start(&https(address, &ca(&authority), ""));
    let mut client = Client::connect(proxy.address());
    assert_eq!(client.get("/a?b").text(), "/a?b HTTP/2.0 \n");
    assert_eq!(client.get("/large").body.len(), 8 << 20);
}

#[test]
fn nginx_says_goodbye_again_and_again_under_load_and_no_client_hears_of_it() {
    let Some(authority) = Authority::new("goodbye") else {
        return;
    };
    authority.issue("server", "IP:127.0.0.1");
    let Some((_nginx, address)) = nginx(&authority, "server", "") else {
        return;
    };
    let proxy = start(&https(address, &ca(&authority), "retry = false"));
    let load = Load::start(proxy.address(), 16, Duration::ZERO, Connections::Kept);
    load.wait_for_good(3_000, Duration::from_secs(60));
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
}

#[test]
fn a_server_that_knows_http_1_only_is_spoken_to_so_over_tls() {
    let Some(authority) = Authority::new("h1") else {
        return;
    };
    authority.issue("server", "DNS:app.internal");
    let Some((_nginx, address)) = nginx(&authority, "server", "h1") else {
        return;
    };
    let tls = format!(
        "tls = {{ ca = \"{}\", name = \"app.internal\" }}",
        authority.path("ca.pem")
    );
    let proxy = start(&https(address, &tls, ""));
    let mut client = Client::connect(proxy.address());
    for _ in 0..3 {
        assert_eq!(client.get("/a").text(), "/a HTTP/1.1 app.internal\n");
    }
    assert_eq!(client.get("/large").body.len(), 8 << 20);
    let load = Load::start(proxy.address(), 8, Duration::ZERO, Connections::Kept);
    load.wait_for_good(500, Duration::from_secs(60));
    let tally = load.stop();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    let made = metric(&proxy, "croupier_leases_total{connection=\"dialled\"}");
    assert!(made < 100.0, "connections are used again: {made}");
}

/// What is wrong, the certificate's names, the pool's `tls`, and a word of the reason.
#[test]
fn a_certificate_that_proves_nothing_is_a_bad_gateway_with_its_reason() {
    let Some(authority) = Authority::new("wrong") else {
        return;
    };
    let Some(other) = Authority::new("other") else {
        return;
    };
    authority.issue("named", "DNS:app.internal");
    authority.issue("numbered", "IP:127.0.0.1");
    let Some((_named, named)) = nginx(&authority, "named", "") else {
        return;
    };
    let Some((_numbered, numbered)) = nginx(&authority, "numbered", "") else {
        return;
    };
    let by = |authority: &Authority, more: &str| {
        format!("tls = {{ ca = \"{}\"{more} }}", authority.path("ca.pem"))
    };
    let cases = [
        (
            "another name",
            named,
            by(&authority, ""),
            "name it was asked by",
        ),
        (
            "another name still",
            named,
            by(&authority, ", name = \"b.internal\""),
            "name it was asked by",
        ),
        (
            "another authority",
            numbered,
            by(&other, ""),
            "nobody who is believed",
        ),
        (
            "the system's authorities",
            numbered,
            String::new(),
            "nobody who is believed",
        ),
    ];
    for (what, address, tls, word) in cases {
        let proxy = start(&https(address, &tls, ""));
        let answer = Client::connect(proxy.address()).get("/");
        assert_eq!(answer.status, 502, "{what}");
        let text = answer.text();
        assert!(
            text.contains("origin.tls") && text.contains(word),
            "{what}: {text}"
        );
    }
    for (what, address, tls) in [
        (
            "the right name",
            named,
            by(&authority, ", name = \"app.internal\""),
        ),
        (
            "whoever it is",
            named,
            "tls = { verify = false }".to_owned(),
        ),
    ] {
        let proxy = start(&https(address, &tls, ""));
        assert_eq!(
            Client::connect(proxy.address()).get("/").status,
            200,
            "{what}"
        );
    }
}

#[test]
fn a_server_that_demands_a_certificate_gets_ours() {
    let Some(authority) = Authority::new("mutual") else {
        return;
    };
    authority.issue("server", "IP:127.0.0.1");
    authority.issue("proxy", "DNS:proxy.internal");
    let demand = format!(
        "ssl_verify_client on; ssl_client_certificate {}; add_header x-client $ssl_client_s_dn;",
        authority.path("ca.pem")
    );
    let Some((_nginx, address)) = nginx(&authority, "server", &demand) else {
        return;
    };
    let with = format!(
        "tls = {{ ca = \"{}\", certificate = \"{}\", key = \"{}\" }}",
        authority.path("ca.pem"),
        authority.path("proxy.pem"),
        authority.path("proxy.key")
    );
    let proxy = start(&https(address, &with, ""));
    let answer = Client::connect(proxy.address()).get("/");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-client"), Some("CN=proxy"));
    // nginx lets the handshake pass and says 400.
    let proxy = start(&https(address, &ca(&authority), ""));
    assert_eq!(Client::connect(proxy.address()).get("/").status, 400);
}

#[test]
fn a_reload_that_changes_tls_leaves_its_connections_and_one_that_does_not_keeps_them() {
    let Some(authority) = Authority::new("reload") else {
        return;
    };
    authority.issue("server", "IP:127.0.0.1,DNS:a.internal,DNS:b.internal");
    let Some((_nginx, address)) = nginx(&authority, "server", "h1") else {
        return;
    };
    let named = |name: &str| {
        let tls = format!(
            "tls = {{ ca = \"{}\", name = \"{name}\" }}",
            authority.path("ca.pem")
        );
        https(address, &tls, "").replace("[pool.p]", "[timeouts]\norigin_idle = \"60s\"\n[pool.p]")
    };
    let proxy = start(&named("a.internal"));
    let mut client = Client::connect(proxy.address());
    let dialled = || metric(&proxy, "croupier_leases_total{connection=\"dialled\"}");
    assert_eq!(client.get("/").text(), "/ HTTP/1.1 a.internal\n");
    assert_eq!(client.get("/").text(), "/ HTTP/1.1 a.internal\n");
    proxy.reload(&named("a.internal").replace("workers = 1", "workers = 1 # the same"));
    assert_eq!(client.get("/").text(), "/ HTTP/1.1 a.internal\n");
    let before = dialled();
    proxy.reload(&named("b.internal"));
    assert_eq!(client.get("/").text(), "/ HTTP/1.1 b.internal\n");
    assert!((dialled() - before - 1.0).abs() < 0.1);
}

#[test]
fn a_plain_server_where_tls_is_meant_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let proxy = start(&https(address, "tls = { verify = false }", ""));
    let answer = Client::connect(proxy.address()).get("/");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("origin.tls"), "{}", answer.text());
}

#[test]
fn an_upload_of_megabytes_reaches_a_server_of_python_over_tls() {
    let Some(authority) = Authority::new("python") else {
        return;
    };
    authority.issue("server", "IP:127.0.0.1");
    let address = free();
    let script = Path::new(&authority.folder).join("server.py");
    fs::write(&script, PYTHON).unwrap();
    let started = Command::new("python3")
        .arg(&script)
        .args([
            address.port().to_string(),
            authority.path("server.pem"),
            authority.path("server.key"),
        ])
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = started else {
        println!("python3 is not installed: this story was not told");
        return;
    };
    let _python = Running(child);
    assert!(accepts(address), "python did not start");
    let proxy = start(&https(address, &ca(&authority), ""));
    let mut client = Client::connect(proxy.address()).patience(Duration::from_secs(60));
    let body = vec![b'u'; 6 << 20];
    let answer = client.request("POST", "/", &[], &body);
    assert_eq!(answer.text(), body.len().to_string());
    let answer = client.get("/");
    assert_eq!(answer.body.len(), 6 << 20);
}

const PYTHON: &str = r#"
import http.server, ssl, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(b"d" * (6 << 20))
    def do_POST(self):
        self.answer(str(len(self.rfile.read(int(self.headers["Content-Length"])))).encode())
    def log_message(self, *a):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;
