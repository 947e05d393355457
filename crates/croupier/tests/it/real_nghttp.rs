//! nghttp2's tools as a second opinion on HTTP/2, beside curl, which shares their library but not
//! their habits: frames as they came, and many streams at once.

use std::{fs, process::Command};

use croupier_testkit::{
    tools::{self, need},
    wire::pattern,
};

use crate::{
    prelude::{Origin, Reply},
    real_tools::{A_WHILE, Over, front},
};

#[test]
fn a_crowd_of_streams_is_served_whole() {
    let Some(h2load) = need("h2load") else { return };
    let origin = Origin::builder()
        .forget_bodies()
        .start(|_| Reply::ok(pattern(10_000)));
    let front = front(&format!("proxy = \"{}\"", origin.address()));
    for over in [Over::Plain, Over::Tls] {
        let mut command = Command::new(&h2load);
        command
            .args(["-n", "2000", "-c", "4", "-m", "32"])
            .arg(front.url(over, "/"));
        let exit = tools::run(&mut command, A_WHILE);
        let text = exit.stdout;
        assert_eq!(exit.code, Some(0), "{text}");
        assert!(
            text.contains("2000 succeeded, 0 failed"),
            "{over:?}: {text}"
        );
        assert!(text.contains("status codes: 2000 2xx"), "{over:?}: {text}");
        assert!(text.contains("20000000) data"), "{over:?}: {text}");
    }
}

#[test]
fn frames_are_as_they_should_be() {
    let Some(nghttp) = need("nghttp") else { return };
    let origin = Origin::start(|request| match request.path() {
        "/trailers" => Reply::empty(200)
            .header("Trailer", "X-Sum")
            .chunked(&["some ", "pieces"])
            .trailer("X-Sum", "42"),
        "/nothing" => Reply::empty(204),
        _ => Reply::ok(format!("{} bytes", request.body.len())),
    });
    let front = front(&format!("proxy = \"{}\"", origin.address()));
    let folder = front.proxy.directory();
    fs::write(folder.join("upload"), pattern(3_000_000)).unwrap();
    for over in [Over::Plain, Over::Tls] {
        let run = |arguments: &[&str], path: &str| {
            let mut command = Command::new(&nghttp);
            command
                .current_dir(folder)
                .arg("-v")
                .args(arguments)
                .arg(front.url(over, path));
            let exit = tools::run(&mut command, A_WHILE);
            assert_eq!(exit.code, Some(0), "{}{}", exit.stdout, exit.stderr);
            assert!(
                !exit.stdout.contains("error_code=PROTOCOL"),
                "{}",
                exit.stdout
            );
            exit.stdout
        };
        let text = run(&["-H", "te: trailers"], "/trailers");
        assert!(text.contains("x-sum: 42"), "{over:?}: {text}");
        assert!(!text.contains("transfer-encoding"), "{over:?}: {text}");
        assert!(!text.contains("connection:"), "{over:?}: {text}");
        // No connection preface of the server without its settings (RFC 9113, 3.4).
        assert!(text.contains("recv SETTINGS frame"), "{over:?}: {text}");
        let settings = [
            "SETTINGS_MAX_CONCURRENT_STREAMS",
            "SETTINGS_ENABLE_CONNECT_PROTOCOL",
        ];
        for name in settings {
            let number = if name.contains("CONNECT_PROTOCOL") {
                "0x08"
            } else {
                "0x03"
            };
            assert!(
                text.contains(name) || text.contains(number),
                "{name}: {text}"
            );
        }
        let text = run(&[], "/nothing");
        let end = "END_STREAM | END_HEADERS";
        assert!(text.contains(end), "one frame is enough: {over:?}: {text}");
        let text = run(&["-d", "upload"], "/upload");
        assert!(text.contains("3000000 bytes"), "{over:?}: {text}");
        // A window of its own choice must be obeyed.
        let text = run(&["-w", "14", "-W", "14", "-d", "upload"], "/upload");
        assert!(text.contains("3000000 bytes"), "{over:?}: {text}");
    }
}
