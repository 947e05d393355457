//! Every example is checked, started and asked something; every config in the documents is read.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use croupier_config::Config;

use crate::prelude::{Client, Origin, Proxy, Reply};

/// A file of `examples/`, a request to it, and what comes back: the status, and a text from the
/// server or from the config.
const QUESTIONS: &[(&str, &str, &str, u16, &str)] = &[
    ("two-lines", "app.example.com", "/x", 200, "server got /x"),
    (
        "shop",
        "shop.example.com",
        "/api/items?page=2",
        200,
        "server got /items?page=2",
    ),
    (
        "many-sites",
        "nobody.example.org",
        "/",
        404,
        "no such site here",
    ),
    (
        "behind-a-load-balancer",
        "any.example.org",
        "/",
        200,
        "server got /",
    ),
    (
        "streams-and-websockets",
        "any.example.org",
        "/socket/chat",
        426,
        "a WebSocket is spoken here",
    ),
    (
        "hardened",
        "api.example.com",
        "/v1/orders",
        200,
        "server got /v1/orders",
    ),
    (
        "cache",
        "shop.example.com",
        "/assets/app.css?utm_source=mail&v=2",
        200,
        "server got /assets/app.css?v=2",
    ),
    ("https", "shop.your-domain.org", "/hats", 308, ""),
    (
        "highly-available",
        "shop.example.com",
        "/hats",
        200,
        "server got /hats",
    ),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files of a directory of the repository.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join(directory)).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect();
    files.sort();
    files
}

#[test]
fn every_example_is_asked_something() {
    let names: Vec<String> = files("examples", "toml")
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    for name in &names {
        assert!(
            QUESTIONS.iter().any(|question| question.0 == name),
            "{name}"
        );
    }
    assert_eq!(names.len(), QUESTIONS.len());
}

#[test]
fn every_example_is_valid_and_passes_its_own_tests() {
    for path in files("examples", "toml") {
        let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
        let path = path.display().to_string();
        let exit = launch.run(&["check", "--deny-warnings", "-c", &path]);
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    }
}

#[test]
fn every_example_runs_and_answers() {
    let origin = Origin::start(|request| Reply::ok(format!("server got {}", request.target)));
    for (name, host, path, status, text) in QUESTIONS {
        let file = repository().join(format!("examples/{name}.toml"));
        let config = std::fs::read_to_string(file).unwrap();
        let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
        let home = launch.directory().display().to_string();
        let proxy = launch.start(&at_home(&config, &home, origin.address()));
        let answer = Client::connect(proxy.address()).host(host).get(path);
        assert_eq!(answer.status, *status, "{name}");
        assert!(answer.text().contains(text), "{name}: {}", answer.text());
    }
}

/// The config with addresses and paths of this test in place of its own.
fn at_home(config: &str, home: &str, origin: SocketAddr) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut listens = false;
    for line in config.lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        lines.push(match key {
            "listen" => {
                listens = true;
                "listen = [\"127.0.0.1:0\"]".into()
            }
            "admin" => format!("admin = \"unix:{home}/admin.sock\""),
            "metrics" => "metrics = \"127.0.0.1:0\"".into(),
            "state" => format!("state = \"{home}/state\""),
            // A story goes to no authority of the world.
            "directory" => "directory = \"https://127.0.0.1:1/\"".into(),
            "access_log" => format!("access_log = \"{home}/access.log\""),
            _ => with_servers(line, origin),
        });
    }
    let text = lines.join("\n");
    if listens {
        return text;
    }
    format!("[server]\nlisten = [\"127.0.0.1:0\"]\n{text}\n")
}

/// Every address with a port becomes the origin's.
fn with_servers(line: &str, origin: SocketAddr) -> String {
    let replaced = line
        .split('"')
        .map(|part| match part.parse::<SocketAddr>() {
            Ok(_) => origin.to_string(),
            Err(_) => part.to_owned(),
        });
    // Two servers at one address would be one server named twice: all but the first are dead.
    let mut seen = 0;
    let mut kept: Vec<String> = Vec::new();
    for part in replaced {
        let is_origin = part == origin.to_string();
        let twin = part.replace(&origin.port().to_string(), &seen.to_string());
        kept.push(if is_origin && seen > 0 { twin } else { part });
        seen += usize::from(is_origin);
    }
    kept.join("\"")
}

#[test]
fn every_config_in_the_documents_is_valid() {
    let mut pages = files("docs/guide", "md");
    pages.push(repository().join("README.md"));
    let mut count = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for (line, block) in blocks(&text, "toml") {
            let place = format!("{}:{line}", page.display());
            if let Err(diagnostics) = Config::from_str("block.toml", &block) {
                panic!("{place}\n{diagnostics}");
            }
            count += 1;
        }
    }
    assert!(count >= 10, "{count} blocks");
}

/// Fenced blocks of one language, each with the line it begins on.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match &mut block {
            None if line.trim() == format!("```{language}") => {
                block = Some((number + 1, String::new()));
            }
            None => {}
            Some(_) if line.trim() == "```" => found.extend(block.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    found
}
