//! Handshakes that go wrong, take for ever or come by the hundred, and certificates that change or
//! break under the feet of those who are being served.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use croupier_testkit::{Authority, TlsClient, wait_until};

use crate::{
    prelude::{Proxy, SOON, metric},
    tls_sites::{SERVER, house, site},
};

fn failures(proxy: &Proxy, reason: &str) -> f64 {
    let series = format!("croupier_tls_handshake_failures_total{{reason=\"{reason}\"}}");
    metric(proxy, &series)
}

/// What a client begins with: one record.
fn hello() -> Vec<u8> {
    TlsClient::credulous().hello("a.example")
}

fn start(more: &str) -> (Authority, Proxy) {
    let authority = Authority::new("Tables");
    let a = authority.issue(&["a.example"]);
    let config = format!("{SERVER}{more}{}", site("a.example", "a"));
    let proxy = house(&authority, &[("a", &a)]).start(&config);
    (authority, proxy)
}

fn is_served(authority: &Authority, proxy: &Proxy) -> bool {
    let tls = TlsClient::trusting(authority);
    let connected = tls.try_connect(proxy.address(), "a.example");
    connected.is_ok_and(|mut client| client.get("/").status == 200)
}

/// Waits until the proxy has closed this connection, and gives what it said.
fn last_words(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut words = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return words,
            Ok(count) => words.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return words,
            Err(error) => panic!("still open: {error}"),
        }
    }
}

#[test]
fn half_open_handshakes_end_in_time_while_others_are_served() {
    const HALF_OPEN: usize = 500;
    let (authority, proxy) =
        start("[timeouts]\nhandshake = \"2s\"\n[limits]\nconnections = 2000\nhandshakes = 600\n\n");
    assert!(is_served(&authority, &proxy));
    let before = proxy.rss_bytes();
    let hello = hello();
    let open: Vec<TcpStream> = (0..HALF_OPEN)
        .map(|number| {
            let mut stream = TcpStream::connect(proxy.address()).unwrap();
            // Some say a byte, some half of it, some all and then nothing.
            let length = [1, 5, hello.len() / 2, hello.len()][number % 4];
            stream.write_all(&hello[..length]).unwrap();
            stream
        })
        .collect();
    let active = || metric(&proxy, "croupier_tls_handshakes_active");
    assert!(wait_until(SOON, || active() >= HALF_OPEN as f64 - 1.0));
    for _ in 0..5 {
        assert!(is_served(&authority, &proxy));
    }
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < (48 << 10) * HALF_OPEN as u64, "{grown} bytes");
    assert!(wait_until(SOON, || failures(&proxy, "timeout") >= HALF_OPEN as f64));
    assert!(wait_until(SOON, || active() == 0.0));
    for stream in open {
        last_words(stream);
    }
    assert!(is_served(&authority, &proxy));
}

#[test]
fn above_the_limit_a_handshake_waits_shortly_and_is_closed() {
    let (authority, proxy) = start("[timeouts]\nhandshake = \"4s\"\n[limits]\nhandshakes = 2\n\n");
    let half_open = || {
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(&hello()[..20]).unwrap();
        stream
    };
    let held = [half_open(), half_open()];
    let active = || metric(&proxy, "croupier_tls_handshakes_active");
    assert!(wait_until(SOON, || active() == 2.0));
    last_words(half_open());
    assert!(wait_until(SOON, || failures(&proxy, "limit") == 1.0));
    proxy.wait_for_log(|line| line.contains("tls.handshake") && line.contains("too many"));
    // One that leaves makes room for who waits.
    let waiting = {
        let address = proxy.address();
        let tls = TlsClient::trusting(&authority);
        thread::spawn(move || tls.connect(address, "a.example").get("/").status)
    };
    drop(held);
    assert_eq!(waiting.join().unwrap(), 200);
    assert!(wait_until(SOON, || failures(&proxy, "closed") == 2.0));
}

