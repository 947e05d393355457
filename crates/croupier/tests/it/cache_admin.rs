//! What the cache holds, and taking it out: `croupier cache` beside a running proxy.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use croupier_testkit::Exit;

use crate::prelude::{Client, Origin, Proxy, Reply, metric};

/// A proxy before a server whose answers are fresh for an hour, with tags; what begins with
/// `/private` is not for keeping.
struct Shop {
    proxy: Proxy,
    socket: String,
    asked: Arc<AtomicUsize>,
    _origin: Origin,
}

impl Shop {
    fn open() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let origin = Origin::start(move |request| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let reply = Reply::ok(format!("answer {number} to {}", request.target));
            match request.target.starts_with("/private") {
                true => reply.header("Cache-Control", "private"),
                false => reply
                    .header("Cache-Control", "max-age=3600")
                    .header("Surrogate-Key", "hats all"),
            }
        });
        let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
        let socket = format!("unix:{}/admin.sock", launch.directory().display());
        let proxy = launch.start(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nmetrics = \"127.0.0.1:0\"\nadmin = \"{socket}\"\n\
             [cache.edge]\nmemory = \"16MiB\"\n\
             [site.\"*\"]\nproxy = \"{}\"\ncache = {{ store = \"edge\", ignore_query = [\"utm_*\"] }}\n",
            origin.address()
        ));
        Self {
            proxy,
            socket,
            asked,
            _origin: origin,
        }
    }

    fn get(&self, target: &str) -> String {
        let mut client = Client::connect(self.proxy.address()).host("shop.example.com");
        client.get(target).text()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn cache(&self, arguments: &[&str]) -> Exit {
        let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
        let all = [&["cache"], arguments, &["--admin", &self.socket]].concat();
        let exit = launch.run(&all);
        for line in exit.stdout.lines() {
            let is_url = line.trim_start().starts_with("http") || line.starts_with('{');
            assert!(is_url || line.chars().count() <= 80, "{line}");
        }
        exit
    }

    fn said(&self, arguments: &[&str]) -> String {
        let exit = self.cache(arguments);
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
        exit.stdout
    }
}

#[test]
fn what_is_kept_is_listed_shown_and_counted() {
    let shop = Shop::open();
    for target in ["/a", "/a", "/a?utm_source=mail", "/b?x=1"] {
        shop.get(target);
    }
    assert_eq!(shop.asked(), 2);

    let list = shop.said(&["list"]);
    assert!(list.starts_with("status  tier"), "{list}");
    assert!(list.contains("http://shop.example.com/a"), "{list}");
    assert!(list.contains("http://shop.example.com/b?x=1"), "{list}");
    assert!(!list.contains("utm_source"), "{list}");
    let below = shop.said(&["list", "--prefix", "http://shop.example.com/b*"]);
    assert!(!below.contains("example.com/a"), "{below}");
    let first = shop.said(&["list", "--max", "1", "--json"]);
    assert_eq!(first.lines().count(), 1);
    let item: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        (&item["store"], &item["status"]),
        (&"edge".into(), &200.into())
    );
    assert_eq!(item["hits"], 2);
    let other = shop.said(&["list", "--host", "other.example.com"]);
    assert_eq!(other.trim(), "nothing is kept of that");

    for url in ["http://shop.example.com/a?utm_x=1", "shop.example.com/a"] {
        let shown = shop.said(&["show", url]);
        assert!(shown.contains("of freshness left"), "{shown}");
        assert!(shown.contains("hats all"), "{shown}");
    }
    let totals = shop.said(&[]);
    assert!(totals.starts_with("store edge\n"), "{totals}");
    assert!(totals.contains("2 of 4 requests (50%)"), "{totals}");
    assert!(totals.contains("shop.example.com"), "{totals}");
    let objects = "croupier_cache_objects{store=\"edge\",tier=\"memory\"}";
    assert!((metric(&shop.proxy, objects) - 2.0).abs() < 0.1);
}

#[test]
fn why_nothing_is_kept_is_told() {
    let shop = Shop::open();
    shop.get("/private/1");
    let shown = shop.said(&["show", "http://shop.example.com/private/1"]);
    assert!(shown.contains("nothing is kept of"), "{shown}");
    assert!(shown.contains("ago: private"), "{shown}");
    assert!(shop.said(&[]).contains("1 private"));
}

