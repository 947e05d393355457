//! A browser: Chromium loads pages over TLS and HTTP/2, and talks through a WebSocket that shares
//! the connection. What the page finds out it posts to its server, which is all that a story reads.

use std::{
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use croupier_testkit::{
    Event, Request,
    tools::{self, Program},
    wire::json_value,
};

use crate::{
    prelude::{Origin, Reply},
    real_tools::{A_WHILE, Front, Over, front, front_with, python_server},
};

/// What a page says of itself.
#[derive(Clone, Default)]
pub(crate) struct Report {
    text: Arc<Mutex<String>>,
    pub(crate) came: Event,
}

impl Report {
    pub(crate) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    pub(crate) fn take(&self, request: &Request) -> Reply {
        *self.text.lock().unwrap() = request.text();
        self.came.fire();
        Reply::empty(204)
    }
}

/// The flag by which Chromium believes one key: what `--cacert` is to curl. None skips the story.
fn belief(front: &Front) -> Option<String> {
    let openssl = tools::need("openssl")?;
    let script = format!(
        "{0} x509 -in site.pem -pubkey -noout | {0} pkey -pubin -outform der | \
         {0} dgst -sha256 -binary | {0} base64",
        openssl.display()
    );
    let mut command = Command::new("sh");
    command
        .current_dir(front.proxy.directory())
        .args(["-c", &script]);
    let exit = tools::run(&mut command, A_WHILE);
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    Some(format!(
        "--ignore-certificate-errors-spki-list={}",
        exit.stdout.trim()
    ))
}

/// Opens a page in a browser with a profile of its own. None skips the story.
pub(crate) fn open(front: &Front, url: &str) -> Option<Program> {
    let chromium = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find_map(tools::find);
    let Some(chromium) = chromium else {
        let _ = tools::need("chromium");
        return None;
    };
    let home = front.proxy.directory().join("browser");
    let mut command = Command::new(chromium);
    command
        .env("HOME", &home)
        .arg(format!("--user-data-dir={}", home.display()))
        .arg(belief(front)?)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--disable-background-networking"])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
        ])
        .args([
            "--disable-features=OptimizationHints,Translate",
            "--no-proxy-server",
        ])
        .arg("--remote-debugging-port=0") // else a headless browser may end when a page is loaded
        .arg(url);
    Some(Program::start(&mut command))
}

/// Loads the page and gives what it posts.
fn posted(front: &Front, url: &str, report: &Report) -> Option<String> {
    let browser = open(front, url)?;
    assert!(
        report.came.wait(A_WHILE),
        "the page posts nothing\n{}",
        browser.report()
    );
    Some(report.text())
}

/// A page of thirty small parts: the protocol each came by, as the browser tells.
const PAGE: &str = r#"<!doctype html><title>cards</title><link rel=stylesheet href=/style.css><body>
<script type=module>
const cards = await Promise.all([...Array(30).keys()].map(async number => {
    const answer = await fetch(`/card/${number}`);
    return answer.status === 200 && await answer.text() === `card ${number}`;
}));
const upload = await fetch('/upload', { method: 'POST', body: new Uint8Array(1 << 20) });
const protocols = [...performance.getEntriesByType('navigation'),
    ...performance.getEntriesByType('resource')].map(entry => entry.nextHopProtocol);
await fetch('/report', { method: 'POST', body: JSON.stringify({
    cards: cards.filter(right => right).length,
    upload: await upload.text(),
    protocols: [...new Set(protocols)].join(),
    secure: isSecureContext,
}) });
</script>
"#;

#[test]
fn a_browser_loads_a_page_over_http2() {
    let report = Report::default();
    let told = report.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/" => Reply::ok(PAGE).header("Content-Type", "text/html"),
        "/style.css" => Reply::ok("body { color: green }").header("Content-Type", "text/css"),
        "/report" => told.take(request),
        "/upload" => Reply::ok(format!("{} bytes", request.body.len())),
        path => match path.strip_prefix("/card/") {
            Some(number) => Reply::ok(format!("card {number}")),
            None => Reply::empty(404),
        },
    });
    let front = front(&format!("proxy = \"{}\"", origin.address()));
    let Some(text) = posted(&front, &front.url(Over::Tls, "/"), &report) else {
        return;
    };
    for (key, expected) in [
        ("cards", "30"),
        ("upload", "1048576 bytes"),
        ("protocols", "h2"),
        ("secure", "true"),
    ] {
        assert_eq!(json_value(&text, key).as_deref(), Some(expected), "{text}");
    }
    let line = (front.proxy).wait_for_access(|line| line.contains("\"path\":\"/card/29\""));
    let proto = json_value(&line, "proto").unwrap();
    assert!(proto.starts_with("HTTP/2"), "{line}");
}

