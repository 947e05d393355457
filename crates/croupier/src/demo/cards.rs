//! What the servers say: a card as a page, as text and as JSON, and an asset of some 100 KB.

use std::{fmt::Write as _, sync::LazyLock};

/// A server's suit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suit {
    pub(super) number: usize,
    pub(super) symbol: &'static str,
    pub(super) name: &'static str,
    /// Its color on a terminal.
    pub(super) sgr: &'static str,
    /// And on its page.
    color: &'static str,
}

impl Suit {
    /// Three of the four colors of a deck that can be told apart.
    pub(super) const ALL: [Self; 3] = [
        Self {
            number: 1,
            symbol: "♥",
            name: "hearts",
            sgr: "31",
            color: "#c8102e",
        },
        Self {
            number: 2,
            symbol: "♦",
            name: "diamonds",
            sgr: "34",
            color: "#0b5fb0",
        },
        Self {
            number: 3,
            symbol: "♣",
            name: "clubs",
            sgr: "32",
            color: "#0a7d33",
        },
    ];

    /// `2 ♦ diamonds`
    pub(super) fn title(&self) -> String {
        format!("{} {} {}", self.number, self.symbol, self.name)
    }
}

const RANKS: [&str; 13] = [
    "A", "2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K",
];

/// The card a server lays for its so-manieth request: it goes through its suit.
fn rank(request: u64) -> &'static str {
    let index = request.saturating_sub(1) % RANKS.len() as u64;
    usize::try_from(index).map_or(RANKS[0], |index| RANKS[index])
}

/// For browsers.
pub(super) fn page(suit: &Suit, request: u64) -> String {
    include_str!("page.html")
        .replace("{color}", suit.color)
        .replace("{symbol}", suit.symbol)
        .replace("{suit}", suit.name)
        .replace("{number}", &suit.number.to_string())
        .replace("{rank}", rank(request))
        .replace("{request}", &request.to_string())
}

/// For terminals.
pub(super) fn text(suit: &Suit, request: u64) -> String {
    let Suit { symbol, name, .. } = suit;
    let rank = rank(request);
    format!(
        ".-------.\n|{rank:2}     |\n|   {symbol}   |  {name}: server {}, its request {request}\n\
         |     {rank:>2}|\n'-------'\n",
        suit.number
    )
}

/// For programs.
pub(super) fn json(suit: &Suit, request: u64) -> String {
    format!(
        "{{\"server\":{},\"suit\":\"{}\",\"symbol\":\"{}\",\"rank\":\"{}\",\"request\":{request}}}\n",
        suit.number,
        suit.name,
        suit.symbol,
        rank(request)
    )
}

/// The page's script, and behind it shuffled decks in comments until it is as large as scripts
/// are.
pub(super) static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    const BYTES: usize = 100_000;
    let mut script = include_str!("app.js").to_owned();
    let mut deck: Vec<usize> = (0..52).collect();
    // A linear congruential generator: the same asset from every server, every time.
    let mut state: u32 = 2026;
    let mut shuffle = |deck: &mut Vec<usize>| {
        for last in (1..deck.len()).rev() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            deck.swap(last, (state >> 16) as usize % (last + 1));
        }
    };
    let mut number = 0;
    while script.len() < BYTES {
        number += 1;
        shuffle(&mut deck);
        let _ = write!(script, "// deck {number}:");
        for card in &deck {
            let suit = ["♥", "♦", "♣", "♠"][card % 4];
            let _ = write!(script, " {}{suit}", RANKS[card / 4]);
        }
        script.push('\n');
    }
    script
});

#[cfg(test)]
mod tests {
    use super::{SCRIPT, Suit, json, page, text};

    #[test]
    fn cards_are_filled_in() {
        let suit = &Suit::ALL[1];
        let page = page(suit, 14);
        assert!(page.contains("diamonds") && page.contains(">A<"), "{page}");
        for word in ["color", "symbol", "suit", "number", "rank", "request"] {
            assert!(!page.contains(&format!("{{{word}}}")), "{word}");
        }
        assert_eq!(
            json(suit, 2),
            "{\"server\":2,\"suit\":\"diamonds\",\"symbol\":\"♦\",\"rank\":\"2\",\"request\":2}\n"
        );
        assert!(text(suit, 10).contains("|10     |"));
    }

    #[test]
    fn the_asset_has_its_size() {
        assert!(
            (100_000..101_000).contains(&SCRIPT.len()),
            "{}",
            SCRIPT.len()
        );
    }
}
