//! The command line: what each verb says and how it ends.

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
};

use croupier_testkit::Exit;

use crate::prelude::{Client, Origin, Proxy, Reply, SOON, config_with};

/// Runs the binary in a directory of its own with these files.
fn run(files: &[(&str, &str)], arguments: &[&str]) -> Exit {
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let launch = files
        .iter()
        .fold(launch, |launch, (name, text)| launch.file(name, text));
    launch.run(arguments)
}

/// Two pools, one site, nothing odd.
const SHOP: &str = r#"[server]
listen = [":8080"]

[pool.web]
servers = ["10.0.1.11:8080", { address = "10.0.1.12:8080", weight = 2 }]

[pool.api]
servers = ["10.0.1.21:9000"]

[site."shop.example.com"]
headers.request = { set = { X-Shop = "1" } }
routes = [
  { path = "/api/*", methods = ["GET"], pool = "api", strip_prefix = "/api" },
  { path = "/old/*", redirect = { to = "/new/$rest", status = 301 } },
  { path = "/admin/*", deny = 403 },
  { pool = "web" },
]
"#;

fn with_tests(tests: &str) -> String {
    format!("{SHOP}\n{tests}")
}

const GOOD_TEST: &str = r#"[[test]]
request = "GET http://shop.example.com:8080/api/hats?page=2"
expect = { site = "shop.example.com", route = "/api/*", pool = "api", path = "/hats?page=2" }

[[test]]
request = "GET http://shop.example.com:8080/old/hats"
expect = { status = 301, location = "/new/hats" }

[[test]]
request = "GET http://shop.example.com:8080/admin/"
expect = { status = 403 }
"#;

#[test]
fn without_a_verb_three_commands_are_offered() {
    let exit = run(&[], &[]);
    assert_eq!(exit.code, Some(2));
    for command in ["croupier demo", "croupier proxy --from", "croupier run -c"] {
        assert!(exit.stderr.contains(command), "{}", exit.stderr);
    }
    assert_eq!(run(&[], &["bogus"]).code, Some(2));
    assert_eq!(run(&[], &["run", "--bogus"]).code, Some(2));
}

#[test]
fn help_and_version_are_for_standard_output() {
    let version = run(&[], &["--version"]);
    assert_eq!(version.code, Some(0));
    assert_eq!(
        version.stdout,
        concat!("croupier ", env!("CARGO_PKG_VERSION"))
    );
    let help = run(&[], &["--help"]);
    assert_eq!(help.code, Some(0));
    for verb in [
        "run", "proxy", "check", "explain", "reload", "cache", "schema", "demo",
    ] {
        assert!(help.stdout.contains(&format!("\n  {verb}")), "{verb}");
        let page = run(&[], &[verb, "--help"]);
        assert_eq!(page.code, Some(0), "{verb}");
        assert!(
            page.stdout.lines().all(|line| line.len() <= 80),
            "{}",
            page.stdout
        );
    }
}

#[test]
fn a_config_is_looked_for_in_the_usual_places() {
    let exit = run(&[], &["run"]);
    assert_eq!(exit.code, Some(1));
    assert_eq!(
        exit.stderr,
        "error: no config: neither `croupier.toml` here nor `/etc/croupier/croupier.toml`\n\
         exists\n\
         \x20 = help: name one with `-c FILE`\n\
         \x20 = help: no file is needed for `croupier proxy --from :8080 --to\n\
         \x20         127.0.0.1:3000`"
    );
    let exit = run(&[("croupier.toml", SHOP)], &["check"]);
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
}

#[test]
fn a_valid_config_is_summed_up() {
    let config = with_tests(GOOD_TEST);
    let files = [("a.toml", config.as_str())];
    for verb in ["check", "validate", "-t"] {
        let exit = run(&files, &[verb, "-c", "a.toml"]);
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        assert_eq!(
            exit.stdout,
            "a.toml is valid: 1 site, 2 pools, 3 tests passed"
        );
        assert_eq!(exit.stderr, "");
    }
    let exit = run(&files, &["check", "-q", "-c", "a.toml"]);
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(0), ""));
}

