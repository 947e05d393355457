//! The demo that plays itself (`--once`): a round of requests, a server that dies with one in its
//! hands, a stream, an upload, a large file, the server's return, answers that are kept; and the sum
//! of it.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Table,
    cards::SCRIPT,
    client::{self, Answer},
    server::Server,
};
use crate::{
    cli::Code,
    terminal::{self, Paint, count},
};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pages that are kept for a minute: one that is asked for in turn, and one by many at once.
const MINUTE: &str = "/news?ms=300&fresh=60";
const COLD: &str = "/news?ms=300&fresh=60&page=2";
/// One that is kept for a second.
const SECOND: &str = "/news?ms=300";
/// So many requests of the round are answered from the cache: a hit, a compressed one, four that
/// were collapsed, a stale one.
const KEPT: u64 = 7;

struct Round<'a> {
    table: &'a Table,
    paint: Paint,
    asked: u64,
    /// What did not come out as it should.
    complaints: Vec<String>,
}

/// Plays one round.
pub(super) fn play(table: &Table) -> Code {
    let mut round = Round {
        table,
        paint: Paint::of_stdout(),
        asked: 0,
        complaints: Vec::new(),
    };
    let title = round.paint.bold("croupier demo --once");
    terminal::out(&format!(
        "{title}: three servers, one address, http://{}\n",
        table.address
    ));
    round.all_play();
    let dead = round.one_dies();
    round.the_others_go_on(dead);
    round.bodies_of_all_kinds();
    round.it_comes_back(dead);
    round.asked_once();
    round.goes_stale();
    round.sum_up(dead)
}

