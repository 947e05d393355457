//! What the proxy has said on one connection, judged frame by frame.
//!
//! ```text
//! HEADERS (1xx)* -> HEADERS (final) -> DATA* -> HEADERS (trailers) -> over
//!        END_STREAM at the final head, at DATA or at trailers; RST_STREAM anywhere
//! ```

use std::collections::{BTreeMap, VecDeque};

use super::answer::{Answer, Goaway};
use super::frame::{FRAME_MAX, Frame, flag, kind, setting};
use super::hpack::Decoder;
use super::windows::Windows;
use crate::message::{Headers, text};
use crate::response::Interim;

/// Fields that belong to one HTTP/1 connection and never to HTTP/2 (RFC 9113, 8.2.2).
const FORBIDDEN: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

pub(super) struct Heard {
    /// Settings of the proxy, the newest values.
    pub(super) settings: BTreeMap<u16, u32>,
    pub(super) settings_frames: usize,
    pub(super) settings_acks: usize,
    pub(super) pings: Vec<[u8; 8]>,
    pub(super) goaways: Vec<Goaway>,
    pub(super) answers: BTreeMap<u32, Answer>,
    /// How many frames of each type came.
    pub(super) counts: [usize; 10],
    /// What the proxy may send us.
    pub(super) receiving: Windows,
    pub(super) keeps_bodies: bool,
    pub(super) decoder: Decoder,
    /// Our settings that the proxy has not acknowledged.
    pending: VecDeque<Vec<(u16, u32)>>,
    frame_max: usize,
    block: Option<(u32, u8, Vec<u8>)>,
}

impl Heard {
    pub(super) fn new() -> Self {
        Self {
            settings: BTreeMap::new(),
            settings_frames: 0,
            settings_acks: 0,
            pings: Vec::new(),
            goaways: Vec::new(),
            answers: BTreeMap::new(),
            counts: [0; 10],
            receiving: Windows::new(),
            keeps_bodies: true,
            decoder: Decoder::new(),
            pending: VecDeque::new(),
            frame_max: FRAME_MAX,
            block: None,
        }
    }

    /// We sent these settings.
    pub(super) fn said(&mut self, settings: Vec<(u16, u32)>) {
        self.pending.push_back(settings);
    }

    /// Takes a frame, or tells what is wrong with it.
    pub(super) fn hear(&mut self, frame: &Frame) -> Result<(), String> {
        if let Some(count) = self.counts.get_mut(usize::from(frame.kind)) {
            *count += 1;
        }
        if frame.payload.len() > self.frame_max {
            return Err(format!("more than the {} bytes of a frame", self.frame_max));
        }
        let is_first = self.counts.iter().sum::<usize>() == 1;
        if is_first && (frame.kind != kind::SETTINGS || frame.has(flag::ACK)) {
            return Err("the first frame is no SETTINGS".into());
        }
        if self.block.is_some() && frame.kind != kind::CONTINUATION {
            return Err("a header block was not finished".into());
        }
        self.placed(frame)?;
        match frame.kind {
            kind::DATA => self.data(frame),
            kind::HEADERS => {
                let block = frame.content().ok_or("padding is longer than the frame")?;
                self.block(frame.stream, frame.flags, block.to_vec())
            }
            kind::CONTINUATION => {
                let (stream, flags, mut block) = self.block.take().ok_or("nothing to continue")?;
                if stream != frame.stream {
                    return Err("continues another stream".into());
                }
                block.extend(&frame.payload);
                self.block(stream, flags | frame.flags & flag::END_HEADERS, block)
            }
            kind::RST_STREAM => self.reset(frame),
            kind::SETTINGS => self.settings(frame),
            kind::PING if frame.has(flag::ACK) => {
                self.pings.extend(<[u8; 8]>::try_from(&frame.payload[..]));
                Ok(())
            }
            kind::GOAWAY => self.goaway(frame),
            kind::WINDOW_UPDATE if frame.number_at(0) & 0x7fff_ffff == 0 => {
                Err("a WINDOW_UPDATE of 0".into())
            }
            kind::PUSH_PROMISE => Err("a push, which was never allowed".into()),
            _ => Ok(()),
        }
    }

