//! The demo plays itself, and plays with a person.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use crate::prelude::{Client, Proxy, SOON};

#[test]
fn a_scripted_round_loses_nothing() {
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let exit = launch
        .patience(Duration::from_secs(60))
        .run(&["demo", "--once"]);
    assert_eq!(exit.code, Some(0), "{}\n{}", exit.stdout, exit.stderr);
    assert!(
        exit.stdout.contains("died and came back"),
        "{}",
        exit.stdout
    );
    for word in ["miss", "hit", "collapsed", "stale"] {
        let says = |line: &str| line.ends_with(&format!(" {word}"));
        assert!(exit.stdout.lines().any(says), "{word}: {}", exit.stdout);
    }
    assert!(exit.stdout.ends_with(", 0 failed"), "{}", exit.stdout);
    assert_eq!(exit.stderr, "");
    let is_narrow = |line: &str| line.chars().count() <= 80;
    assert!(exit.stdout.lines().all(is_narrow), "{}", exit.stdout);
    assert!(!exit.stdout.contains('\x1b'), "no color without a terminal");
}

/// Ends with its test.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_player_stops_a_server_and_starts_it_again() {
    let mut demo = Demo(
        Command::new(env!("CARGO_BIN_EXE_croupier"))
            .args(["demo", "--port", "0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut keys = demo.0.stdin.take().unwrap();
    let output = BufReader::new(demo.0.stdout.take().unwrap());
    let (line, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for text in output.lines().map_while(Result::ok) {
            let _ = line.send(text);
        }
    });
    let wait = |wanted: &str| loop {
        match lines.recv_timeout(SOON) {
            Ok(line) if line.contains(wanted) => return line,
            Ok(_) => {}
            Err(error) => panic!("`{wanted}` does not come: {error}"),
        }
    };
    let open = wait("open");
    let address = open.split("http://").nth(1).unwrap();
    let address = address.split(' ').next().unwrap().parse().unwrap();
    wait("keys");

    let suits = |count: usize| {
        let mut suits: Vec<String> = (0..count)
            .map(|_| {
                let answer = Client::connect(address).get("/card");
                assert_eq!(answer.status, 200);
                let text = answer.text();
                text.split("\"suit\":\"").nth(1).unwrap()[..5].to_owned()
            })
            .collect();
        suits.sort();
        suits.dedup();
        suits
    };
    assert_eq!(suits(3), ["clubs", "diamo", "heart"]);
    keys.write_all(b"2\n").unwrap();
    wait("2 ♦ diamonds stopped");
    assert_eq!(suits(6), ["clubs", "heart"]);
    wait(" +");
    keys.write_all(b"2\n").unwrap();
    wait("2 ♦ diamonds is back");
    keys.write_all(b"what?\n").unwrap();
    wait("2 ♦ diamonds up");
    keys.write_all(b"q\n").unwrap();
    wait("9 requests dealt, 1 moved, 0 failed");
    assert!(demo.0.wait().unwrap().success());
}

#[test]
fn a_port_that_is_taken_is_an_error_that_says_so() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let exit = launch.run(&["demo", "--once", "--port", &port]);
    assert_eq!(exit.code, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("address already in use"), "{exit:?}");
}