#[test]
fn a_test_of_the_config_that_fails_looks_like_any_error() {
    let config = with_tests(
        r#"[[test]]
request = "POST http://shop.example.com:8080/api/it's"
headers = { X-A = "b c" }
expect = { pool = "api" }
"#,
    );
    let exit = run(&[("croupier.toml", &config)], &["check"]);
    assert_eq!(exit.code, Some(1));
    assert_eq!(
        exit.stderr,
        r#"error[C212]: a test expects pool `api` and gets pool `web`
  --> croupier.toml:22:19
   |
20 | request = "POST http://shop.example.com:8080/api/it's"
   |           -------------------------------------------- this request
21 | headers = { X-A = "b c" }
22 | expect = { pool = "api" }
   |                   ^^^^^ route `*` deals to pool `web`
   |
   = help: `croupier explain POST 'http://shop.example.com:8080/api/it'\''s' -H 'X-A: b c'` tells more

croupier.toml is not valid: 1 error"#
    );
    assert_eq!(exit.stdout, "");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let config = "[site.\"a.example\"]\nproxi = \"127.0.0.1:1\"\npool = \"nowhere\"\n";
    let exit = run(&[("croupier.toml", config)], &["check"]);
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.stderr.contains("did you mean `proxy`?"),
        "{}",
        exit.stderr
    );
    assert!(exit.stderr.contains("`nowhere`"), "{}", exit.stderr);
    assert!(
        exit.stderr
            .ends_with("croupier.toml is not valid: 2 errors"),
        "{}",
        exit.stderr
    );
    // A start refuses it in the same words.
    let start = run(&[("croupier.toml", config)], &["run"]);
    assert_eq!(start.code, Some(1));
    assert!(exit.stderr.starts_with(&start.stderr), "{}", start.stderr);
}

#[test]
fn a_log_template_is_checked_too() {
    let config = "[server]\naccess_log = { format = \"{methd}\" }\n\
                  [site.\"*\"]\nrespond = \"hello\"\n";
    let exit = run(&[("croupier.toml", config)], &["check"]);
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.stderr.contains("did you mean `method`?"),
        "{}",
        exit.stderr
    );
    assert!(
        exit.stderr.contains("croupier.toml:2:25"),
        "{}",
        exit.stderr
    );
}

#[test]
fn warnings_can_be_denied() {
    let config = with_tests("[pool.idle]\nservers = [\"10.0.0.1:80\"]\n");
    let files = [("croupier.toml", config.as_str())];
    let exit = run(&files, &["check"]);
    assert_eq!(exit.code, Some(0));
    assert!(exit.stderr.starts_with("warning[C206]"), "{}", exit.stderr);
    assert!(
        exit.stdout.ends_with("3 pools, 1 warning"),
        "{}",
        exit.stdout
    );
    let exit = run(&files, &["check", "-q"]);
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(0), ""));
    assert!(exit.stderr.starts_with("warning[C206]"), "{}", exit.stderr);
    let exit = run(&files, &["check", "--deny-warnings"]);
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.stderr.ends_with("warnings are denied: 1 warning"),
        "{}",
        exit.stderr
    );
}

