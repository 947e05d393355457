//! A recording origin: answers by script, keeps every byte, and judges what the proxy sends.
//!
//! Its parser is its own and strict (see `strict/`): two framings, two hosts, a bare LF, a chunk
//! extension, a field for one connection only, bytes behind an unanswered request - all of that is
//! a [`Violation`]. An origin with violations that no test looked at fails the test when dropped.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::event::{lock, wait_until};
use crate::play::Conversation;
use crate::record::{ConnectionRecord, Request, Script, Shared, State, Violation};
use crate::reply::Reply;
use crate::stream::Stream;
use crate::wire::{Direction, Transcript, readable};

/// An origin to be, with what a plain [`Origin::start`] leaves out.
#[must_use]
pub struct OriginBuilder(Script);

impl OriginBuilder {
    /// Plays this when a connection is accepted, before any request: greetings, resets, silence.
    pub fn at_connect(mut self, act: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        self.0.at_connect = Some(Box::new(act));
        self
    }

    /// Asked when a head has arrived; `Some` is played before the body is read (the rest is read
    /// after it, or where the reply says so), `None` leaves the answer to the script of `start`.
    pub fn at_head(
        mut self,
        act: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        self.0.at_head = Some(Box::new(act));
        self
    }

    /// Does not send `100 Continue` by itself when a request expects it.
    pub fn without_continue(mut self) -> Self {
        self.0.continues = false;
        self
    }

    /// Counts request bodies and long transcripts but does not keep them: for huge uploads.
    pub fn forget_bodies(mut self) -> Self {
        self.0.keeps_bodies = false;
        self
    }

