//! WebSockets between Python's `websockets` on both sides, over HTTP/1.1 plain and over TLS.

use crate::real_tools::{Over, front, front_with, outcome, play, python_server};

#[test]
fn python_websockets_talk_through_the_proxy() {
    let Some((server, address)) = python_server("websocket_server.py", &[]) else {
        return;
    };
    let front = front(&format!(
        "routes = [{{ path = \"/denied\", deny = 403 }}, {{ proxy = \"{address}\" }}]"
    ));
    for over in [Over::Plain, Over::Tls] {
        let scheme = if over == Over::Tls { "wss" } else { "ws" };
        let authority = front.authority();
        let authority = (over == Over::Tls).then_some(authority.as_path());
        let to = format!("{scheme}://{}", front.place());
        let cases = [
            "talk", "large", "ping", "knock", "leave", "farewell", "refused",
        ];
        let Some(exit) = play("websocket_client.py", &to, authority, &cases) else {
            return;
        };
        for (case, expected) in [
            (
                "talk",
                "('h\u{e9}llo', b'\\x00\\x01\\xff', '', 'in three frames', 'cards', \
                 ['PerMessageDeflate'])",
            ),
            ("large", "True"),
            ("ping", "True"),
            ("knock", "still here"),
            ("leave", "(4000, 'my cards are bad')"),
            ("farewell", "(4001, 'the table is closed')"),
            ("refused", "403"),
        ] {
            assert_eq!(outcome(&exit, case), expected, "{over:?} {case}");
        }
    }
    server.wait_for_line(|line| line == "closed 4000 my cards are bad");
    server.wait_for_line(|line| line == "pong True");
}

#[test]
fn python_sees_the_end_of_a_server_that_dies() {
    let Some((server, address)) = python_server("websocket_server.py", &[]) else {
        return;
    };
    let front = front_with(
        "",
        &format!("[pool.echo]\nservers = [\"{address}\"]\nqueue = {{ requests = 0 }}"),
        "pool = \"echo\"",
    );
    let to = format!("wss://{}", front.place());
    let Some(exit) = play(
        "websocket_client.py",
        &to,
        Some(&front.authority()),
        &["ping"],
    ) else {
        return;
    };
    assert_eq!(outcome(&exit, "ping"), "True");
    drop(server);
    let Some(exit) = play(
        "websocket_client.py",
        &to,
        Some(&front.authority()),
        &["refused"],
    ) else {
        return;
    };
    assert!(["502", "503"].contains(&outcome(&exit, "refused").as_str()));
}
