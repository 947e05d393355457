//! A client comes back to the server that it had, by a cookie that says nothing.

use croupier_testkit::{Response, closed_address};

use crate::{
    crowd::{list, numbered, pooled, weighted},
    prelude::{Client, Origin, Reply, start},
};

const KEEP: &str = "sticky = \"seat\"\n";

/// The value of the cookie that this answer sets.
fn seat(response: &Response) -> Option<String> {
    let lines = response.headers.all("set-cookie");
    let line = lines.iter().find_map(|line| line.strip_prefix("seat="))?;
    Some(line.split(';').next()?.to_owned())
}

#[track_caller]
fn newcomer(client: &mut Client) -> (usize, String) {
    let response = client.get("/");
    let value = seat(&response).unwrap();
    (response.text().parse().unwrap(), value)
}

#[track_caller]
fn regular(client: &mut Client, value: &str) -> (usize, Option<String>) {
    let cookie = format!("theme=dark; seat={value}; lang=en");
    let response = client.request("GET", "/", &[("Cookie", &cookie)], "");
    assert_eq!(response.status, 200);
    (response.text().parse().unwrap(), seat(&response))
}

#[test]
fn the_cookie_is_given_once_and_followed() {
    let origins = numbered(4);
    let proxy = start(&pooled("", &format!("{KEEP}servers = {}", list(&origins))));
    let mut client = Client::connect(proxy.address());
    let mut seen = std::collections::HashMap::new();
    for _ in 0..20 {
        let response = client.get("/");
        let value = seat(&response).unwrap();
        assert_eq!(
            response.headers.all("set-cookie"),
            [format!("seat={value}; Path=/; HttpOnly; SameSite=Lax")]
        );
        let server: usize = response.text().parse().unwrap();
        assert_eq!(*seen.entry(value.clone()).or_insert(server), server);
        for _ in 0..5 {
            assert_eq!(regular(&mut client, &value), (server, None));
        }
    }
    for value in seen.keys() {
        let is_digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        assert!(value.len() == 32 && value.bytes().all(is_digit), "{value}");
    }
    // What else the client's cookies say is the application's.
    let kept = origins.iter().flat_map(Origin::requests).any(|request| {
        let cookie = request.header("cookie").unwrap_or_default();
        cookie.contains("theme=dark") && cookie.contains("lang=en")
    });
    assert!(kept);
}

#[test]
fn the_cookie_is_as_the_config_says() {
    let origins = numbered(2);
    let proxy = start(&pooled(
        "",
        &format!(
            "sticky = {{ cookie = \"seat\", ttl = \"90m\", path = \"/app\", secure = true, \
             same_site = \"strict\" }}\nservers = {}",
            list(&origins)
        ),
    ));
    let response = Client::connect(proxy.address()).get("/");
    let value = seat(&response).unwrap();
    assert_eq!(
        response.header("set-cookie"),
        Some(
            format!("seat={value}; Path=/app; Max-Age=5400; HttpOnly; Secure; SameSite=Strict")
                .as_str()
        )
    );
}

#[test]
fn the_applications_own_cookies_pass_beside_it() {
    let origin = Origin::start(|_| {
        Reply::ok("0")
            .header("Set-Cookie", "a=1")
            .header("Set-Cookie", "b=2; Path=/")
    });
    let proxy = start(&pooled(
        "",
        &format!("{KEEP}servers = [\"{}\"]", origin.address()),
    ));
    let response = Client::connect(proxy.address()).get("/");
    let lines = response.headers.all("set-cookie");
    assert_eq!(lines[..2], ["a=1", "b=2; Path=/"]);
    assert!(lines.len() == 3 && lines[2].starts_with("seat="));
}

#[test]
fn a_forged_value_chooses_nothing_and_is_replaced() {
    let origins = numbered(3);
    let proxy = start(&pooled("", &format!("{KEEP}servers = {}", list(&origins))));
    let mut client = Client::connect(proxy.address());
    let (_, good) = newcomer(&mut client);
    let first = if good.starts_with('0') { "1" } else { "0" };
    let forged = [
        "0".to_owned(),
        "x".repeat(32),
        "0".repeat(32),
        origins[1].address().to_string(),
        format!("{first}{}", &good[1..]),
        format!("{good}0"),
        good[1..].to_owned(),
        format!("\"{good}\""),
        String::new(),
    ];
    for value in forged {
        let (_, given) = regular(&mut client, &value);
        let given = given.unwrap_or_else(|| panic!("{value:?} was taken for a seat"));
        assert_ne!(given, value);
    }
}

#[test]
fn seats_survive_a_reload_that_adds_a_server() {
    let origins = numbered(4);
    let config = |origins: &[Origin], more: &str| {
        pooled("", &format!("{KEEP}{more}servers = {}", list(origins)))
    };
    let proxy = start(&config(&origins[1..], ""));
    let mut client = Client::connect(proxy.address());
    let seats: Vec<_> = (0..10).map(|_| newcomer(&mut client)).collect();
    // The list begins with the new one: who was first is second now.
    let line = proxy.reload(&config(&origins, "balance = \"random\"\n"));
    assert!(line.contains("config.reloaded"), "{line}");
    for (server, value) in seats {
        assert_eq!(regular(&mut client, &value), (server, None));
    }
}

