//! curl as a client: every version of HTTP, over TLS and plain, each with the same exchanges.

use std::{fs, process::Command};

use croupier_testkit::{
    Exit, Request,
    tools::{self, need},
    wire::{json_value, pattern},
};

use crate::{
    prelude::{Origin, Reply},
    real_tools::{A_WHILE, Front, Over, front, front_with},
};

/// Ways in which curl may come, and the version it must then speak.
const WAYS: [(Over, &str, &str); 4] = [
    (Over::Plain, "--http1.1", "1.1"),
    (Over::Plain, "--http2-prior-knowledge", "2"),
    (Over::Tls, "--http1.1", "1.1"),
    (Over::Tls, "--http2", "2"),
];

/// curl in the proxy's directory.
fn curl(front: &Front, arguments: &[&str]) -> Exit {
    let mut command = Command::new("curl");
    command
        .current_dir(front.proxy.directory())
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "50",
            "--noproxy",
            "*",
        ])
        .args(["--cacert", "ca.pem", "--resolve"])
        .arg(format!("{}:127.0.0.1", front.place()))
        .args(arguments);
    tools::run(&mut command, A_WHILE)
}

/// The same; gives what it printed and wants success.
#[track_caller]
fn fetch(front: &Front, arguments: &[&str]) -> String {
    let exit = curl(front, arguments);
    assert_eq!(exit.code, Some(0), "curl {arguments:?}: {}", exit.stderr);
    exit.stdout
}

fn answer(request: &Request) -> Reply {
    match (request.method.as_str(), request.path()) {
        ("HEAD", "/file") => Reply::head(200).length(123_456).header("ETag", "\"f\""),
        ("GET", "/file") => ranged(request),
        ("GET", "/trailers") => Reply::empty(200)
            .header("Trailer", "X-Sum")
            .chunked(&["some ", "pieces"])
            .trailer("X-Sum", "42"),
        ("GET", "/hints") => Reply::interim(103)
            .header("Link", "</style.css>; rel=preload")
            .then(Reply::ok("hinted")),
        ("GET", "/large") => Reply::ok(pattern(20_000_000)),
        ("GET", "/nothing") => Reply::empty(204),
        ("GET", _) => Reply::ok(format!("you asked for {}", request.target)),
        _ => Reply::ok(format!("{} {} bytes", request.method, request.body.len())),
    }
}

/// A file that knows ranges.
fn ranged(request: &Request) -> Reply {
    let file = pattern(3_000_000);
    let from = (request.header("range")).and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    match from {
        Some(from) => Reply::ok(&file[from..]).status(206).header(
            "Content-Range",
            &format!("bytes {from}-{}/{}", file.len() - 1, file.len()),
        ),
        None => Reply::ok(&file),
    }
}

#[test]
fn curl_does_everything_in_every_version() {
    if need("curl").is_none() {
        return;
    }
    let origin = Origin::start(answer);
    let front = front(&format!("proxy = \"{}\"", origin.address()));
    let file = pattern(9_000_000);
    let folder = front.proxy.directory();
    fs::write(folder.join("upload"), &file).unwrap();
    for (over, version, expected) in WAYS {
        let way = format!("{over:?} {version}");
        let url = |path: &str| front.url(over, path);
        let version_of = |path: &str| {
            let format = "%{http_version} %{http_code}";
            fetch(
                &front,
                &[version, "-o", "/dev/null", "-w", format, &url(path)],
            )
        };
        assert_eq!(version_of("/nothing"), format!("{expected} 204"), "{way}");
        let text = fetch(&front, &[version, &url("/cards?suit=hearts")]);
        assert_eq!(text, "you asked for /cards?suit=hearts", "{way}");

        let head = fetch(&front, &[version, "--head", &url("/file")]).to_lowercase();
        assert!(head.contains("content-length: 123456"), "{way}: {head}");
        assert!(head.contains("etag: \"f\""), "{way}: {head}");

        for arguments in [
            &["--data-binary", "@upload"][..],
            &["--data-binary", "@upload", "-H", "Expect: 100-continue"],
            &["--upload-file", "upload"],
        ] {
            let before = origin.requests().len();
            let sent = fetch(
                &front,
                &[&[version], arguments, &[&url("/upload")]].concat(),
            );
            let method = if arguments[0] == "--upload-file" {
                "PUT"
            } else {
                "POST"
            };
            assert_eq!(sent, format!("{method} 9000000 bytes"), "{way}");
            assert!(
                origin.requests()[before].body == file,
                "{way}: the upload changed"
            );
        }

        let parts = ["-o", "part", "-C", "-"];
        fs::write(folder.join("part"), &pattern(3_000_000)[..1_000_000]).unwrap();
        fetch(&front, &[&[version], &parts[..], &[&url("/file")]].concat());
        let whole = fs::read(folder.join("part")).unwrap();
        assert!(whole == pattern(3_000_000), "{way}: {} bytes", whole.len());

        fetch(&front, &[version, "-o", "large", &url("/large")]);
        let large = fs::read(folder.join("large")).unwrap();
        assert!(large == pattern(20_000_000), "{way}: {} bytes", large.len());

        let heads = fetch(
            &front,
            &[version, "-D", "-", "-H", "TE: trailers", &url("/trailers")],
        );
        assert!(heads.contains("some pieces"), "{way}: {heads}");
        assert!(heads.to_lowercase().contains("x-sum: 42"), "{way}: {heads}");

        let heads = fetch(&front, &[version, "-D", "-", &url("/hints")]);
        assert!(heads.contains(" 103"), "{way}: {heads}");
        assert!(heads.ends_with("hinted"), "{way}: {heads}");
    }
}