/// Talks through a WebSocket and posts what it heard.
const SOCKET_PAGE: &str = r#"<!doctype html><title>socket</title><body><script type=module>
const socket = new WebSocket(`wss://${location.host}/socket`, ['cards']);
socket.binaryType = 'arraybuffer';
const heard = [];
const large = new Uint8Array(1 << 20).fill(7);
socket.onopen = () => { socket.send('h\u00e9llo'); socket.send(large); };
socket.onmessage = ({ data }) => {
    heard.push(typeof data === 'string' ? data : String(data.byteLength));
    if (heard.length === 2) socket.close(4000, 'enough');
};
socket.onclose = ({ code, reason, wasClean }) => fetch('/report', { method: 'POST',
    body: JSON.stringify({ heard: heard.join(), code, reason, clean: wasClean,
        protocol: socket.protocol }) });
</script>
"#;

#[test]
fn a_browser_opens_its_web_socket_on_the_http2_connection() {
    let Some((server, address)) = python_server("websocket_server.py", &[]) else {
        return;
    };
    let report = Report::default();
    let told = report.clone();
    let origin = Origin::start(move |request| match request.path() {
        "/" => Reply::ok(SOCKET_PAGE).header("Content-Type", "text/html; charset=utf-8"),
        "/report" => told.take(request),
        _ => Reply::empty(404),
    });
    let front = front_with(
        "",
        "",
        &format!(
            "routes = [{{ path = \"/socket\", proxy = \"{address}\" }}, {{ proxy = \"{}\" }}]",
            origin.address()
        ),
    );
    let Some(text) = posted(&front, &front.url(Over::Tls, "/"), &report) else {
        return;
    };
    for (key, expected) in [
        ("heard", "h\u{e9}llo,1048576"),
        ("code", "4000"),
        ("reason", "enough"),
        ("clean", "true"),
        ("protocol", "cards"),
    ] {
        assert_eq!(json_value(&text, key).as_deref(), Some(expected), "{text}");
    }
    server.wait_for_line(|line| line == "closed 4000 enough");
    let line = (front.proxy).wait_for_access(|line| line.contains("\"path\":\"/socket\""));
    assert!(line.contains("\"tunnel\":true"), "{line}");
    let proto = json_value(&line, "proto").unwrap();
    assert!(proto.starts_with("HTTP/2"), "extended CONNECT: {line}");
}

/// The demo's own page, from the demo's own servers, with a certificate before them.
#[test]
fn a_browser_shows_the_demo_over_tls() {
    let demo =
        Program::start(Command::new(env!("CARGO_BIN_EXE_croupier")).args(["demo", "--port", "0"]));
    let open_line = demo.wait_for_line(|line| line.contains("http://"));
    let address = open_line.split("http://").nth(1).unwrap();
    let address = address.split([' ', '/']).next().unwrap();
    let front = front(&format!("proxy = \"{address}\""));
    let picture = front.proxy.directory().join("demo.png");
    let url = front.url(Over::Tls, "/");
    let Some(belief) = belief(&front) else {
        return;
    };
    let Some(chromium) = tools::need("chromium") else {
        return;
    };
    let home = front.proxy.directory().join("browser");
    let mut command = Command::new(chromium);
    command
        .env("HOME", &home)
        .arg(format!("--user-data-dir={}", home.display()))
        .arg(belief)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--timeout=5000",
        ])
        .arg(format!("--screenshot={}", picture.display()))
        .arg(&url);
    let exit = tools::run(&mut command, A_WHILE);
    assert!(Path::new(&picture).exists(), "{}", exit.stderr);
    let line = (front.proxy).wait_for_access(|line| line.contains("\"path\":\"/\""));
    assert!(line.contains("\"status\":200"), "{line}");
    let proto = json_value(&line, "proto").unwrap();
    assert!(proto.starts_with("HTTP/2"), "{line}");
    let script = (front.proxy).wait_for_access(|line| line.contains("\"path\":\"/app.js\""));
    assert!(script.contains("\"status\":200"), "{script}");
}
