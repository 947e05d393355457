//! gRPC between `grpcio` on both sides: over TLS and plain, to servers that speak h2c.

use std::path::Path;

use croupier_testkit::{
    Exit, closed_address,
    tls::Authority,
    tools::{self, Program},
};

use crate::{
    prelude::{Origin, Reply},
    real_tools::{A_WHILE, Front, Over, front, front_with, outcome, play, python, python_server},
};

/// A proxy before one gRPC server.
fn table(address: &str, pool: &str) -> Front {
    front_with(
        "",
        &format!("[pool.table]\nservers = [\"{address}\"]\nprotocol = \"h2c\"\n{pool}"),
        "pool = \"table\"",
    )
}

#[track_caller]
fn call(front: &Front, over: Over, cases: &[&str]) -> Option<Exit> {
    let authority = front.authority();
    let authority = (over == Over::Tls).then_some(authority.as_path());
    play("grpc_client.py", &front.place(), authority, cases)
}

#[test]
fn calls_of_every_kind_pass() {
    let Some((server, address)) = python_server("grpc_server.py", &[]) else {
        return;
    };
    let front = table(&address, "");
    for over in [Over::Plain, Over::Tls] {
        let expected = [
            ("unary", "(True, 'first', 'hearts', b'\\x00\\xff')"),
            ("empty", "b''"),
            ("large", "True"),
            ("client_stream", "2000 2000000"),
            ("server_stream", "(2000, True)"),
            (
                "bidi",
                "('you said knock|you said knock|you said who', [], 'OK')",
            ),
            ("refused", "[True, True, True, True]"),
            (
                "failed_late",
                "([b'one', b'two'], 'DATA_LOSS lost the rest: 100 %\u{f6}')",
            ),
            ("unknown_method", "UNIMPLEMENTED"),
            ("many", "100"),
        ];
        let cases: Vec<&str> = expected.iter().map(|(case, _)| *case).collect();
        let Some(exit) = call(&front, over, &cases) else {
            return;
        };
        for (case, expected) in expected {
            assert_eq!(outcome(&exit, case), expected, "{over:?} {case}");
        }
    }
    drop(server);
}

#[test]
fn the_server_hears_when_its_client_gives_up() {
    let Some((server, address)) = python_server("grpc_server.py", &[]) else {
        return;
    };
    let front = table(&address, "");
    let Some(exit) = call(&front, Over::Tls, &["cancelled", "cancelled_unary", "late"]) else {
        return;
    };
    assert_eq!(outcome(&exit, "cancelled"), "(b'hello', 'CANCELLED')");
    assert_eq!(outcome(&exit, "cancelled_unary"), "True");
    assert_eq!(outcome(&exit, "late"), "DEADLINE_EXCEEDED");
    for call in ["cancelled", "cancelled_unary", "late"] {
        server.wait_for_line(|line| line == format!("ended {call}"));
    }
}

/// The time that a server was told is left, in seconds.
#[track_caller]
fn seconds(exit: &Exit, case: &str) -> f64 {
    let text = outcome(exit, case);
    text.parse()
        .unwrap_or_else(|_| panic!("`{text}` is no number"))
}

#[test]
fn a_timeout_goes_on_shortened_by_what_was_spent_waiting() {
    let Some((server, address)) = python_server("grpc_server.py", &[]) else {
        return;
    };
    let one_place = format!(
        "[pool.table]\nservers = [{{ address = \"{address}\", max_requests = 1 }}]\n\
         protocol = \"h2c\"\nqueue = {{ time = \"20s\" }}"
    );
    let front = front_with("", &one_place, "pool = \"table\"");
    let Some(exit) = call(&front, Over::Tls, &["remaining", "endless", "held"]) else {
        return;
    };
    let unhindered = seconds(&exit, "remaining");
    assert!((4.0..=5.1).contains(&unhindered), "{unhindered}");
    assert!(seconds(&exit, "endless") > 1e9);
    // It waited for about 1.5 seconds.
    let held = seconds(&exit, "held");
    assert!((1.0..=4.0).contains(&held), "{held}");
    drop(server);
}

#[test]
fn the_proxy_s_own_limit_is_what_a_server_is_told_when_it_is_less() {
    let Some((server, address)) = python_server("grpc_server.py", &[]) else {
        return;
    };
    let front = table(&address, "timeout = { exchange = \"2s\" }");
    let Some(exit) = call(&front, Over::Plain, &["remaining"]) else {
        return;
    };
    let told = seconds(&exit, "remaining");
    assert!((1.0..=2.1).contains(&told), "{told}");
    drop(server);
}