#[test]
fn a_hundred_downloads_of_curl_share_one_connection() {
    if need("curl").is_none() {
        return;
    }
    let origin = Origin::start(|_| Reply::ok(pattern(100_000)));
    let front = front(&format!("proxy = \"{}\"", origin.address()));
    // Over TLS only: this curl cannot do it by prior knowledge, whoever the server is.
    let url = front.url(Over::Tls, "/[1-100]");
    let format = "%{http_code} %{size_download} %{http_version} %{num_connects}\\n";
    let many = ["--http2", "--parallel", "--parallel-max", "40"];
    let quiet = ["-o", "/dev/null", "-w", format, &url];
    let lines = fetch(&front, &[&many[..], &quiet[..]].concat());
    let right = lines
        .lines()
        .filter(|line| line.starts_with("200 100000 2 "));
    assert_eq!(right.count(), 100, "{lines}");
    let connects = lines.lines().filter(|line| !line.ends_with(" 0")).count();
    assert_eq!(connects, 1, "{lines}");
}

#[test]
fn the_log_names_the_version_and_the_scheme() {
    if need("curl").is_none() {
        return;
    }
    let origin = Origin::start(|_| Reply::ok(""));
    let front = front(&format!("proxy = \"{}\"", origin.address()));
    for (index, (over, version, expected)) in WAYS.into_iter().enumerate() {
        let path = format!("/way{index}");
        fetch(&front, &[version, &front.url(over, &path)]);
        let line = front.proxy.wait_for_access(|line| line.contains(&path));
        let proto = json_value(&line, "proto").unwrap();
        assert!(proto.starts_with(&format!("HTTP/{expected}")), "{line}");
        let scheme = if over == Over::Tls { "https" } else { "http" };
        assert_eq!(
            json_value(&line, "scheme").as_deref(),
            Some(scheme),
            "{line}"
        );
        let request = &origin.requests()[index];
        assert_eq!(request.header("x-forwarded-proto"), Some(scheme));
    }
}

#[test]
fn the_old_upgrade_to_http2_is_passed_over() {
    if need("curl").is_none() {
        return;
    }
    let origin = Origin::start(|_| Reply::ok("as before"));
    let front = front(&format!("proxy = \"{}\"", origin.address()));
    let url = front.url(Over::Plain, "/");
    let text = fetch(&front, &["--http2", "-w", " %{http_version}", &url]);
    assert_eq!(text, "as before 1.1");
    let request = &origin.requests()[0];
    assert!(!request.headers.has("http2-settings") && !request.headers.has("upgrade"));
}

#[test]
fn curl_believes_only_the_authority_it_was_given() {
    if need("curl").is_none() {
        return;
    }
    let origin = Origin::start(|_| Reply::ok("in"));
    let front = front(&format!("proxy = \"{}\"", origin.address()));
    let url = front.url(Over::Tls, "/");
    let ten_times = format!("{url}?[1-10]");
    assert_eq!(fetch(&front, &[&ten_times]), "in".repeat(10));
    for version in [
        &["--tlsv1.2", "--tls-max", "1.2"][..],
        &["--tlsv1.3"][..],
        &["--tlsv1.3", "--curves", "X25519"][..],
        &["--tlsv1.3", "--curves", "P-256"][..],
    ] {
        assert_eq!(
            fetch(&front, &[version, &[&url]].concat()),
            "in",
            "{version:?}"
        );
    }
    // 60: the certificate is not believed; 35: no version in common.
    let exit = curl(
        &front,
        &["--cacert", "/etc/ssl/certs/ca-certificates.crt", &url],
    );
    assert_eq!(exit.code, Some(60), "{}", exit.stderr);
    let exit = curl(&front, &["--tls-max", "1.1", &url]);
    assert_eq!(exit.code, Some(35), "{}", exit.stderr);
}

#[test]
fn curl_brings_a_proxy_header() {
    if need("curl").is_none() {
        return;
    }
    let origin = Origin::start(|_| Reply::ok("in"));
    let front = front_with(
        "proxy_protocol = [\"127.0.0.1\"]",
        "",
        &format!("proxy = \"{}\"", origin.address()),
    );
    for (over, version, _) in WAYS {
        let url = front.url(over, "/");
        assert_eq!(fetch(&front, &[version, "--haproxy-protocol", &url]), "in");
        let exit = curl(&front, &[version, &url]);
        assert_ne!(exit.code, Some(0), "{over:?} {version} without the header");
    }
}