#[test]
fn programs_read_json() {
    let json = |config: &str| {
        let exit = run(&[("croupier.toml", config)], &["check", "--format", "json"]);
        let value: serde_json::Value = serde_json::from_str(&exit.stdout).unwrap();
        assert_eq!(value["valid"], exit.code == Some(0));
        value
    };
    let good = json(&with_tests(GOOD_TEST));
    assert_eq!(good["tests"]["passed"], 3);
    assert_eq!(good["diagnostics"].as_array().unwrap().len(), 0);
    let bad = json("x = 1\n");
    assert_eq!(bad["valid"], false);
    assert_eq!(bad["diagnostics"][0]["line"], 1);
    assert_eq!(bad["diagnostics"][0]["code"], "C101");
    let schema = run(&[], &["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert_eq!(schema["properties"]["site"]["type"], "object");
}

#[test]
fn a_request_is_explained() {
    let explain = |arguments: &[&str]| {
        let exit = run(
            &[("croupier.toml", SHOP)],
            &[&["explain"], arguments].concat(),
        );
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        exit.stdout
    };
    assert_eq!(
        explain(&["DELETE", "http://shop.example.com:8080/api/hats?a=b"]),
        "\
DELETE http://shop.example.com:8080/api/hats?a=b

listener  :8080
site      shop.example.com
routes    /api/*    no: method is not one of GET
          /old/*    no: path `/api/hats` does not match
          /admin/*  no: path `/api/hats` does not match
          *         yes
pool      web
servers   10.0.1.11:8080
          10.0.1.12:8080  weight 2
balance   two-choices: of two drawn, the one with fewer requests in flight
retry     at most 2 more attempts, on connect, closed, timeout, malformed, 502,
          503, 504
health    by its traffic alone
queue     up to 1024 requests wait for a free server, 2s at most
path      /api/hats?a=b
host      shop.example.com:8080
to origin X-Shop: 1
hide      headers that show the servers are removed"
    );
    assert_eq!(
        explain(&[
            "http://shop.example.com:8080/old/hats",
            "-H",
            "Accept: text/html"
        ]),
        "\
GET http://shop.example.com:8080/old/hats

listener  :8080
site      shop.example.com
routes    /api/*  no: path `/old/hats` does not match
          /old/*  yes
answer    301
location  /new/hats"
    );
    assert_eq!(
        explain(&["https://other.example.com/", "--client", "192.0.2.7"]),
        "\
GET https://other.example.com/

listener  :8080 (no listener has port 443)
site      none
refused   404: no site answers for this host
fault     proxy.site.none"
    );
    let exit = run(&[], &["explain", "/only/a/path"]);
    assert_eq!(exit.code, Some(2));
    assert!(
        exit.stderr.contains("`/only/a/path` names no host"),
        "{}",
        exit.stderr
    );
}

/// Two pools with everything, one site that splits, and a shadow.
const SPLIT: &str = r#"[server]
listen = [":8080"]

[pool.web]
servers = ["10.0.1.11:8080", { address = "10.0.1.12:8080", weight = 2 },
  { address = "10.0.1.13:8080", weight = 0 }, { address = "10.0.9.1:80", backup = true },
  { address = "10.0.9.2:80", weight = 3, backup = 2 }]
balance = { hash = "header.X-User" }
health = "/healthz"
slow_start = "90s"
retry = { on = ["connect", "503"], max = 1 }
queue = { requests = 0 }

[pool.canary]
servers = ["10.0.2.1:8080", "10.0.2.2:8080"]
balance = "round-robin"
sticky = { cookie = "seat", secret = "sixteen bytes and some" }
retry = false

[pool.shadow]
servers = ["10.0.3.1:8080"]

[site."shop.example.com"]
mirror = { pool = "shadow", share = "2.5%" }
split = [{ pool = "web", weight = 95 }, { pool = "canary", weight = 5 }]
split_by = "cookie.uid"
"#;

/// What is told of a request, from the pools on.
fn dealt(config: &str, arguments: &[&str]) -> String {
    let arguments = [&["explain"], arguments].concat();
    let exit = run(&[("croupier.toml", config)], &arguments);
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    let story = exit.stdout.lines().skip(5);
    let story = story.take_while(|line| !line.starts_with("path"));
    let story: Vec<_> = story.collect();
    assert!(story.iter().all(|line| line.len() <= 80), "{story:#?}");
    story.join("\n")
}

#[test]
fn the_server_that_a_request_gets_is_explained() {
    let url = "http://shop.example.com:8080/";
    let user = |user: &str| format!("Cookie: uid={user}");
    assert_eq!(
        dealt(SPLIT, &["POST", url, "-H", &user("3"), "-H", "X-User: ann"]),
        "\
split     web        95%  by `cookie.uid` of this request
          canary      5%
pool      web
servers   10.0.1.11:8080
          10.0.1.12:8080  weight 2
          10.0.1.13:8080  weight 0: no new clients
          10.0.9.1:80     backup
          10.0.9.2:80     weight 3, backup 2
balance   10.0.1.12:8080, by hash of `header.x-user`, while it has at most 125%
          of the mean load
retry     at most 1 more attempt, on connect, 503; POST only if it did not reach
          a server
health    GET /healthz every 2s; down after 3 that fail, up after 2 that pass;
          back to its full share over 1m30s
queue     nobody waits while no server is free
mirror    2.5% of requests also go to `shadow`"
    );
    // One of the twentieth.
    let canary = user("1");
    let story = dealt(SPLIT, &[url, "-H", &canary]);
    assert_eq!(
        story,
        "\
split     web        95%
          canary      5%  by `cookie.uid` of this request
pool      canary
servers   10.0.2.1:8080
          10.0.2.2:8080
balance   round-robin: each in turn
sticky    its answer sets the cookie `seat`, which leads back
retry     never
health    by its traffic alone
queue     up to 1024 requests wait for a free server, 2s at most
mirror    2.5% of requests also go to `shadow`"
    );
    let with_seat = format!("{canary}; seat=x");
    let story = dealt(SPLIT, &[url, "-H", &with_seat]);
    let words = "sticky    its cookie `seat` names no server: it gets another";
    assert!(story.contains(words), "{story}");
    let by_lot = dealt(SPLIT, &[url]);
    assert!(
        by_lot.contains("by lot: the request has no `cookie.uid`")
            && by_lot.contains(", this time"),
        "{by_lot}"
    );
}

#[test]
fn the_seat_of_a_cookie_is_explained() {
    let origins = [(); 2].map(|()| Origin::start(|_| Reply::ok("x")));
    let config = |secret: &str| {
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[pool.app]\nservers = [\"{}\", \"{}\"]\n\
             sticky = {{ cookie = \"seat\"{secret} }}\n[site.\"*\"]\npool = \"app\"\n",
            origins[0].address(),
            origins[1].address()
        )
    };
    let known = config(", secret = \"sixteen bytes and some\"");
    let proxy = crate::prelude::start(&known);
    let response = Client::connect(proxy.address()).get("/");
    let line = response.header("set-cookie").unwrap();
    let cookie = format!("Cookie: {}", line.split(';').next().unwrap());
    let own = origins.iter().find(|origin| !origin.requests().is_empty());
    let own = own.unwrap().address();
    let url = "http://x.test/";
    let story = dealt(&known, &[url, "-H", &cookie]);
    let words = format!("sticky    {own}, by its cookie `seat`, instead");
    assert!(story.contains(&words), "{story}");
    let story = dealt(&config(""), &[url, "-H", &cookie]);
    let words = "sticky    without `secret` only the running process can read its cookie `seat`";
    assert!(
        story.replace("\n          ", " ").contains(words),
        "{story}"
    );
}

#[test]
fn a_thousand_servers_are_not_all_told() {
    let servers: Vec<_> = (0..1_000)
        .map(|n| format!("\"10.0.{}.{}:80\"", n / 250, n % 250))
        .collect();
    let config = format!(
        "[pool.app]\nbalance = {{ hash = \"path\" }}\nservers = [{}]\n[site.\"*\"]\npool = \"app\"\n",
        servers.join(", ")
    );
    let story = dealt(&config, &["http://x.test/"]);
    assert!(story.contains("\n          and 980 more\n"), "{story}");
    assert!(story.contains(", by hash of `path`"), "{story}");
    assert!(story.lines().count() < 40, "{story}");
    let exit = run(&[("croupier.toml", &config)], &["check"]);
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
}

#[test]
fn a_test_of_the_config_takes_any_pool_of_a_split() {
    let test = |pool: &str| {
        format!(
            "{SPLIT}\n[[test]]\nrequest = \"GET http://shop.example.com:8080/\"\n\
             expect = {{ pool = \"{pool}\" }}\n"
        )
    };
    for pool in ["web", "canary"] {
        let exit = run(&[("croupier.toml", &test(pool))], &["check"]);
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        assert!(exit.stdout.contains("1 test passed"), "{}", exit.stdout);
    }
    let exit = run(&[("croupier.toml", &test("shadow"))], &["check"]);
    assert_eq!(exit.code, Some(1));
    for words in [
        "error[C212]: a test expects pool `shadow` and gets pool `web` or `canary`",
        "route `*` splits between `web` and `canary`",
    ] {
        assert!(exit.stderr.contains(words), "{}", exit.stderr);
    }
}

#[test]
fn codes_are_explained() {
    let page = run(&[], &["explain", "c201"]);
    assert_eq!(page.code, Some(0));
    assert_eq!(
        page.stdout,
        "C201, a problem in a config\n\nA route refers to a pool that no file defines."
    );
    let page = run(&[], &["explain", "origin.connect.refused"]);
    assert_eq!(page.code, Some(0));
    for words in [
        "The server refused",
        "status   502",
        "retried  on another server",
    ] {
        assert!(page.stdout.contains(words), "{}", page.stdout);
    }
    let slip = run(&[], &["explain", "client.framin"]);
    assert_eq!(slip.code, Some(2));
    assert!(
        slip.stderr.contains("did you mean `client.framing`?"),
        "{}",
        slip.stderr
    );
    assert_eq!(run(&[], &["explain", "C999"]).code, Some(2));
}

#[test]
fn a_start_that_fails_names_the_remedy() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let config =
        format!("[server]\nlisten = [\"{address}\"]\n[site.\"*\"]\nproxy = \"127.0.0.1:1\"\n");
    let exit = run(&[("croupier.toml", &config)], &["run"]);
    assert_eq!(exit.code, Some(1));
    assert_eq!(
        exit.stderr,
        format!(
            "error: cannot listen on `{address}`: address already in use\n\
             \x20 = help: another program listens there; `ss -ltnp` shows which one; stop it or\n\
             \x20         choose another `listen`"
        )
    );
}

/// `croupier proxy`, which has no config that the kit could write.
#[test]
fn a_proxy_needs_no_file() {
    let origin = Origin::start(|_| Reply::ok("hello"));
    let server = origin.address().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_croupier"))
        .args(["proxy", "--from", "127.0.0.1:0", "--to", &server])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = lines
        .map(Result::unwrap)
        .find(|line| line.contains(" ready "))
        .unwrap();
    let listen = ready.split("listen=").nth(1).unwrap();
    let address: SocketAddr = listen.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(Client::connect(address).get("/").text(), "hello");
    child.kill().unwrap();
    child.wait().unwrap();

    let exit = run(
        &[],
        &["proxy", "--from", ":8080", "--to", "http://127.0.0.1:1/app"],
    );
    assert_eq!(exit.code, Some(2));
    assert!(
        exit.stderr.contains("a server has no path"),
        "{}",
        exit.stderr
    );
    assert_eq!(run(&[], &["proxy", "--from", ":8080"]).code, Some(2));
}

#[test]
fn a_reload_waits_for_the_verdict() {
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let socket = format!("unix:{}/admin.sock", launch.directory().display());
    let server = format!("admin = \"{socket}\"");
    let config = |site: &str| config_with(&server, site);
    let mut proxy = launch.start(&config("respond = \"one\""));
    let path = proxy.config_path().display().to_string();
    let reload = |arguments: &[&str]| run(&[], &[&["reload"], arguments].concat());

    proxy.rewrite(&config("respond = \"two\""));
    let exit = reload(&["-c", &path]);
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert!(exit.stdout.starts_with("reloaded: "), "{}", exit.stdout);
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "two");

    // A broken file is refused: here, when it is read for the socket, and by the process.
    proxy.rewrite(&config("respnd = \"three\""));
    let here = reload(&["-c", &path]);
    assert_eq!(here.code, Some(1));
    assert!(
        here.stderr.contains("did you mean `respond`?"),
        "{}",
        here.stderr
    );
    let there = reload(&["--admin", &socket]);
    assert_eq!(there.code, Some(1), "{}", there.stderr);
    for words in [
        "did you mean `respond`?",
        "reload refused",
        "the running config stays",
    ] {
        assert!(there.stderr.contains(words), "{}", there.stderr);
    }
    assert_eq!(Client::connect(proxy.address()).get("/").text(), "two");

    proxy.signal(croupier_testkit::Signal::Terminate);
    assert_eq!(proxy.wait_exit(SOON), 0);
    let gone = reload(&["--admin", &socket]);
    assert_eq!(gone.code, Some(4));
    assert!(
        gone.stderr.contains("cannot reach the control socket"),
        "{}",
        gone.stderr
    );
}

#[test]
fn a_reload_without_a_control_socket_says_how_to_get_one() {
    let exit = run(&[("croupier.toml", SHOP)], &["reload"]);
    assert_eq!(exit.code, Some(4));
    assert!(exit.stderr.contains("HUP"), "{}", exit.stderr);
    assert!(exit.stderr.contains("admin = \"unix:"), "{}", exit.stderr);
}

/// `UPDATE_EXPECT=1 cargo test -p croupier the_reference` writes the pages anew.
#[test]
fn the_reference_pages_are_up_to_date() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for name in ["config", "metrics", "faults", "cli"] {
        let path = directory.join(format!("{name}.md"));
        let page = run(&[], &["reference", name]).stdout + "\n";
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page,
            "docs/reference/{name}.md is stale: run this test with UPDATE_EXPECT=1"
        );
    }
}

/// A cached route, and one that is not.
const CACHED: &str = r#"[cache.edge]
memory = "64MiB"

[site."shop.example.com"]
proxy = "10.0.1.11:8080"
compress = ["br", "gzip"]
cache = { store = "edge", ignore_query = ["utm_*"], key = ["cookie.lang"], bypass_cookies = ["session*"] }
"#;

#[test]
fn explain_tells_what_the_cache_would_do() {
    let explain = |arguments: &[&str]| {
        let files = [("croupier.toml", CACHED)];
        let exit = run(&files, &[&["explain"], arguments].concat());
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        assert!(
            exit.stdout.lines().all(|line| line.len() <= 80),
            "{}",
            exit.stdout
        );
        exit.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let url = "http://shop.example.com/a?utm_x=1&b=2";
    for (arguments, words) in [
        (
            &["GET", url, "-H", "Accept-Encoding: gzip"][..],
            "coding gzip, if",
        ),
        (
            &["GET", url],
            "coding none: the request accepts none of br, gzip",
        ),
        (
            &["GET", url],
            "cache `edge` key http://shop.example.com/a?b=2 with its cookie.lang",
        ),
        (&["GET", url], "path /a?b=2"),
        (
            &["GET", url],
            "else 10% of their age when they came; bodies up to 4MiB",
        ),
        (&["GET", url], "while servers fail: 1h"),
        (
            &["GET", url, "-H", "Cookie: session_id=1"],
            "it has the cookie `session_id`",
        ),
        (
            &["GET", url, "-H", "Cache-Control: no-store"],
            "the request says `no-store`",
        ),
        (
            &["GET", url, "-H", "Authorization: x"],
            "with `Authorization` only what says",
        ),
        (
            &["POST", url],
            "POST is not kept; what is kept of its URL is stale after it",
        ),
        (&["OPTIONS", url], "answers to OPTIONS are not kept"),
    ] {
        let told = explain(arguments);
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn a_test_may_expect_a_store_or_none() {
    let check = |expect: &str, method: &str| {
        let test = format!(
            "\n[[test]]\nrequest = \"{method} http://shop.example.com/\"\nexpect = {{ cache = {expect} }}\n"
        );
        run(&[("croupier.toml", &format!("{CACHED}{test}"))], &["check"])
    };
    for (expect, method) in [("\"edge\"", "GET"), ("false", "POST")] {
        let exit = check(expect, method);
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    }
    for (expect, method, words) in [
        (
            "\"edge\"",
            "POST",
            "a test expects cache `edge` and gets no cache",
        ),
        (
            "false",
            "GET",
            "a test expects no cache and gets cache `edge`",
        ),
    ] {
        let exit = check(expect, method);
        assert_eq!(exit.code, Some(1));
        assert!(exit.stderr.contains(words), "{}", exit.stderr);
    }
}