#[test]
fn a_fault_is_told_in_the_words_of_grpc() {
    let nowhere = closed_address().to_string();
    let front = table(&nowhere, "retry = false\nqueue = { requests = 0 }");
    for over in [Over::Plain, Over::Tls] {
        let Some(exit) = call(&front, over, &["fault"]) else {
            return;
        };
        assert_eq!(
            outcome(&exit, "fault"),
            "UNAVAILABLE origin.connect.refused: the server refused the connection",
            "{over:?}"
        );
    }
    for (site, expected) in [
        ("deny = 403", "PERMISSION_DENIED proxy.denied: "),
        ("deny = 401", "UNAUTHENTICATED proxy.denied: "),
        ("deny = 429", "UNAVAILABLE proxy.denied: "),
        (
            "routes = [{ path = \"/none\", deny = 403 }]",
            "UNIMPLEMENTED proxy.route.none: ",
        ),
    ] {
        let front = front_with("", "", site);
        let Some(exit) = call(&front, Over::Tls, &["fault"]) else {
            return;
        };
        let fault = outcome(&exit, "fault");
        assert!(fault.starts_with(expected), "{site}: {fault}");
    }
}

#[test]
fn a_stream_whose_server_dies_ends_with_an_error() {
    let Some((server, address)) = python_server("grpc_server.py", &[]) else {
        return;
    };
    let front = table(&address, "");
    let Some(mut command) = python("grpc_client.py") else {
        return;
    };
    let mut client = Program::start(
        command
            .arg(front.place())
            .arg(front.authority())
            .arg("broken_stream"),
    );
    client.wait_for_line(|line| line == "first hello");
    drop(server);
    let exit = client.wait_exit(A_WHILE);
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    let end = outcome(&exit, "broken_stream");
    assert!(
        end.starts_with("UNAVAILABLE origin."),
        "a dead server is unavailable: {end}"
    );
}

#[test]
fn a_deadline_is_kept_for_ends_that_do_not() {
    if tools::need("curl").is_none() {
        return;
    }
    // A server that knows nothing of calls.
    let server = Origin::start(|request| match request.path() {
        "/deal.Table/Begun" => Reply::head(200)
            .header("Content-Type", "application/grpc")
            .chunked::<&str>(&[])
            .then(Reply::chunk([0; 5]))
            .then(Reply::stall()),
        _ => Reply::stall(),
    });
    let front = front(&format!("proxy = \"{}\"", server.address()));
    let directory = front.proxy.directory();
    // One message of no bytes: a flag and a length.
    std::fs::write(directory.join("message"), [0; 5]).unwrap();
    for (over, version) in [
        (Over::Tls, "--http2"),
        (Over::Plain, "--http2-prior-knowledge"),
    ] {
        for path in ["/deal.Table/Silent", "/deal.Table/Begun"] {
            let before = server.requests().len();
            let mut curl = std::process::Command::new("curl");
            curl.current_dir(directory)
                .args(["--silent", "--show-error", "--cacert", "ca.pem", version])
                .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
                .args(["-H", "grpc-timeout: 1S", "--data-binary", "@message"])
                .args(["-D", "-", "-o", "/dev/null"])
                .arg(front.url(over, path));
            let exit = tools::run(&mut curl, A_WHILE);
            let text = exit.stdout;
            assert_eq!(exit.code, Some(0), "{over:?} {path}: {text}{}", exit.stderr);
            assert!(text.starts_with("HTTP/2 200"), "{over:?} {path}: {text}");
            assert!(text.contains("grpc-status: 4"), "{over:?} {path}: {text}");
            let message = "grpc-message: proxy.exchange.timeout: the call took longer";
            assert!(text.contains(message), "{over:?} {path}: {text}");
            // Shortened by what it took to get there.
            let request = &server.requests()[before];
            let told = request.header("grpc-timeout").unwrap();
            let told: u32 = told.strip_suffix('u').unwrap().parse().unwrap();
            assert!((100_000..1_000_000).contains(&told), "{told}");
        }
    }
    let line = (front.proxy).wait_for_access(|line| line.contains("proxy.exchange.timeout"));
    assert!(line.contains("\"status\":200"), "{line}");
}

/// A server with a certificate of its own, over TLS and HTTP/2.
#[test]
fn calls_pass_to_a_server_over_tls() {
    let authority = Authority::new("an authority of the inside");
    let shown = authority.issue(&["table.internal"]);
    let folder = std::env::temp_dir().join(format!("croupier-grpc-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name);
    std::fs::write(path("ca.pem"), authority.pem()).unwrap();
    std::fs::write(path("chain.pem"), shown.certificate).unwrap();
    std::fs::write(path("key.pem"), shown.key).unwrap();
    let files: [&Path; 2] = [&path("chain.pem"), &path("key.pem")];
    let server = python_server("grpc_server.py", &files);
    let Some((server, address)) = server else {
        return;
    };
    let front = front_with(
        "",
        &format!(
            "[pool.table]\nservers = [\"{address}\"]\nprotocol = \"https\"\n\
             tls = {{ ca = \"{}\", name = \"table.internal\" }}",
            path("ca.pem").display()
        ),
        "pool = \"table\"",
    );
    let exit = call(&front, Over::Tls, &["unary", "bidi", "large", "refused"]);
    let _ = std::fs::remove_dir_all(&folder);
    let Some(exit) = exit else { return };
    assert!(outcome(&exit, "unary").starts_with("(True, "));
    assert!(outcome(&exit, "bidi").ends_with("'OK')"));
    assert_eq!(outcome(&exit, "large"), "True");
    assert_eq!(outcome(&exit, "refused"), "[True, True, True, True]");
    drop(server);
}