    /// Is this type of frame where it may be, and as long as it must be?
    fn placed(&self, frame: &Frame) -> Result<(), String> {
        let is_on_connection = frame.stream == 0;
        let wanted = match frame.kind {
            kind::DATA | kind::HEADERS | kind::CONTINUATION => (Some(false), None),
            kind::PRIORITY => (Some(false), Some(5)),
            kind::RST_STREAM => (Some(false), Some(4)),
            kind::SETTINGS | kind::GOAWAY => (Some(true), None),
            kind::PING => (Some(true), Some(8)),
            kind::WINDOW_UPDATE => (None, Some(4)),
            _ => (None, None),
        };
        if wanted.0.is_some_and(|wanted| wanted != is_on_connection) {
            return Err("on the wrong stream".into());
        }
        if wanted.1.is_some_and(|length| length != frame.payload.len()) {
            return Err("of the wrong length".into());
        }
        if !is_on_connection && !self.answers.contains_key(&frame.stream) {
            return Err("on a stream that was never opened".into());
        }
        Ok(())
    }

    fn live(&mut self, stream: u32) -> Result<&mut Answer, String> {
        let answer = self.answers.get_mut(&stream).ok_or("an unknown stream")?;
        if answer.is_over() {
            return Err("on a stream that was over".into());
        }
        Ok(answer)
    }

    fn data(&mut self, frame: &Frame) -> Result<(), String> {
        let keeps_bodies = self.keeps_bodies;
        if !self.receiving.take(frame.stream, frame.payload.len()) {
            return Err("more than the window allows".into());
        }
        let bytes = frame.content().ok_or("padding is longer than the frame")?;
        let answer = self.live(frame.stream)?;
        if answer.was_cancelled {
            return Ok(());
        }
        if answer.status < 200 {
            return Err("a body before its head".into());
        }
        if matches!(answer.status, 204 | 304) || answer.method == "HEAD" {
            // An empty frame may carry END_STREAM.
            if !bytes.is_empty() {
                return Err("a body where none may be".into());
            }
        }
        answer.body_length += bytes.len() as u64;
        if keeps_bodies {
            answer.body.extend(bytes);
        }
        if frame.has(flag::END_STREAM) {
            return finish(answer);
        }
        Ok(())
    }

    fn block(&mut self, stream: u32, flags: u8, block: Vec<u8>) -> Result<(), String> {
        if flags & flag::END_HEADERS == 0 {
            self.block = Some((stream, flags, block));
            return Ok(());
        }
        let lines = self.decoder.decode(&block)?;
        let answer = self.live(stream)?;
        if answer.was_cancelled {
            return Ok(());
        }
        let ends = flags & flag::END_STREAM != 0;
        if answer.status != 0 {
            if !ends {
                return Err("trailers without the end of the stream".into());
            }
            answer.trailers = fields(&lines)?;
            return finish(answer);
        }
        let (first, rest) = lines.split_first().ok_or("an empty head")?;
        let status = std::str::from_utf8(&first.1)
            .ok()
            .filter(|text| text.len() == 3);
        let status = status
            .and_then(|text| text.parse().ok())
            .filter(|n| *n > 99 && *n < 600);
        let (Some(status), b":status") = (status, &first.0[..]) else {
            return Err(format!("a head without a status: {}", text(&first.0)));
        };
        let headers = fields(rest)?;
        match status {
            101 => Err("a 101".into()),
            100..200 if ends => Err("an interim answer with the end of the stream".into()),
            100..200 => {
                answer.interim.push(Interim { status, headers });
                Ok(())
            }
            _ => {
                answer.status = status;
                answer.headers = headers;
                if ends { finish(answer) } else { Ok(()) }
            }
        }
    }

