//! A server that speaks HTTP/2 and says what a story wants: frames are the test kit's, so nothing
//! of it is shared with the proxy. A thread for each connection, which ends with its peer.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use croupier_testkit::h2::{
    Frame, PREFACE, flag,
    hpack::{Decoder, Encoder},
    kind, setting,
};

/// What was asked on one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) stream: u32,
    pub(crate) lines: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn line(&self, name: &str) -> Option<&str> {
        let mut lines = self.lines.iter();
        lines.find_map(|(own, value)| (own == name).then_some(value.as_str()))
    }

    pub(crate) fn path(&self) -> &str {
        self.line(":path").unwrap_or_default()
    }
}

/// An origin that speaks HTTP/2 without TLS.
pub(crate) struct H2Server {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<Mutex<Vec<Asked>>>,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl H2Server {
    /// Each connection is played by `story`, after both ends said their settings.
    pub(crate) fn start(
        settings: &'static [(u16, u32)],
        story: impl Fn(&mut Connection) -> Option<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let (heard, count, story) = (
            Arc::clone(&asked),
            Arc::clone(&connections),
            Arc::new(story),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (heard, story) = (Arc::clone(&heard), Arc::clone(&story));
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let mut connection = Connection::new(stream, number, heard);
                    connection
                        .greet(settings)
                        .and_then(|()| story(&mut connection))
                });
            }
        });
        Self {
            address,
            asked,
            connections,
        }
    }

    /// One that answers everybody.
    pub(crate) fn answering(
        settings: &'static [(u16, u32)],
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(settings, move |connection| {
            loop {
                let asked = connection.request()?;
                let stream = asked.stream;
                connection.answer(stream, answer(&asked))?;
            }
        })
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// What a stream is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) lines: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn of(body: impl AsRef<[u8]>) -> Self {
        Self {
            lines: lines(&[(":status", "200")]),
            body: body.as_ref().to_vec(),
            trailers: Vec::new(),
        }
    }

    pub(crate) fn line(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.into(), value.into()));
        self
    }
}

pub(crate) fn lines(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    lines.iter().map(own).collect()
}

/// The server's end of one connection. `None` from its verbs: the peer has left.
pub(crate) struct Connection {
    stream: TcpStream,
    number: usize,
    read: Vec<u8>,
    decoder: Decoder,
    encoder: Encoder,
    open: BTreeMap<u32, Asked>,
    whole: VecDeque<Asked>,
    /// What may be sent: on stream 0 the connection's, and each stream's.
    windows: BTreeMap<u32, i64>,
    window_first: i64,
    /// Windows of the peer are opened again as bytes come.
    pub(crate) grants: bool,
    /// Streams that the peer reset.
    pub(crate) resets: Vec<(u32, u32)>,
    /// Frames of the peer that are none of the verbs' business.
    pub(crate) pings: usize,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Connection {
    fn new(stream: TcpStream, number: usize, asked: Arc<Mutex<Vec<Asked>>>) -> Self {
        Self {
            stream,
            number,
            read: Vec::new(),
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            open: BTreeMap::new(),
            whole: VecDeque::new(),
            windows: BTreeMap::from([(0, 65_535)]),
            window_first: 65_535,
            grants: true,
            resets: Vec::new(),
            pings: 0,
            asked,
        }
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    fn greet(&mut self, settings: &[(u16, u32)]) -> Option<()> {
        self.send(&Frame::settings(settings))?;
        while self.read.len() < PREFACE.len() {
            self.fill()?;
        }
        assert!(self.read.starts_with(PREFACE), "{:?}", self.read);
        self.read.drain(..PREFACE.len());
        Some(())
    }

    fn fill(&mut self) -> Option<()> {
        let mut bytes = [0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) | Err(_) => None,
            Ok(count) => {
                self.read.extend_from_slice(&bytes[..count]);
                Some(())
            }
        }
    }

    pub(crate) fn send(&mut self, frame: &Frame) -> Option<()> {
        self.stream.write_all(&frame.encode()).ok()
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).ok()
    }