#[test]
fn d06_a_hello_in_records_of_one_byte_is_a_hello() {
    let (_, proxy) = start("");
    let whole = hello();
    let body = &whole[5..];
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in body {
        stream.write_all(&[0x16, 3, 1, 0, 1, *byte]).unwrap();
    }
    let mut answer = [0; 5];
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..2], [0x16, 3], "a server's hello");
}

#[test]
fn nonsense_in_place_of_a_hello_is_told_so_and_closed() {
    let (authority, proxy) = start("");
    for (nonsense, reason) in [
        (&b"\x16\x03\x01\x00\x05hello"[..], "protocol"),
        (b"\x16\x03\x01\xff\xff", "not_tls"),
        (b"\x16GET / HTTP/1.1\r\n\r\n", "not_tls"),
    ] {
        let before = failures(&proxy, reason);
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(nonsense).unwrap();
        let words = last_words(stream);
        assert!(words.is_empty() || words[0] == 21, "an alert: {words:?}");
        let counted = || failures(&proxy, "protocol") + failures(&proxy, "not_tls");
        assert!(wait_until(SOON, || counted() > before), "{nonsense:?}");
    }
    // The library's own bound ends a hello that never does.
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    let endless = [
        &[0x16, 3, 1, 0x40, 0][..],
        &[1, 0xff, 0xff, 0xff],
        &[0; 16380],
    ]
    .concat();
    for _ in 0..64 {
        if stream.write_all(&endless).is_err() {
            break;
        }
    }
    last_words(stream);
    assert!(is_served(&authority, &proxy));
}

#[test]
fn a_certificate_changes_under_load_and_nobody_notices() {
    let (authority, proxy) = start("");
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let address = proxy.address();
    let load: Vec<_> = (0..3)
        .map(|_| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            let tls = TlsClient::trusting(&authority);
            thread::spawn(move || {
                let mut kept = tls.connect(address, "a.example");
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(tls.connect(address, "a.example").get("/").status, 200);
                    assert_eq!(kept.get("/").status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(5));
                }
            })
        })
        .collect();
    let path = proxy.directory().join("a.pem");
    let shown = || {
        let client = TlsClient::credulous().connect(address, "a.example");
        client.shaken().certificate.clone()
    };
    for _ in 0..3 {
        let next = authority.issue(&["a.example"]);
        let aside = path.with_extension("new");
        std::fs::write(&aside, next.both()).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        assert!(wait_until(SOON * 3, || shown() == next.der));
    }
    // One that is broken, or another's key, changes nothing.
    let now = shown();
    let broken = [
        "rubbish".to_owned(),
        format!(
            "{}{}",
            authority.issue(&["a.example"]).certificate,
            authority.issue(&["x"]).key
        ),
    ];
    for contents in broken {
        let before = proxy.log_lines().len();
        std::fs::write(&path, contents).unwrap();
        let is_told = |line: &str| line.contains("certificate.files.broken");
        let line = proxy.wait_for_log_after(before, is_told);
        assert!(!line.contains("PRIVATE"), "{line}");
        assert_eq!(shown(), now);
    }
    stop.store(true, Ordering::Relaxed);
    for thread in load {
        thread.join().unwrap();
    }
    assert!(served.load(Ordering::Relaxed) > 10);
    let log = proxy.log_lines().join("\n");
    assert!(!log.contains("PRIVATE KEY"), "{log}");
}

#[test]
fn a_client_that_leaves_in_the_middle_is_counted_and_forgotten() {
    let (authority, proxy) = start("");
    for length in [1, 20, 100] {
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(&hello()[..length]).unwrap();
        drop(stream);
    }
    assert!(wait_until(SOON, || failures(&proxy, "closed") == 3.0));
    let warned = proxy.log_lines();
    assert!(
        !warned.iter().any(|line| line.contains("tls.handshake")),
        "{warned:?}"
    );
    assert!(is_served(&authority, &proxy));
}