    fn reset(&mut self, frame: &Frame) -> Result<(), String> {
        let answer = self
            .answers
            .get_mut(&frame.stream)
            .ok_or("an unknown stream")?;
        // A stream should be reset once (5.4.2); the first code counts.
        let code = frame.number_at(0);
        answer.reset.get_or_insert(code);
        Ok(())
    }

    fn settings(&mut self, frame: &Frame) -> Result<(), String> {
        if frame.has(flag::ACK) {
            self.settings_acks += 1;
            let ours = self
                .pending
                .pop_front()
                .ok_or("acknowledges settings never sent")?;
            for (id, value) in ours {
                match id {
                    setting::HEADER_TABLE_SIZE => self.decoder.limit(value),
                    setting::INITIAL_WINDOW_SIZE => self.receiving.set_initial(value),
                    setting::MAX_FRAME_SIZE => {
                        self.frame_max = usize::try_from(value).unwrap_or(FRAME_MAX);
                    }
                    _ => {}
                }
            }
            return Ok(());
        }
        if !frame.payload.len().is_multiple_of(6) {
            return Err("settings that are no pairs".into());
        }
        self.settings_frames += 1;
        for (id, value) in frame.settings_pairs() {
            let is_lawful = match id {
                setting::ENABLE_PUSH => value == 0,
                setting::ENABLE_CONNECT_PROTOCOL => value <= 1,
                setting::INITIAL_WINDOW_SIZE => value <= 0x7fff_ffff,
                setting::MAX_FRAME_SIZE => (16_384..1 << 24).contains(&value),
                _ => true,
            };
            if !is_lawful {
                return Err(format!("the setting {id} = {value}"));
            }
            self.settings.insert(id, value);
        }
        Ok(())
    }

    fn goaway(&mut self, frame: &Frame) -> Result<(), String> {
        let debug = frame.payload.get(8..).ok_or("a short GOAWAY")?;
        let last = frame.number_at(0) & 0x7fff_ffff;
        if self.goaways.last().is_some_and(|before| before.last < last) {
            return Err("a later GOAWAY takes back what an earlier one refused".into());
        }
        self.goaways.push(Goaway {
            last,
            code: frame.number_at(4),
            debug: text(debug),
        });
        Ok(())
    }
}

/// The end of a stream: its length is as announced.
fn finish(answer: &mut Answer) -> Result<(), String> {
    if answer.status < 200 {
        return Err("the end before the answer".into());
    }
    answer.is_complete = true;
    let lengths = answer.headers.all("content-length");
    let bodiless = answer.method == "HEAD" || answer.status == 304;
    match lengths[..] {
        [] => Ok(()),
        [one] if one.parse() == Ok(answer.body_length) || bodiless => Ok(()),
        _ => Err(format!(
            "{lengths:?} announced, {} bytes came",
            answer.body_length
        )),
    }
}

/// Fields without pseudo-headers, each lawful in HTTP/2.
fn fields(lines: &FieldLines) -> Result<Headers, String> {
    let mut headers = Headers::default();
    for (name, value) in lines {
        let shown = format!("{}: {}", text(name), text(value));
        let is_token = |b: &u8| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(b);
        if name.is_empty() || !name.iter().all(is_token) || name.iter().any(u8::is_ascii_uppercase)
        {
            return Err(format!("a bad name: {shown}"));
        }
        if FORBIDDEN.contains(&text(name).as_str()) {
            return Err(format!("a field of one connection: {shown}"));
        }
        let is_blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
        if value.iter().any(|b| matches!(b, 0 | b'\r' | b'\n'))
            || is_blank(value.first())
            || is_blank(value.last())
        {
            return Err(format!("a bad value: {shown}"));
        }
        headers.0.push((text(name), text(value)));
    }
    Ok(headers)
}

type FieldLines = [(Vec<u8>, Vec<u8>)];