impl Round<'_> {
    fn step(&mut self, words: &str) {
        self.wait_for_log();
        let words = self.paint.bold(words);
        terminal::out(&format!("\n{words}\n"));
    }

    fn check(&mut self, holds: bool, otherwise: impl Into<String>) {
        if !holds {
            self.complaints.push(otherwise.into());
        }
    }

    fn ask(&mut self, method: &str, target: &str, body: &str) -> Option<Answer> {
        self.asked += 1;
        let result = client::ask(self.table.address, method, target, "", body);
        self.judge(target, result)
    }

    fn get(&mut self, target: &str) -> Option<Answer> {
        self.ask("GET", target, "")
    }

    /// Requests that the servers have taken so far.
    fn taken(&self) -> u64 {
        self.table.servers.iter().map(|one| one.requests()).sum()
    }

    fn judge(&mut self, target: &str, result: std::io::Result<Answer>) -> Option<Answer> {
        match result {
            Ok(answer) if answer.status == 200 => Some(answer),
            Ok(answer) => {
                let status = answer.status;
                self.complaints
                    .push(format!("{target} was answered {status}"));
                None
            }
            Err(error) => {
                self.complaints.push(format!("{target} failed: {error}"));
                None
            }
        }
    }

    /// The number of the server that played a card.
    fn card(&mut self) -> Option<usize> {
        self.ask("GET", "/card", "")?.server()
    }

    fn all_play(&mut self) {
        self.step("Three requests: each server gets one");
        let mut players: Vec<_> = (0..3).filter_map(|_| self.card()).collect();
        players.sort_unstable();
        self.check(
            players == [1, 2, 3],
            "three requests did not go to three servers",
        );
    }

    /// A server dies while it works on a request. Gives its place.
    fn one_dies(&mut self) -> Option<usize> {
        self.step("A slow request; its server dies meanwhile: another takes it over");
        self.asked += 1;
        let address = self.table.address;
        let slow = thread::spawn(move || client::ask(address, "GET", "/slow?ms=400", "", ""));
        let began = Instant::now();
        let mut dead = None;
        while dead.is_none() && began.elapsed() < PATIENCE {
            dead = self
                .table
                .servers
                .iter()
                .position(|server| server.is_busy());
            thread::sleep(Duration::from_millis(1));
        }
        if let Some(dead) = dead {
            let stopped = self.table.servers[dead].stop();
            self.check(stopped.is_ok(), "a server could not be stopped");
        }
        let answer = slow
            .join()
            .unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
        if let Some(answer) = self.judge("/slow", answer) {
            let other = answer.server().map(|number| number - 1);
            self.check(other != dead, "a dead server answered");
        }
        self.check(dead.is_some(), "no server worked on the slow request");
        dead
    }

    fn the_others_go_on(&mut self, dead: Option<usize>) {
        self.step("Four requests while it is down: the others play");
        for _ in 0..4 {
            let player = self.card().map(|number| number - 1);
            self.check(player.is_some() && player != dead, "a dead server played");
        }
    }

    fn bodies_of_all_kinds(&mut self) {
        self.step("A page, a script of 100 KB, an upload, a stream");
        if let Some(page) = self.ask("GET", "/", "") {
            self.check(page.text().contains("</html>"), "the page is not whole");
        }
        if let Some(script) = self.ask("GET", "/app.js", "") {
            self.check(script.body == SCRIPT.as_bytes(), "the script is not itself");
        }
        let upload = "ace of spades ".repeat(1000);
        if let Some(echo) = self.ask("POST", "/echo", &upload) {
            self.check(echo.body.ends_with(upload.as_bytes()), "the upload changed");
        }
        if let Some(stream) = self.ask("GET", "/stream?pieces=5&ms=60", "") {
            let spread = match stream.chunks.as_slice() {
                [first, .., last] => *last - *first,
                _ => Duration::ZERO,
            };
            // Passed on as it came, not kept until the end.
            let flows = stream.chunks.len() == 5 && spread >= Duration::from_millis(120);
            self.check(flows, "the stream did not flow");
        }
    }

    fn it_comes_back(&mut self, dead: Option<usize>) {
        let Some(dead) = dead else { return };
        self.step("It starts again: a request finds out");
        if let Err(error) = self.table.servers[dead].restart() {
            self.complaints
                .push(format!("a server could not start again: {error}"));
            return;
        }
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.card().map(|number| number - 1) == Some(dead) {
                return;
            }
            thread::sleep(Duration::from_millis(400));
        }
        self.complaints
            .push("a server that is back gets no request".into());
    }

    /// What is kept is not asked for again, and many who ask at once are one.
    fn asked_once(&mut self) {
        self.step("Asked once: a page that takes 300 ms, again, and the script compressed");
        let before = self.taken();
        let first = self.get(MINUTE).map(|answer| answer.body);
        let again = self.get(MINUTE).map(|answer| answer.body);
        self.check(first.is_some() && first == again, "a kept page changed");
        self.asked += 1;
        let compressed = "Accept-Encoding: zstd\r\n";
        let script = client::ask(self.table.address, "GET", "/app.js", compressed, "");
        if let Some(script) = self.judge("/app.js", script) {
            let is_small = script.body.len() < SCRIPT.len() / 2;
            self.check(is_small, "the script was not compressed");
        }
        self.check(
            self.taken() == before + 1,
            "a kept page was asked for again",
        );

        self.step("Five at once for a page that nobody has yet: one asks, four share it");
        let before = self.taken();
        self.asked += 5;
        let address = self.table.address;
        let five: Vec<_> = (0..5)
            .map(|_| thread::spawn(move || client::ask(address, "GET", COLD, "", "")))
            .collect();
        for one in five {
            let answer = one
                .join()
                .unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
            self.judge(COLD, answer);
        }
        self.check(
            self.taken() == before + 1,
            "five at once were not asked for once",
        );
    }

    /// What is out of date is given once more while it is asked for.
    fn goes_stale(&mut self) {
        self.step("Kept for a second, then stale: given at once, asked for behind it");
        let before = self.taken();
        self.get(SECOND);
        thread::sleep(Duration::from_millis(1300));
        self.get(SECOND);
        let began = Instant::now();
        while self.taken() < before + 2 && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        self.check(
            self.taken() == before + 2,
            "a stale page was not asked for once",
        );
    }

    /// The log is a moment behind the answers.
    fn wait_for_log(&self) -> bool {
        let began = Instant::now();
        while self.table.tail.totals().requests < self.asked {
            if began.elapsed() > PATIENCE {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    fn sum_up(&mut self, dead: Option<usize>) -> Code {
        let is_logged = self.wait_for_log();
        self.check(is_logged, "the access log has not every request");
        let totals = self.table.tail.totals();
        self.check(
            totals.requests == self.asked,
            "the access log has too many requests",
        );
        self.check(
            totals.failed == 0,
            "the access log tells of failed requests",
        );
        self.check(
            totals.kept == KEPT,
            format!("{} answers came from the cache, not {KEPT}", totals.kept),
        );
        self.check(totals.moved > 0, "no request was moved to another server");
        let mut text = String::from("\nserver         address           requests\n");
        for (index, server) in self.table.servers.iter().enumerate() {
            text.push_str(&self.row(server, totals.by_server[index], dead == Some(index)));
        }
        let kept = totals.kept;
        text.push_str(&format!("{:14} {:17} {kept:8}\n", "the cache", ""));
        let lost = self.asked - (totals.requests - totals.failed).min(self.asked);
        let requests = count(usize::try_from(self.asked).unwrap_or(0), "request");
        let sum = format!(
            "{requests}, {} moved to another server, {lost} failed",
            totals.moved
        );
        text.push_str(&format!("\n{}\n", self.paint.bold(&sum)));
        terminal::out(&text);
        for complaint in &self.complaints {
            terminal::error(complaint, &[]);
        }
        if self.complaints.is_empty() {
            Code::Done
        } else {
            Code::Refused
        }
    }

    fn row(&self, server: &Server, requests: u64, died: bool) -> String {
        let title = format!("{:14}", server.suit.title());
        let note = if died { "  died and came back" } else { "" };
        format!(
            "{} {:17} {requests:8}{note}\n",
            self.paint.sgr(server.suit.sgr, &title),
            server.address().to_string(),
        )
    }
}
