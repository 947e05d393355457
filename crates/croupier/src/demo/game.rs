//! The demo for a person: what there is, what to try, and the keys that stop and start servers.

use std::{
    io::{self, BufRead as _},
    thread,
};

use super::{Table, server::Server};
use crate::terminal::{self, Paint, count};

/// Plays until the player quits.
pub(super) fn play(table: &Table) {
    let paint = Paint::of_stdout();
    terminal::out(&welcome(table, paint));
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match line.trim() {
            "" => {}
            "q" | "quit" | "exit" => return,
            word => {
                let chosen = word.parse().ok().and_then(|number: usize| {
                    table.servers.iter().find(|one| one.suit.number == number)
                });
                match chosen {
                    Some(server) => terminal::out(&turn(server, paint)),
                    None => terminal::out(&hint(table, paint)),
                }
            }
        }
    }
    // Without a keyboard it goes on until a signal.
    loop {
        thread::park();
    }
}

/// Stops a server that runs, starts one that does not, and says so.
fn turn(server: &Server, paint: Paint) -> String {
    let title = paint.sgr(server.suit.sgr, &server.suit.title());
    let said = if server.is_running() {
        match server.stop() {
            Ok(cut) => format!(
                "{title} {}: {} cut, new ones are refused",
                paint.bold("stopped"),
                count(cut, "connection")
            ),
            Err(error) => format!("{title} cannot be stopped: {error}"),
        }
    } else {
        match server.restart() {
            Ok(()) => format!(
                "{title} {}: a request will soon find out",
                paint.bold("is back")
            ),
            Err(error) => format!("{title} cannot be started: {error}"),
        }
    };
    format!("{:9}{said}\n", "")
}

fn hint(table: &Table, paint: Paint) -> String {
    let mut text = format!("{:9}", "");
    for server in &table.servers {
        let state = if server.is_running() { "up" } else { "stopped" };
        let title = paint.sgr(server.suit.sgr, &server.suit.title());
        text.push_str(&format!("{title} {state}   "));
    }
    format!("{text}q quit\n")
}

fn welcome(table: &Table, paint: Paint) -> String {
    let url = format!("http://{}", table.address);
    let mut text = String::from("\n");
    let suits: Vec<String> = table
        .servers
        .iter()
        .map(|server| paint.sgr(server.suit.sgr, server.suit.symbol))
        .collect();
    text.push_str(&format!(
        "  {}  {}\n\n",
        suits.join(" "),
        paint.bold("croupier deals requests to three servers")
    ));
    let mut line = |label: &str, words: &str| {
        text.push_str(&format!("  {}{words}\n", paint.dim(&format!("{label:9}"))));
    };
    line(
        "open",
        &format!(
            "{}   in a browser: another server each time",
            paint.bold(&url)
        ),
    );
    let mut label = "servers";
    for server in &table.servers {
        let title = paint.sgr(server.suit.sgr, &format!("{:14}", server.suit.title()));
        line(label, &format!("{title}{}", server.address()));
        label = "";
    }
    line("metrics", &format!("http://{}/metrics", table.metrics));
    line("", "");
    let tries = [
        (format!("curl {url}"), "a card from one of them"),
        (format!("curl -N {url}/stream"), "a line each second"),
        (format!("curl -d ace {url}/echo"), "what a server sees"),
        (format!("curl {url}/slow"), "2 s: stop its server!"),
        (format!("curl {url}/news"), "1 s, then kept: again!"),
        (format!("wrk -c64 -d5 {url}/news"), "asked once a second"),
        (format!("wrk -c64 -d5 {url}/card"), "a full house"),
    ];
    let mut label = "try";
    for (command, why) in tries {
        line(label, &format!("{command:42} {}", paint.dim(why)));
        label = "";
    }
    line("", "");
    let keys = format!(
        "{} stop or start that server   {} quit",
        paint.bold("1 2 3 + Enter"),
        paint.bold("q + Enter")
    );
    line("keys", &keys);
    line(
        "log",
        &paint.dim("+1 behind a request: another server was asked first"),
    );
    line(
        "",
        &paint.dim("hit stale collapsed: a kept answer; miss: it is kept now"),
    );
    // An empty line has no spaces at its end.
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n\n", lines.join("\n"))
}
