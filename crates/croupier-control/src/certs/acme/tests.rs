//! Errands to an authority of this test, over our own client and TLS: what `pebble` cannot play.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    rc::Rc,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use croupier_config::{Spanned, model};
use croupier_net::{
    Local,
    timers::ticks,
    tls::connect::{OriginTerms, origin_tls},
};
use croupier_proxy::Live;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use super::{Acme, Begins, Window};
use crate::certs::{
    authority::Authority, outside::Outside, schedule::Stretch, scratch::Scratch, state::State,
};

/// Head and body of an answer to a request line.
type Answers = fn(&str, &str) -> String;

/// An authority that knows windows, makes accounts, and refuses orders.
fn refuses(line: &str, here: &str) -> String {
    let answer = |status: &str, more: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nReplay-Nonce: n\r\n{more}Content-Length: {length}\r\n\r\n{body}"
        )
    };
    if line.starts_with("GET /dir ") {
        let directory = format!(
            r#"{{"newNonce":"{here}/nonce","newAccount":"{here}/account",
                "newOrder":"{here}/order","renewalInfo":"{here}/ari"}}"#
        );
        answer("200 OK", "", &directory)
    } else if line.starts_with("HEAD /nonce ") {
        "HTTP/1.1 200 OK\r\nReplay-Nonce: n\r\nContent-Length: 0\r\n\r\n".into()
    } else if line.starts_with("POST /account ") {
        answer(
            "201 Created",
            &format!("Location: {here}/account/1\r\n"),
            "{}",
        )
    } else if line.starts_with("GET /ari/") {
        let window = r#"{"suggestedWindow":{"start":"2027-01-15T08:00:00Z",
                         "end":"2027-01-17T08:00:00Z"}}"#;
        answer("200 OK", "Retry-After: 21600\r\n", window)
    } else {
        let problem = r#"{"type":"urn:ietf:params:acme:error:rateLimited",
                          "detail":"too many new orders"}"#;
        answer("429 Too Many Requests", "Retry-After: 7200\r\n", problem)
    }
}

struct Fake {
    directory: String,
    ca: String,
    asked: Arc<Mutex<Vec<String>>>,
}

fn serve(answers: Answers) -> Fake {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, place) = (Arc::clone(&asked), here.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(session, stream));
            let mut lines = Vec::new();
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|count| count > 2) {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
            }
            let Some(first) = lines.first() else { continue };
            let length = lines.iter().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse().ok())?
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).unwrap();
            heard.lock().unwrap().push(first.clone());
            let answer = answers(first, &place);
            let link = stream.get_mut();
            let _ = link.write_all(answer.as_bytes());
            link.conn.send_close_notify();
            let _ = link.flush();
        }
    });
    Fake {
        directory: format!("{here}/dir"),
        ca,
        asked,
    }
}

/// Runs something with the authority's terms, on a thread like control's.
fn with<T>(fake: &Fake, work: impl AsyncFnOnce(Acme) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    let scratch = Scratch::new();
    runtime.block_on(async {
        let local = Rc::new(Local::default());
        let ticking = Rc::clone(&local);
        tokio::task::spawn_local(async move {
            let began = Instant::now();
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                ticking.timers.advance(ticks(began.elapsed()));
            }
        });
        let terms = OriginTerms {
            ca: vec![fake.ca.clone().into_bytes()],
            client: None,
            verify: true,
            http2: false,
        };
        let outside = Outside::new(origin_tls(&terms).unwrap(), &local);
        let state = State::open(&scratch.path().join("s")).unwrap();
        let live = Live::new();
        let cells = Rc::new(live.registry.worker());
        let terms = model::Acme {
            directory: Spanned::default_of(fake.directory.clone()),
            ..model::Acme::default()
        };
        let begins = Begins::WithProcess;
        work(Acme::new(&terms, &live, &cells, &state, outside, begins)).await
    })
}

#[test]
fn the_authority_is_asked_when_a_certificate_should_be_renewed() {
    let fake = serve(refuses);
    let ours = Authority::open(None, 1_800_000_000).unwrap();
    let certificate = ours.issue(&["a.example".into()], 1_800_000_000).unwrap();
    let window = with(&fake, async |acme| acme.window(&certificate).await);
    let Window::Told(window, again) = window else {
        panic!("{window:?}");
    };
    let wanted = Stretch {
        start: 1_800_000_000,
        end: 1_800_172_800,
    };
    assert_eq!(window, wanted);
    assert!(again.as_secs().abs_diff(21_600) < 60, "{again:?}");
    let asked = fake.asked.lock().unwrap().clone();
    let ari = asked
        .iter()
        .find(|line| line.starts_with("GET /ari/"))
        .unwrap();
    // base64url of key identifier and serial (RFC 9773 section 4.1).
    let id = ari
        .trim_start_matches("GET /ari/")
        .split(' ')
        .next()
        .unwrap();
    assert_eq!(id.split('.').count(), 2, "{id}");
}

#[test]
fn an_authority_that_limits_is_left_alone_for_as_long_as_it_says() {
    let fake = serve(refuses);
    let names = ["a.example".to_owned()];
    let failure = with(&fake, async |acme| {
        acme.order(&names, None).await.unwrap_err()
    });
    assert_eq!(failure.retry_after, Some(7200));
    assert_eq!(failure.what, "rateLimited: too many new orders");
    assert!(failure.help.contains("wait"), "{failure:?}");
}

#[test]
fn a_renewal_that_may_not_say_what_it_replaces_is_ordered_without() {
    fn confused(line: &str, here: &str) -> String {
        let answer = refuses(line, here);
        if line.starts_with("POST /order ") {
            let problem = r#"{"type":"urn:ietf:params:acme:error:alreadyReplaced"}"#;
            let length = problem.len();
            return format!(
                "HTTP/1.1 409 Conflict\r\nReplay-Nonce: n\r\nContent-Length: {length}\r\n\r\n{problem}"
            );
        }
        answer
    }
    let fake = serve(confused);
    let ours = Authority::open(None, 1_800_000_000).unwrap();
    let names = ["a.example".to_owned()];
    let old = ours.issue(&names, 1_800_000_000).unwrap();
    let failure = with(&fake, async |acme| {
        acme.order(&names, Some(&old)).await.unwrap_err()
    });
    assert!(failure.what.contains("alreadyReplaced"), "{failure:?}");
    let asked = fake.asked.lock().unwrap().clone();
    let orders = asked
        .iter()
        .filter(|line| line.starts_with("POST /order "))
        .count();
    assert_eq!(orders, 2, "{asked:?}");
}

#[test]
fn who_does_not_speak_acme_is_no_authority() {
    fn page(_: &str, _: &str) -> String {
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>".into()
    }
    let fake = serve(page);
    let names = ["a.example".to_owned()];
    let failure = with(&fake, async |acme| {
        acme.order(&names, None).await.unwrap_err()
    });
    assert!(failure.what.contains("does not speak ACME"), "{failure:?}");
    let stranger = Fake {
        ca: serve(page).ca,
        ..fake
    };
    let failure = with(&stranger, async |acme| {
        acme.order(&names, None).await.unwrap_err()
    });
    assert!(failure.help.contains("acme.ca"), "{failure:?}");
    assert!(failure.what.contains("localhost"), "{failure:?}");
}