    /// The next frame, whatever it is; what every server does with it is done.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        let frame = loop {
            if let Some((frame, length)) = Frame::decode(&self.read) {
                self.read.drain(..length);
                break frame;
            }
            self.fill()?;
        };
        match frame.kind {
            kind::SETTINGS if !frame.has(flag::ACK) => {
                for (id, value) in frame.settings_pairs() {
                    if id == setting::INITIAL_WINDOW_SIZE {
                        self.window_first = value.into();
                    }
                }
                self.send(&Frame::settings_ack())?;
            }
            kind::PING if !frame.has(flag::ACK) => {
                self.pings += 1;
                let pong = Frame::raw(kind::PING, flag::ACK, 0, &frame.payload);
                self.send(&pong)?;
            }
            kind::WINDOW_UPDATE => {
                let first = self.window_first;
                let window = self.windows.entry(frame.stream).or_insert(first);
                *window += i64::from(frame.number_at(0));
            }
            kind::RST_STREAM => {
                self.open.remove(&frame.stream);
                self.resets.push((frame.stream, frame.number_at(0)));
            }
            kind::HEADERS => {
                let lines = self.decoder.decode(frame.content()?).unwrap();
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                let lines = lines
                    .into_iter()
                    .map(|(name, value)| (text(name), text(value)));
                match self.open.get_mut(&frame.stream) {
                    Some(asked) => asked.trailers = lines.collect(),
                    None => {
                        let asked = Asked {
                            stream: frame.stream,
                            lines: lines.collect(),
                            ..Asked::default()
                        };
                        self.open.insert(frame.stream, asked);
                        self.windows.insert(frame.stream, self.window_first);
                    }
                }
            }
            kind::DATA => {
                let bytes = frame.content()?;
                if let Some(asked) = self.open.get_mut(&frame.stream) {
                    asked.body.extend_from_slice(bytes);
                }
                let count = u32::try_from(frame.payload.len()).unwrap();
                if self.grants && count > 0 {
                    self.send(&Frame::window_update(0, count))?;
                    self.send(&Frame::window_update(frame.stream, count))?;
                }
            }
            _ => {}
        }
        let ends = matches!(frame.kind, kind::HEADERS | kind::DATA) && frame.has(flag::END_STREAM);
        if ends && let Some(asked) = self.open.remove(&frame.stream) {
            self.asked.lock().unwrap().push(asked.clone());
            self.whole.push_back(asked);
        }
        Some(frame)
    }

    /// The next request, when it is whole.
    pub(crate) fn request(&mut self) -> Option<Asked> {
        while self.whole.is_empty() {
            self.frame()?;
        }
        self.whole.pop_front()
    }

    /// Requests that are here already.
    pub(crate) fn arrived(&mut self) -> Option<Vec<Asked>> {
        self.stream.set_nonblocking(true).ok()?;
        while self.fill().is_some() {}
        self.stream.set_nonblocking(false).ok()?;
        while Frame::decode(&self.read).is_some() {
            self.frame()?;
        }
        Some(self.whole.drain(..).collect())
    }

    /// The head of the next request.
    pub(crate) fn head(&mut self) -> Option<Asked> {
        loop {
            let frame = self.frame()?;
            if frame.kind == kind::HEADERS {
                return self.open.get(&frame.stream).cloned();
            }
        }
    }

    pub(crate) fn lines(&mut self, stream: u32, lines: &[(String, String)]) -> Frame {
        Frame::headers(stream, self.encoder.encode(lines))
    }

    /// A whole answer, as windows allow.
    pub(crate) fn answer(&mut self, stream: u32, answer: Answer) -> Option<()> {
        let mut head = self.lines(stream, &answer.lines);
        if answer.body.is_empty() && answer.trailers.is_empty() {
            head = head.end_stream();
        }
        self.send(&head)?;
        let mut rest = &answer.body[..];
        while !rest.is_empty() {
            let room = self.windows[&0].min(*self.windows.get(&stream)?);
            let count = usize::try_from(room.max(0))
                .unwrap()
                .min(rest.len())
                .min(16_384);
            if count == 0 {
                self.frame()?;
                if self.resets.iter().any(|(reset, _)| *reset == stream) {
                    return Some(());
                }
                continue;
            }
            let (part, behind) = rest.split_at(count);
            rest = behind;
            for id in [0, stream] {
                *self.windows.get_mut(&id)? -= i64::try_from(count).unwrap();
            }
            let mut data = Frame::data(stream, part);
            if rest.is_empty() && answer.trailers.is_empty() {
                data = data.end_stream();
            }
            self.send(&data)?;
        }
        if !answer.trailers.is_empty() {
            let trailers = self.lines(stream, &answer.trailers).end_stream();
            self.send(&trailers)?;
        }
        Some(())
    }
}

impl Connection {
    /// The head of an answer without end, and as much of it as there is room for.
    pub(crate) fn fill_window(&mut self, stream: u32) -> Option<()> {
        let head = self.lines(stream, &lines(&[(":status", "200")]));
        self.send(&head)?;
        loop {
            let room = self.windows[&0]
                .min(*self.windows.get(&stream)?)
                .min(16_384);
            if room <= 0 {
                return Some(());
            }
            for id in [0, stream] {
                *self.windows.get_mut(&id)? -= room;
            }
            let part = vec![b'x'; usize::try_from(room).unwrap()];
            self.send(&Frame::data(stream, part))?;
        }
    }
}
