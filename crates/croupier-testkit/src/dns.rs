//! A scripted DNS server on a free port of 127.0.0.1, over UDP and TCP, with its own wire code
//! (RFC 1035 section 4, RFC 2782 for SRV): says what the script says, and remembers every
//! question.
//!
//! A name that is not in the script does not exist. Answers that do not fit a datagram are
//! marked as cut, so that the asker comes again over TCP.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::event::lock;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    A,
    Aaaa,
    Srv,
    /// By its number.
    Other(u16),
}

impl RecordKind {
    fn of(number: u16) -> Self {
        match number {
            1 => Self::A,
            28 => Self::Aaaa,
            33 => Self::Srv,
            other => Self::Other(other),
        }
    }

    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Srv => 33,
            Self::Other(number) => number,
        }
    }
}

/// What is said about a name and kind.
#[derive(Clone)]
pub enum DnsAnswer {
    /// These record data, for so many seconds.
    Records(u32, Vec<Vec<u8>>),
    /// The name is there and has none of this kind.
    Nothing,
    /// There is no such name.
    NoSuchName,
    /// SERVFAIL.
    Failure,
    /// Not a word.
    Silence,
    /// Whatever this makes of the question, packet by packet; over TCP the first.
    Packets(Arc<MakePackets>),
}

/// Packets from a question's packet.
type MakePackets = dyn Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync;

impl DnsAnswer {
    /// An SRV record's data: priority, weight, port, host.
    #[must_use]
    pub fn srv(priority: u16, weight: u16, port: u16, host: &str) -> Vec<u8> {
        let mut data = Vec::new();
        for number in [priority, weight, port] {
            data.extend(number.to_be_bytes());
        }
        put_name(&mut data, host);
        data
    }
}

/// A question that was asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Lower case, without the last dot.
    pub name: String,
    pub kind: RecordKind,
    /// Since the server began.
    pub at: Duration,
    pub is_tcp: bool,
}

#[derive(Default)]
struct State {
    script: HashMap<(String, RecordKind), DnsAnswer>,
    questions: Vec<Question>,
}

struct Shared {
    began: Instant,
    state: Mutex<State>,
    asked: Condvar,
    stops: AtomicBool,
}

/// A running DNS server; dropping it ends it.
pub struct Dns {
    shared: Arc<Shared>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl Dns {
    /// Starts with an empty script.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        // The two protocols have ports of their own; the same number may be taken in one.
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
                let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
                Some((udp, tcp))
            })
            .unwrap();
        let address = udp.local_addr().unwrap();
        let shared = Arc::new(Shared {
            began: Instant::now(),
            state: Mutex::default(),
            asked: Condvar::new(),
            stops: AtomicBool::new(false),
        });
        let (over_udp, over_tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            std::thread::spawn(move || over_udp.serve_udp(&udp)),
            std::thread::spawn(move || over_tcp.serve_tcp(&tcp)),
        ];
        Self {
            shared,
            address,
            threads,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the name has these addresses and no others, for so many seconds.
    #[track_caller]
    pub fn addresses(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let all: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        let half = |kind: RecordKind| {
            let data: Vec<Vec<u8>> = all
                .iter()
                .filter_map(|address| match (kind, address) {
                    (RecordKind::A, IpAddr::V4(address)) => Some(address.octets().to_vec()),
                    (RecordKind::Aaaa, IpAddr::V6(address)) => Some(address.octets().to_vec()),
                    _ => None,
                })
                .collect();
            if data.is_empty() {
                DnsAnswer::Nothing
            } else {
                DnsAnswer::Records(ttl, data)
            }
        };
        self.say(name, RecordKind::A, half(RecordKind::A));
        self.say(name, RecordKind::Aaaa, half(RecordKind::Aaaa));
    }

    /// From now on this is said when that is asked.
    pub fn say(&self, name: &str, kind: RecordKind, answer: DnsAnswer) {
        let mut state = lock(&self.shared.state);
        state.script.insert((name.to_owned(), kind), answer);
    }

    /// The same for both kinds of addresses.
    pub fn say_both(&self, name: &str, answer: &DnsAnswer) {
        self.say(name, RecordKind::A, answer.clone());
        self.say(name, RecordKind::Aaaa, answer.clone());
    }

    /// Every question so far.
    #[must_use]
    pub fn questions(&self) -> Vec<Question> {
        lock(&self.shared.state).questions.clone()
    }

    /// How often this was asked.
    #[must_use]
    pub fn count(&self, name: &str, kind: RecordKind) -> usize {
        let state = lock(&self.shared.state);
        state.count(name, kind)
    }

    /// Waits until this was asked so often.
    #[track_caller]
    pub fn wait_for(&self, name: &str, kind: RecordKind, count: usize, timeout: Duration) {
        let guard = lock(&self.shared.state);
        let (guard, _) = self
            .shared
            .asked
            .wait_timeout_while(guard, timeout, |state| state.count(name, kind) < count)
            .unwrap_or_else(PoisonError::into_inner);
        let asked = guard.count(name, kind);
        drop(guard);
        assert!(
            asked >= count,
            "{name} {kind:?} was asked {asked} times in {timeout:?}, not {count}"
        );
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::Release);
        // Wakes both threads.
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(&[], self.address);
        }
        drop(TcpStream::connect(self.address));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl State {
    fn count(&self, name: &str, kind: RecordKind) -> usize {
        let asked = self.questions.iter();
        asked.filter(|q| q.name == name && q.kind == kind).count()
    }
}