    /// A small receive buffer, so that an origin that stops reading is felt early.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.0.receive_buffer = Some(bytes);
        self
    }

    /// Starts on a free port of 127.0.0.1.
    #[track_caller]
    pub fn start(self, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Origin {
        self.start_at(SocketAddr::from(([127, 0, 0, 1], 0)), answer)
    }

    /// Starts at this address.
    #[track_caller]
    pub fn start_at(
        self,
        address: SocketAddr,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Origin {
        self.start_on(Place::Tcp(address), answer)
    }

    /// Starts on a Unix socket.
    #[track_caller]
    pub fn start_unix(
        self,
        path: impl AsRef<Path>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Origin {
        self.start_on(Place::Unix(path.as_ref().to_owned()), answer)
    }

    #[track_caller]
    fn start_on(
        mut self,
        place: Place,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Origin {
        self.0.answer = Box::new(answer);
        let shared = Shared {
            script: self.0,
            started: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        let mut origin = Origin {
            shared: Arc::new(shared),
            place,
            running: Mutex::new(None),
        };
        let (place, running) = listen(&origin.shared, &origin.place);
        origin.place = place;
        origin.running = Mutex::new(Some(running));
        origin
    }
}

#[derive(Clone, Debug)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

struct Running {
    stops: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    socket: OwnedFd,
}

#[track_caller]
fn listen(shared: &Arc<Shared>, place: &Place) -> (Place, Running) {
    // A port that was ours a moment ago may still be busy.
    let mut bound = bind(place);
    if bound.is_err() {
        let _ = wait_until(Duration::from_secs(3), || {
            bound = bind(place);
            bound.is_ok()
        });
    }
    let listener = match bound {
        Ok(listener) => listener,
        Err(error) => panic!("an origin cannot listen on {place:?}: {error}"),
    };
    let place = match &listener {
        Listener::Tcp(listener) => Place::Tcp(listener.local_addr().unwrap()),
        Listener::Unix(_) => place.clone(),
    };
    let socket = match &listener {
        Listener::Tcp(listener) => listener.as_fd().try_clone_to_owned().unwrap(),
        Listener::Unix(listener) => listener.as_fd().try_clone_to_owned().unwrap(),
    };
    let stops = Arc::new(AtomicBool::new(false));
    let (shared, told) = (Arc::clone(shared), Arc::clone(&stops));
    let thread = std::thread::spawn(move || accept_until(&shared, &listener, &told));
    let running = Running {
        stops,
        thread,
        socket,
    };
    (place, running)
}

fn bind(place: &Place) -> io::Result<Listener> {
    match place {
        Place::Tcp(address) => TcpListener::bind(address).map(Listener::Tcp),
        Place::Unix(path) => {
            let _ = std::fs::remove_file(path);
            UnixListener::bind(path).map(Listener::Unix)
        }
    }
}

fn accept_until(shared: &Arc<Shared>, listener: &Listener, stops: &AtomicBool) {
    loop {
        let accepted = match listener {
            Listener::Tcp(listener) => listener.accept().and_then(|(s, _)| Stream::tcp(s)),
            Listener::Unix(listener) => listener.accept().map(|(s, _)| Stream::Unix(s)),
        };
        if stops.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = accepted else { continue };
        if let Some(bytes) = shared.script.receive_buffer {
            stream.set_receive_buffer(bytes);
        }
        let stream = Arc::new(stream);
        let id = open_record(shared, &stream);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || Conversation::hold(shared, id, stream));
    }
}

fn open_record(shared: &Shared, stream: &Arc<Stream>) -> usize {
    let keep = if shared.script.keeps_bodies {
        usize::MAX
    } else {
        4096
    };
    shared.update(|state| {
        let id = state.connections.len();
        state.connections.push(ConnectionRecord {
            id,
            opened: shared.started.elapsed(),
            ended: None,
            requests: 0,
            is_idle: true,
            transcript: Transcript::new(format!("origin, connection {id}"), shared.started, keep),
        });
        state.streams.push(Arc::downgrade(stream));
        id
    })
}

/// A running origin; dropping it ends it.
pub struct Origin {
    shared: Arc<Shared>,
    place: Place,
    running: Mutex<Option<Running>>,
}

impl Origin {
    /// An origin with more to say than an answer per request.
    pub fn builder() -> OriginBuilder {
        OriginBuilder(Script {
            at_connect: None,
            at_head: None,
            answer: Box::new(|_| Reply::ok("")),
            continues: true,
            keeps_bodies: true,
            receive_buffer: None,
        })
    }

    /// Starts on a free port of 127.0.0.1. `answer` is asked when a request is complete; it may
    /// look at [`Request::connection`] and [`Request::number`] to answer differently each time.
    #[must_use]
    #[track_caller]
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::builder().start(answer)
    }

    /// The same at a given address.
    #[must_use]
    #[track_caller]
    pub fn start_at(
        address: SocketAddr,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::builder().start_at(address, answer)
    }

    /// The same on a Unix socket.
    #[must_use]
    #[track_caller]
    pub fn start_unix(
        path: impl AsRef<Path>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::builder().start_unix(path, answer)
    }

    /// Where it listens; kept over [`stop`](Self::stop) and [`restart`](Self::restart).
    #[must_use]
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        match &self.place {
            Place::Tcp(address) => *address,
            Place::Unix(path) => panic!("this origin listens on {}", path.display()),
        }
    }

    /// All requests whose head has arrived, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.state).requests.clone()
    }

    /// Waits until `count` requests have arrived whole, and gives all there are.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize, timeout: Duration) -> Vec<Request> {
        let complete = |requests: &[Request]| requests.iter().filter(|r| r.complete).count();
        self.wait(timeout, &format!("{count} whole requests"), |state| {
            complete(&state.requests) >= count
        });
        self.requests()
    }

    /// Waits until `count` request heads have arrived, bodies or not.
    #[track_caller]
    pub fn wait_for_heads(&self, count: usize, timeout: Duration) -> Vec<Request> {
        self.wait(timeout, &format!("{count} heads"), |state| {
            state.requests.len() >= count
        });
        self.requests()
    }

    /// Every connection there was.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionRecord> {
        lock(&self.shared.state).connections.clone()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        let state = lock(&self.shared.state);
        state
            .connections
            .iter()
            .filter(|connection| connection.ended.is_none())
            .count()
    }

    /// Waits until `condition` holds for the connections.
    #[track_caller]
    pub fn wait_for_connections(
        &self,
        timeout: Duration,
        condition: impl Fn(&[ConnectionRecord]) -> bool,
    ) -> Vec<ConnectionRecord> {
        self.wait(timeout, "its connections", |state| {
            condition(&state.connections)
        });
        self.connections()
    }

    /// What the proxy sent and should not have. Reading them is taking responsibility: unread
    /// violations fail the test when the origin is dropped.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let mut state = lock(&self.shared.state);
        state.violations_were_read = true;
        state.violations.clone()
    }

    /// Stops listening and closes every connection, as a dying process does. Connecting is
    /// refused from now on.
    pub fn stop(&self) {
        let Some(running) = lock(&self.running).take() else {
            return;
        };
        running.stops.store(true, Ordering::Release);
        // Wakes the accepting thread. The path of a Unix socket may be gone already.
        match &self.place {
            Place::Tcp(address) => drop(TcpStream::connect(address)),
            Place::Unix(_) => drop(SockRef::from(&running.socket).shutdown(Shutdown::Both)),
        }
        let _ = running.thread.join();
        drop(running.socket);
        if let Place::Unix(path) = &self.place {
            let _ = std::fs::remove_file(path);
        }
        self.cut_connections(|_| true);
        let _ = wait_until(Duration::from_secs(1), || self.open_connections() == 0);
    }

    /// Listens again at the same place. The record goes on.
    #[track_caller]
    pub fn restart(&self) {
        self.stop();
        let (_, running) = listen(&self.shared, &self.place);
        *lock(&self.running) = Some(running);
    }

    /// Closes the connections that wait for a request, and tells how many there were.
    pub fn kill_idle_connections(&self) -> usize {
        // An answer can be with its reader before this side has taken note.
        let _ = wait_until(Duration::from_millis(100), || {
            let state = lock(&self.shared.state);
            state
                .connections
                .iter()
                .all(|c| c.is_idle || c.ended.is_some())
        });
        self.cut_connections(|connection| connection.is_idle)
    }

    /// Everything said so far.
    #[must_use]
    pub fn transcript(&self) -> String {
        let state = lock(&self.shared.state);
        state
            .connections
            .iter()
            .map(|connection| connection.transcript.to_string())
            .collect()
    }

    fn cut_connections(&self, which: impl Fn(&ConnectionRecord) -> bool) -> usize {
        let state = lock(&self.shared.state);
        let open = state
            .connections
            .iter()
            .filter(|connection| connection.ended.is_none());
        let streams: Vec<Arc<Stream>> = open
            .filter(|connection| which(connection))
            .filter_map(|connection| state.streams[connection.id].upgrade())
            .collect();
        drop(state);
        for stream in &streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        streams.len()
    }

    #[track_caller]
    fn wait(&self, timeout: Duration, what: &str, condition: impl Fn(&State) -> bool) {
        let guard = lock(&self.shared.state);
        let (guard, _) = self
            .shared
            .changed
            .wait_timeout_while(guard, timeout, |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner);
        let holds = condition(&guard);
        drop(guard);
        assert!(holds, "the origin waited {timeout:?} in vain for {what}");
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
        let state = lock(&self.shared.state);
        if std::thread::panicking() {
            for connection in &state.connections {
                eprint!("{}", connection.transcript);
            }
            for violation in &state.violations {
                eprintln!("violation: {violation:?}");
            }
            return;
        }
        let unread = !state.violations.is_empty() && !state.violations_were_read;
        let violations = state.violations.clone();
        let transcript: String = state
            .connections
            .iter()
            .filter(|connection| violations.iter().any(|v| v.connection == connection.id))
            .map(|connection| readable(&connection.transcript.bytes(Direction::In)))
            .collect();
        drop(state);
        assert!(
            !unread,
            "the origin was sent what it should not be: {violations:#?}\n{transcript}"
        );
    }
}
