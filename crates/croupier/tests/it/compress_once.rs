//! What is kept is encoded once more in the background, as hard as it can be, and given so from
//! then on.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use croupier_testkit::{Framing, Request, Response, event::wait_until, tools};

use crate::{
    prelude::{Client, Origin, Proxy, Reply, SOON, start},
    real_tools::A_WHILE,
    scripts::{changed, script},
};

/// A proxy that keeps and compresses what one server says.
struct Press {
    proxy: Proxy,
    asked: Arc<AtomicUsize>,
    _origin: Origin,
}

impl Press {
    fn open(compress: &str, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::open_with("100%", compress, answer)
    }

    fn open_with(
        cpu: &str,
        compress: &str,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let origin = Origin::start(move |request| {
            count.fetch_add(1, Ordering::SeqCst);
            answer(request)
        });
        let proxy = start(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n[cache.edge]\nmemory = \"64MiB\"\n\
             [site.\"*\"]\nproxy = \"{}\"\ncache = \"edge\"\n\
             compress = {{ cpu = \"{cpu}\"{compress} }}\n",
            origin.address()
        ));
        Self {
            proxy,
            asked,
            _origin: origin,
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.request("GET", path, headers)
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut client = Client::connect(self.proxy.address()).host("shop.example.com");
        let request = client.send_request(method, path, headers, b"");
        request.read_response_to(method)
    }

    /// Asks until the answer is as wanted.
    #[track_caller]
    fn get_until(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        wanted: impl Fn(&Response) -> bool,
    ) -> Response {
        let mut last = None;
        let is_there = wait_until(6 * SOON, || {
            let response = self.get(path, headers);
            let is_wanted = wanted(&response);
            last = Some(response);
            is_wanted
        });
        let last = last.unwrap();
        assert!(is_there, "{:?}", last.headers);
        last
    }

    /// Somebody else's program decodes it; None skips the story.
    fn decoded(&self, response: &Response, program: &[&str]) -> Option<Vec<u8>> {
        let program_path = tools::need(program[0])?;
        let folder = self.proxy.directory();
        std::fs::write(folder.join("coded"), &response.body).unwrap();
        let line = format!(
            "{} {} < coded > decoded",
            program_path.display(),
            program[1..].join(" ")
        );
        let mut command = Command::new("sh");
        command.current_dir(folder).args(["-c", &line]);
        let exit = tools::run(&mut command, A_WHILE);
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        Some(std::fs::read(folder.join("decoded")).unwrap())
    }
}

fn has_length(response: &Response) -> bool {
    matches!(response.framing, Framing::Length(_))
}

fn reply(text: &str) -> Reply {
    Reply::ok(text)
        .header("Content-Type", "text/javascript")
        .header("Cache-Control", "max-age=3600")
        .header("ETag", "\"one\"")
}

#[test]
fn what_is_given_again_is_encoded_once_and_smaller_than_before() {
    let text = script(1, 60_000);
    let said = text.clone();
    let press = Press::open("", move |_| reply(&said));
    for (coding, program) in [
        ("gzip", ["gzip", "-dc"]),
        ("br", ["brotli", "-dc"]),
        ("zstd", ["zstd", "-dcq"]),
    ] {
        let accept = [("Accept-Encoding", coding)];
        let first = press.get("/app.js", &accept);
        assert_eq!(first.headers.get("content-encoding"), Some(coding));
        assert!(!has_length(&first), "it is encoded as it leaves");

        let once = press.get_until("/app.js", &accept, has_length);
        assert_eq!(once.headers.get("content-encoding"), Some(coding));
        assert_eq!(once.headers.get("etag"), Some("W/\"one\""));
        assert_eq!(once.headers.get("vary"), Some("accept-encoding"));
        assert!(
            once.body.len() < first.body.len(),
            "{coding}: {} and {} bytes",
            once.body.len(),
            first.body.len()
        );
        assert_eq!(press.get("/app.js", &accept).body, once.body);
        let head = press.request("HEAD", "/app.js", &accept);
        let length = once.body.len().to_string();
        assert_eq!(head.headers.get("content-length"), Some(length.as_str()));
        let Some(decoded) = press.decoded(&once, &program) else {
            return;
        };
        assert!(decoded == text.as_bytes(), "{coding}: another text");
    }
    assert_eq!(press.asked(), 1);
}