impl Shared {
    fn serve_udp(&self, socket: &UdpSocket) {
        let mut packet = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut packet) {
            if self.stops.load(Ordering::Acquire) {
                return;
            }
            for answer in self.answer(&packet[..length], Some(1232)) {
                let _ = socket.send_to(&answer, peer);
            }
        }
    }

    fn serve_tcp(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            if self.stops.load(Ordering::Acquire) {
                return;
            }
            let shared = Arc::clone(self);
            std::thread::spawn(move || shared.converse(stream));
        }
    }

    fn converse(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let mut length = [0; 2];
        while stream.read_exact(&mut length).is_ok() {
            let mut packet = vec![0; u16::from_be_bytes(length).into()];
            if stream.read_exact(&mut packet).is_err() {
                return;
            }
            let Some(answer) = self.answer(&packet, None).into_iter().next() else {
                continue;
            };
            let mut framed = u16::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
            framed.extend(answer);
            if stream.write_all(&framed).is_err() {
                return;
            }
        }
    }

    /// The packets to send; `room` is what fits a datagram.
    fn answer(&self, packet: &[u8], room: Option<usize>) -> Vec<Vec<u8>> {
        let Some((name, kind, end)) = question(packet) else {
            return Vec::new();
        };
        let mut state = lock(&self.state);
        state.questions.push(Question {
            name: name.clone(),
            kind,
            at: self.began.elapsed(),
            is_tcp: room.is_none(),
        });
        let said = state.script.get(&(name, kind)).cloned();
        drop(state);
        self.asked.notify_all();
        let head = |code: u8, flags: u8, count: usize| {
            let mut answer = packet[..2].to_vec();
            // An answer, recursion wanted and there.
            answer.extend([0x81 | flags, 0x80 | code, 0, 1]);
            answer.extend(u16::try_from(count).unwrap().to_be_bytes());
            answer.extend([0, 0, 0, 0]);
            answer.extend(&packet[12..end]);
            answer
        };
        match said.unwrap_or(DnsAnswer::NoSuchName) {
            DnsAnswer::Silence => Vec::new(),
            DnsAnswer::Nothing => vec![head(0, 0, 0)],
            DnsAnswer::NoSuchName => vec![head(3, 0, 0)],
            DnsAnswer::Failure => vec![head(2, 0, 0)],
            DnsAnswer::Packets(make) => make(packet),
            DnsAnswer::Records(ttl, data) => {
                let mut answer = head(0, 0, data.len());
                for data in &data {
                    // The name is that of the question, at byte 12.
                    answer.extend([0xc0, 12]);
                    answer.extend(kind.number().to_be_bytes());
                    answer.extend([0, 1]);
                    answer.extend(ttl.to_be_bytes());
                    answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
                    answer.extend(data);
                }
                if room.is_some_and(|room| answer.len() > room) {
                    answer = head(0, 2, 0);
                }
                vec![answer]
            }
        }
    }
}

/// The first question of a packet, and where it ends.
fn question(packet: &[u8]) -> Option<(String, RecordKind, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = packet.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
    let number = packet.get(at..at + 2)?;
    let kind = RecordKind::of(u16::from_be_bytes([number[0], number[1]]));
    packet.get(at..at + 4)?;
    Some((labels.join("."), kind, at + 4))
}

fn put_name(data: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        data.push(u8::try_from(label.len()).unwrap());
        data.extend(label.as_bytes());
    }
    data.push(0);
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::{Dns, DnsAnswer, RecordKind, put_name};

    fn ask(dns: &Dns, name: &str, kind: u16) -> Vec<u8> {
        let mut packet = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        put_name(&mut packet, name);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wait = Duration::from_secs(10);
        socket.set_read_timeout(Some(wait)).unwrap();
        socket.send_to(&packet, dns.address()).unwrap();
        let mut answer = [0; 4096];
        let length = socket.recv(&mut answer).unwrap();
        answer[..length].to_vec()
    }

    #[test]
    fn it_says_what_the_script_says() {
        let dns = Dns::start();
        dns.addresses("app.test", 7, &["10.0.0.1", "10.0.0.2"]);
        let answer = ask(&dns, "app.test", 1);
        assert_eq!(&answer[..12], &[7, 9, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]);
        assert!(answer.ends_with(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 7, 0, 4, 10, 0, 0, 2]));
        assert_eq!(ask(&dns, "app.test", 28)[3] & 15, 0, "no error, no records");
        assert_eq!(ask(&dns, "other.test", 1)[3] & 15, 3, "no such name");
        let many = vec![vec![10, 0, 0, 1]; 500];
        dns.say("app.test", RecordKind::A, DnsAnswer::Records(1, many));
        assert_eq!(ask(&dns, "app.test", 1)[2] & 2, 2, "cut");
        assert_eq!(dns.count("app.test", RecordKind::A), 2);
    }
}
