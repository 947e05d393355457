//! Scripts as sites have them: made from a seed, in words that repeat as in real ones.

use std::fmt::Write as _;

/// A generator of numbers, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

const WORDS: [&str; 24] = [
    "user", "list", "node", "state", "props", "event", "value", "index", "render", "update",
    "parent", "child", "offset", "width", "cache", "query", "token", "route", "theme", "layout",
    "cursor", "filter", "label", "request",
];

/// Functions of JavaScript, `bytes` of them or a little more. They define much and do nothing.
pub(crate) fn script(seed: u64, bytes: usize) -> String {
    let mut dice = Dice(seed);
    let mut text = String::from("'use strict';\n");
    let mut number = 0;
    while text.len() < bytes {
        let (a, b, c) = (dice.roll(24), dice.roll(24), dice.roll(24));
        let (a, b, c) = (WORDS[a], WORDS[b], WORDS[c]);
        let (x, y) = (dice.roll(100_000), dice.roll(360));
        let _ = match dice.roll(3) {
            0 => writeln!(
                text,
                "function {a}{number}({b}, {c}_) {{\n  if (!{b} || {b}.{c} === {x}) return null;\n  \
                 return {b}.{a} ? {b}.{a}.{c}({y}, {c}_) : '{x:x}-{c}';\n}}"
            ),
            1 => writeln!(
                text,
                "const {a}{number} = {{ {b}: {x}, '{c}-{y}': [{y}, {x}, null], \
                 on_{c}({b}) {{ this.{b} = {b} + {y}; return this; }} }};"
            ),
            _ => writeln!(
                text,
                "class {a}_{number} {{\n  #{b} = {x};\n  get {c}() {{ return this.#{b} * {y}; }}\n  \
                 set {c}(value) {{ this.#{b} = value.{a} ?? '{x:x}'; }}\n}}"
            ),
        };
        number += 1;
    }
    text
}

/// The same script with a few lines changed, as a bug fix does.
pub(crate) fn changed(script: &str, seed: u64) -> String {
    let mut dice = Dice(seed);
    let mut lines: Vec<String> = script.lines().map(str::to_owned).collect();
    for _ in 0..5 {
        let at = 1 + dice.roll(lines.len() - 1);
        let line = format!("/* fixed {:x} */ {}", dice.roll(1 << 30), lines[at]);
        lines[at] = line;
    }
    lines.join("\n")
}