#[test]
fn when_the_server_dies_the_client_gets_another_seat() {
    let origins = numbered(3);
    let proxy = start(&pooled("", &format!("{KEEP}servers = {}", list(&origins))));
    let mut client = Client::connect(proxy.address());
    let (old, value) = newcomer(&mut client);
    origins[old].stop();
    let (new, given) = regular(&mut client, &value);
    let given = given.unwrap();
    assert!(new != old && given != value);
    assert_eq!(regular(&mut client, &given), (new, None));
    // Its session lives there now, so it stays when the old one is back.
    origins[old].restart();
    for _ in 0..10 {
        assert_eq!(regular(&mut client, &given), (new, None));
    }
}

#[test]
fn a_server_of_weight_0_keeps_the_clients_that_it_has() {
    let origins = numbered(3);
    let config = |weight: &str| {
        let servers = weighted(&origins, &["", weight, ""]);
        pooled(
            "",
            &format!("{KEEP}balance = \"round-robin\"\nservers = {servers}"),
        )
    };
    let proxy = start(&config(""));
    let mut client = Client::connect(proxy.address());
    let value = loop {
        let (server, value) = newcomer(&mut client);
        if server == 1 {
            break value;
        }
    };
    proxy.reload(&config("weight = 0"));
    for _ in 0..10 {
        assert_eq!(regular(&mut client, &value), (1, None));
        assert_ne!(newcomer(&mut client).0, 1);
    }
}

#[test]
fn a_secret_gives_the_same_seats_after_a_restart_and_nobody_elses() {
    let origins = numbered(2);
    let config = |secret: &str| {
        pooled(
            "",
            &format!(
                "balance = \"round-robin\"\nsticky = {{ cookie = \"seat\"{secret} }}\nservers = {}",
                list(&origins)
            ),
        )
    };
    let seats = |config: &str| {
        let proxy = start(config);
        let mut client = Client::connect(proxy.address());
        let mut both = [newcomer(&mut client), newcomer(&mut client)];
        both.sort();
        both
    };
    let known = config(", secret = \"sixteen bytes and some\"");
    assert_eq!(seats(&known), seats(&known));
    assert_ne!(
        seats(&known),
        seats(&config(", secret = \"sixteen bytes and more\""))
    );
    assert_ne!(seats(&config("")), seats(&config("")));
}

#[test]
fn a_secret_may_be_in_a_file_or_in_the_environment() {
    let origins = numbered(1);
    let launch = crate::prelude::Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"))
        .file("secret", "sixteen bytes and some\n")
        .environment("SEAT_SECRET", "sixteen bytes and some");
    let config = |pool: &str| {
        pooled(
            "",
            &format!(
                "sticky = {{ cookie = \"seat\", secret = {pool} }}\nservers = {}",
                list(&origins)
            ),
        )
    };
    let file = launch.directory().join("secret");
    let proxy = launch.start(&config(&format!("{{ file = \"{}\" }}", file.display())));
    let mut client = Client::connect(proxy.address());
    let (_, value) = newcomer(&mut client);
    for other in ["{ env = \"SEAT_SECRET\" }", "\"sixteen bytes and some\""] {
        proxy.reload(&config(other));
        assert_eq!(regular(&mut client, &value), (0, None), "{other}");
    }
}

#[test]
fn a_websocket_takes_its_seat_with_the_handshake() {
    let origins: Vec<_> = (0..3)
        .map(|n| {
            Origin::start(move |_| Reply::switch_to_websocket().then(Reply::bytes(n.to_string())))
        })
        .collect();
    let proxy = start(&pooled("", &format!("{KEEP}servers = {}", list(&origins))));
    let upgrade = |cookie: &str| {
        let mut client = Client::connect(proxy.address());
        let fields = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Cookie", cookie),
        ];
        let response = client.send_request("GET", "/", &fields, "").read_head();
        assert_eq!(response.status, 101);
        (client.read_bytes(1), seat(&response))
    };
    let (server, value) = upgrade("a=b");
    let cookie = format!("seat={}", value.unwrap());
    for _ in 0..6 {
        assert_eq!(upgrade(&cookie), (server.clone(), None));
    }
}

#[test]
fn interim_answers_and_our_own_carry_no_seat() {
    let origin = Origin::start(|_| {
        Reply::interim(103)
            .header("Link", "</a.css>")
            .then(Reply::ok("0"))
    });
    let proxy = start(&pooled(
        "",
        &format!("{KEEP}servers = [\"{}\"]", origin.address()),
    ));
    let response = Client::connect(proxy.address()).get("/");
    assert!(seat(&response).is_some());
    let interim = &response.interim[0];
    assert!(!interim.headers.has("set-cookie"));
    let nobody = start(&pooled(
        "",
        &format!(
            "{KEEP}queue = {{ requests = 0 }}\nservers = [\"{}\"]",
            closed_address()
        ),
    ));
    let response = Client::connect(nobody.address()).get("/");
    assert!([502, 503].contains(&response.status));
    assert!(!response.headers.has("set-cookie"));
}