#[test]
fn what_is_purged_is_asked_for_again() {
    let shop = Shop::open();
    let ways: [&[&str]; 6] = [
        &["http://shop.example.com/a?utm_source=x"],
        &["shop.example.com/a"],
        &["--prefix", "http://shop.example.com/"],
        &["--host", "Shop.Example.com"],
        &["--tag", "hats"],
        &["--all"],
    ];
    for (round, way) in ways.iter().enumerate() {
        assert_eq!(shop.get("/a"), format!("answer {round} to /a"));
        assert_eq!(shop.get("/a"), format!("answer {round} to /a"));
        let said = shop.said(&[&["purge"], *way].concat());
        assert!(said.starts_with("1 object, "), "{way:?}: {said}");
        assert!(said.trim_end().ends_with("purged"), "{said}");
    }
    assert_eq!(shop.asked(), ways.len());
    let nothing = shop.said(&["purge", "--tag", "shoes"]);
    assert_eq!(nothing.trim(), "0 objects, 0 B purged");

    shop.get("/a");
    let soft = shop.said(&["purge", "--soft", "--tag", "all"]);
    assert!(soft.trim_end().ends_with("made stale"), "{soft}");
    let list = shop.said(&["list"]);
    assert!(list.contains("purged"), "{list}");
}

#[test]
fn a_question_that_makes_no_sense_gets_an_answer_that_does() {
    let shop = Shop::open();
    for (arguments, words) in [
        (&["--store", "egde"][..], "the only store is `edge`"),
        (&["show", "ftp://a/"], "`ftp` is neither `http` nor `https`"),
        (&["show", "http://"], "is no URL"),
        (&["list", "--host", "http://a/"], "is no host"),
        (&["purge", "--prefix", "a/?b"], "has a query"),
    ] {
        let exit = shop.cache(arguments);
        assert_eq!(exit.code, Some(1), "{arguments:?}");
        assert!(exit.stderr.contains(words), "{}", exit.stderr);
    }
    assert_eq!(shop.cache(&["purge"]).code, Some(2));
    assert_eq!(shop.cache(&["purge", "a/", "--all"]).code, Some(2));
}

#[test]
fn a_reload_forgets_nothing_unless_the_store_changes() {
    let shop = Shop::open();
    assert_eq!(shop.get("/a"), "answer 0 to /a");
    let config = std::fs::read_to_string(shop.proxy.config_path()).unwrap();
    let reload = |shop: &Shop| {
        let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
        let exit = launch.run(&["reload", "--admin", &shop.socket]);
        assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    };
    shop.proxy.rewrite(&format!("{config}retry = false\n"));
    reload(&shop);
    assert_eq!(shop.get("/a"), "answer 0 to /a");
    shop.proxy.rewrite(&config.replace("16MiB", "32MiB"));
    reload(&shop);
    assert_eq!(shop.get("/a"), "answer 1 to /a");
    assert!(shop.said(&[]).contains("of 32 MiB"));
}

#[test]
fn a_disk_that_can_not_be_used_is_told_of() {
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let home = launch.directory().display().to_string();
    let socket = format!("unix:{home}/admin.sock");
    // Somebody's files are no cache, and stay as they are.
    std::fs::create_dir_all(format!("{home}/photos")).unwrap();
    std::fs::write(format!("{home}/photos/me.jpg"), "me").unwrap();
    let config = |directory: &str| {
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"{socket}\"\n\
             [cache.edge]\nmemory = \"16MiB\"\ndisk = {{ path = \"{home}/{directory}\", size = \"16MiB\" }}\n\
             [site.\"*\"]\nproxy = \"127.0.0.1:1\"\ncache = \"edge\"\n"
        )
    };
    let proxy = launch.start(&config("kept"));
    let cache = || {
        let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
        launch.run(&["cache", "--admin", &socket]).stdout
    };
    assert!(cache().contains("of 16 MiB in 0 objects"), "{}", cache());
    assert!(!cache().contains("could not be used"), "{}", cache());

    proxy.rewrite(&config("photos"));
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let exit = launch.run(&["reload", "--admin", &socket]);
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains("me.jpg"), "{}", exit.stderr);
    assert!(exit.stderr.contains("C217"), "{}", exit.stderr);

    // At the start it runs all the same, and says so.
    let launch = Proxy::with_binary(env!("CARGO_BIN_EXE_croupier"));
    let other = launch.start(&config("photos").replace("admin.sock", "other.sock"));
    other.wait_for_log(|line| line.contains("cache.disk.unusable"));
}