#[test]
fn who_takes_no_coding_gets_it_as_it_was() {
    let text = script(2, 20_000);
    let said = text.clone();
    let press = Press::open("", move |_| reply(&said));
    press.get_until("/app.js", &[("Accept-Encoding", "br")], has_length);
    let plain = press.get("/app.js", &[]);
    assert!(plain.body == text.as_bytes() && has_length(&plain));
    assert!(!plain.headers.has("content-encoding"));
    assert_eq!(plain.headers.get("etag"), Some("\"one\""));
    let part = press.get(
        "/app.js",
        &[("Accept-Encoding", "br"), ("Range", "bytes=0-9")],
    );
    assert_eq!((part.status, part.body.len()), (206, 10));
    let known = [("Accept-Encoding", "br"), ("If-None-Match", "W/\"one\"")];
    assert_eq!(press.get("/app.js", &known).status, 304);
    assert_eq!(press.asked(), 1);
}

#[test]
fn a_304_keeps_what_was_encoded_and_another_body_drops_it() {
    let (old, new) = (script(3, 30_000), script(4, 30_000));
    let said = [old, new.clone()];
    let turn = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&turn);
    let press = Press::open("", move |request| {
        match (
            now.load(Ordering::SeqCst),
            request.headers.get("if-none-match"),
        ) {
            (0, Some("\"one\"")) => Reply::empty(304).header("ETag", "\"one\""),
            (at, _) => reply(&said[at]),
        }
    });
    let accept = ("Accept-Encoding", "br");
    let anew = [accept, ("Cache-Control", "no-cache")];
    let once = press.get_until("/app.js", &[accept], has_length);
    let again = press.get("/app.js", &anew);
    assert_eq!(press.asked(), 2);
    assert!(
        has_length(&again) && again.body == once.body,
        "at once, after a 304"
    );
    assert!(has_length(&press.get("/app.js", &[accept])));

    turn.store(1, Ordering::SeqCst);
    let other = press.get("/app.js", &anew);
    assert!(!has_length(&other), "{:?}", other.headers);
    let Some(decoded) = press.decoded(&other, &["brotli", "-dc"]) else {
        return;
    };
    assert!(decoded == new.as_bytes());
    let once = press.get_until("/app.js", &[accept], has_length);
    assert!(press.decoded(&once, &["brotli", "-dc"]).unwrap() == new.as_bytes());
    assert_eq!(press.asked(), 3);
}

#[test]
fn what_does_not_shrink_is_given_as_it_is() {
    let mut state = 7_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(20_000)
    .collect();
    let said = noise.clone();
    let press = Press::open("", move |_| reply("").body(&said));
    let accept = [("Accept-Encoding", "gzip")];
    let plain = press.get_until("/noise", &accept, has_length);
    assert!(!plain.headers.has("content-encoding") && plain.body == noise);
    assert_eq!(plain.headers.get("vary"), Some("accept-encoding"));
}

#[test]
fn without_it_every_answer_is_encoded_anew() {
    let press = Press::open(", strong = false", |_| reply(&script(5, 20_000)));
    for _ in 0..5 {
        let answer = press.get("/app.js", &[("Accept-Encoding", "br")]);
        assert!(!has_length(&answer));
    }
    assert_eq!(press.asked(), 1);
}

/// The threads of a process: their names and their folders.
fn threads(process: u32) -> Vec<(String, PathBuf)> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let named = |folder: PathBuf| {
        let name = std::fs::read_to_string(folder.join("comm")).ok()?;
        Some((name.trim().to_owned(), folder))
    };
    tasks.filter_map(|task| named(task.ok()?.path())).collect()
}

