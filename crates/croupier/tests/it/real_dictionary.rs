//! A browser that comes back after a deployment: what it has of the old script is the dictionary of
//! the new one (RFC 9842), which then costs what has changed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use croupier_testkit::{Event, Framing, Response, TlsClient, wait_until, wire::json_value};

use crate::{
    compress_once::available,
    prelude::{Origin, Reply},
    real_browser::{Report, open},
    real_tools::{A_WHILE, Front, Over, front_with},
    scripts::{changed, script},
};

/// A page that runs its script and posts which version it saw, and that loads itself anew once
/// there is another.
fn page(version: usize) -> String {
    format!(
        "<!doctype html><title>deployed</title><body>\
         <script src=/static/app.{version}.js></script><script type=module>\n\
         await fetch('/report', {{ method: 'POST', body: JSON.stringify({{ version, secure: \
         isSecureContext }}) }});\n\
         if (version === 1) {{ await fetch('/deployed'); location.reload(); }}\n</script>\n"
    )
}

#[test]
fn a_browser_that_comes_back_gets_what_has_changed() {
    let old = format!("{}const version = 1;\n", script(20, 500_000));
    let new = changed(&old, 3).replace("const version = 1;", "const version = 2;");
    let said = [old.clone(), new.clone()];
    let (first, second) = (Report::default(), Report::default());
    let reports = [first.clone(), second.clone()];
    let deployed = Event::new();
    let (version, now) = (Arc::new(AtomicUsize::new(1)), deployed.clone());
    let current = Arc::clone(&version);
    let origin = Origin::start(move |request| match request.path() {
        "/" => Reply::ok(page(current.load(Ordering::SeqCst)))
            .header("Content-Type", "text/html")
            .header("Cache-Control", "no-store"),
        "/static/app.1.js" | "/static/app.2.js" => {
            let at = usize::from(request.path().contains('2'));
            Reply::ok(&said[at])
                .header("Content-Type", "text/javascript")
                .header("Cache-Control", "public, max-age=31536000, immutable")
        }
        "/report" => reports[current.load(Ordering::SeqCst) - 1].take(request),
        "/deployed" => Reply::wait_for(&now).then(Reply::empty(204)),
        _ => Reply::empty(404),
    });
    let front = front_with(
        "",
        "[cache.edge]\nmemory = \"64MiB\"",
        &format!(
            "proxy = \"{}\"\ncache = \"edge\"\ncompress = {{ dictionary = true, cpu = \"100%\" }}",
            origin.address()
        ),
    );
    let Some(available) = available(front.proxy.directory(), &old) else {
        return;
    };
    let Some(browser) = open(&front, &front.url(Over::Tls, "/")) else {
        return;
    };
    assert!(first.came.wait(A_WHILE), "{}", browser.report());
    let before = by_browser(&front, "/static/app.1.js");

    // Others ask for both, so that the second is made before the browser comes back.
    until(
        &front,
        "/static/app.1.js",
        &[("Accept-Encoding", "zstd")],
        |answer| matches!(answer.framing, Framing::Length(_)),
    );
    version.store(2, Ordering::SeqCst);
    let has_it = [
        ("Accept-Encoding", "gzip, br, zstd, dcb, dcz"),
        ("Available-Dictionary", available.as_str()),
    ];
    until(&front, "/static/app.2.js", &has_it, |answer| {
        answer.headers.get("content-encoding") == Some("dcz")
    });

    deployed.fire();
    assert!(second.came.wait(A_WHILE), "{}", browser.report());
    let text = second.text();
    assert_eq!(json_value(&text, "version").as_deref(), Some("2"), "{text}");
    assert_eq!(
        json_value(&text, "secure").as_deref(),
        Some("true"),
        "{text}"
    );
    let after = by_browser(&front, "/static/app.2.js");
    println!(
        "{} bytes of script: {before} at first, {after} after",
        new.len()
    );
    assert!(
        before > 20_000 && after < 3000,
        "{before}, then {after} bytes"
    );
}

/// Bytes of the body that the browser got, which alone speaks HTTP/2.
fn by_browser(front: &Front, path: &str) -> u64 {
    let path = format!("\"path\":\"{path}\"");
    let line = (front.proxy)
        .wait_for_access(|line| line.contains(&path) && line.contains("\"proto\":\"HTTP/2"));
    json_value(&line, "bytes_out").unwrap().parse().unwrap()
}

/// Asks over HTTP/1.1 until the answer is as wanted.
#[track_caller]
fn until(front: &Front, path: &str, headers: &[(&str, &str)], wanted: impl Fn(&Response) -> bool) {
    let address = front.proxy.address();
    let is_there = wait_until(A_WHILE, || {
        let mut client = TlsClient::credulous().connect(address, "localhost");
        client = client.host(&front.place());
        wanted(&client.request("GET", path, headers, b""))
    });
    assert!(is_there, "{path}");
}