/// A line of a thread's `status`.
fn status(folder: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(folder.join("status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().to_owned()
}

#[test]
fn the_thread_that_does_it_begins_when_it_is_needed_and_steps_back() {
    let press = Press::open("", |_| reply(&script(10, 5000)));
    let is_it = |(name, _): &(String, PathBuf)| name == "encode";
    press.get("/app.js", &[]);
    assert!(!threads(press.proxy.id()).iter().any(is_it));
    press.get_until("/app.js", &[("Accept-Encoding", "br")], has_length);
    let all = threads(press.proxy.id());
    let (_, folder) = all.iter().find(|one| is_it(one)).unwrap();
    let stat = std::fs::read_to_string(folder.join("stat")).unwrap();
    // The nice value is the 19th field; the second ends with the last bracket.
    let nice = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16);
    assert_eq!(nice, Some("19"), "{stat}");
    let main = PathBuf::from(format!("/proc/{}", press.proxy.id()));
    let cores = "Cpus_allowed:";
    assert_eq!(
        status(folder, cores),
        status(&main, cores),
        "pinned nowhere"
    );
}

#[test]
fn who_may_do_little_does_one_job_and_rests() {
    // A second of work would be a hundred of rest; the requests below take less than one.
    let press = Press::open_with("1%", "", |_| reply(&script(11, 200_000)));
    let accept = [("Accept-Encoding", "br")];
    press.get_until("/1.js", &accept, has_length);
    for _ in 0..20 {
        assert!(!has_length(&press.get("/2.js", &accept)));
    }
    assert!(has_length(&press.get("/1.js", &accept)));
    assert_eq!(press.asked(), 2);
}

/// The value of `Available-Dictionary` for a text; None skips the story.
pub(crate) fn available(folder: &Path, text: &str) -> Option<String> {
    let openssl = tools::need("openssl")?;
    std::fs::write(folder.join("old"), text).unwrap();
    let openssl = openssl.display();
    let line = format!("{openssl} dgst -sha256 -binary old | {openssl} base64");
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", &line]);
    let exit = tools::run(&mut command, A_WHILE);
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    Some(format!(":{}:", exit.stdout.trim()))
}

#[test]
fn a_new_version_costs_what_has_changed() {
    let old = script(6, 100_000);
    let new = changed(&old, 1);
    let said = [old.clone(), new.clone()];
    let press = Press::open(", dictionary = true", move |request| {
        let at = usize::from(request.path() == "/app.2.js");
        reply(&said[at]).header("Vary", "Origin")
    });
    let Some(available) = available(press.proxy.directory(), &old) else {
        return;
    };
    // Given twice, it is remembered.
    let accept = ("Accept-Encoding", "gzip, br, zstd, dcb, dcz");
    for _ in 0..2 {
        let first = press.get("/app.1.js", &[accept]);
        let told = first.headers.get("use-as-dictionary");
        assert_eq!(told, Some("match=\"/app.*.js\""));
        let vary = first.headers.all("vary");
        assert_eq!(vary, ["Origin", "available-dictionary", "accept-encoding"]);
    }
    let has_it = [accept, ("Available-Dictionary", available.as_str())];
    let is_coded = |response: &Response| response.headers.get("content-encoding") == Some("dcz");
    let second = press.get_until("/app.2.js", &has_it, is_coded);
    assert!(
        has_length(&second) && second.body.len() < 2000,
        "{}",
        second.body.len()
    );
    let decode = ["zstd", "-dcq", "--patch-from=old"];
    let Some(decoded) = press.decoded(&second, &decode) else {
        return;
    };
    assert!(decoded == new.as_bytes());
    for others in [
        vec![accept],
        vec![accept, ("Available-Dictionary", ":AAAA:")],
        vec![("Accept-Encoding", "br"), has_it[1]],
    ] {
        let answer = press.get("/app.2.js", &others);
        let coding = answer.headers.get("content-encoding").unwrap();
        assert!(["br", "zstd", "gzip"].contains(&coding), "{coding}");
    }
    assert_eq!(press.asked(), 2);
}

#[test]
fn an_old_version_is_a_dictionary_after_it_was_replaced() {
    let old = script(8, 50_000);
    let new = changed(&old, 2);
    let said = [old.clone(), new];
    let turn = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&turn);
    let press = Press::open(", dictionary = true", move |_| {
        reply(&said[now.load(Ordering::SeqCst)])
    });
    let Some(available) = available(press.proxy.directory(), &old) else {
        return;
    };
    let accept = ("Accept-Encoding", "br, dcz");
    // Jobs are done in order: when it is encoded, it is remembered.
    let first = press.get_until("/app.js", &[accept], has_length);
    assert_eq!(
        first.headers.get("use-as-dictionary"),
        Some("match=\"/app.js\"")
    );
    turn.store(1, Ordering::SeqCst);
    press.get("/app.js", &[accept, ("Cache-Control", "no-cache")]);
    let has_it = [accept, ("Available-Dictionary", available.as_str())];
    let is_coded = |response: &Response| response.headers.get("content-encoding") == Some("dcz");
    let second = press.get_until("/app.js", &has_it, is_coded);
    assert!(second.body.len() < 2000, "{}", second.body.len());
    assert_eq!(press.asked(), 2);
}
