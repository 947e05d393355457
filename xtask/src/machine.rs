//! On which machine and with which programs something was measured.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::process;

/// Names and versions of those who took part: a program, and the flag that makes it say so.
pub(crate) fn versions(programs: &[(&str, &str)]) -> Vec<String> {
    let first_line = |program: &str, argument: &str| -> Option<String> {
        let path = process::find(program)?;
        // wrk prints its version and fails; what counts is the line.
        let output = Command::new(path).arg(argument).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().next().map(str::to_owned)
    };
    programs
        .iter()
        .filter_map(|(program, argument)| first_line(program, argument))
        .map(|line| line.split(" [").next().unwrap_or_default().to_owned())
        .collect()
}

fn kernel() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    line.map(|line| line.trim_start_matches([':', ' ', '\t']).to_owned())
        .unwrap_or_default()
}

/// The machine, a line for each of its parts.
pub(crate) fn lines() -> Vec<String> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    vec![
        format!("{}, {cpus} CPUs", processor()),
        format!("Linux {}", kernel()),
    ]
}

/// The machine as part of a file name: its kernel's first two numbers and its processor's name.
pub(crate) fn word() -> String {
    let kernel = kernel();
    let kernel: Vec<&str> = kernel.split(['.', '-']).take(2).collect();
    let words = processor().to_lowercase();
    let words = words
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let name: Vec<&str> = words.take(3).collect();
    format!("linux{}-{}", kernel.join("."), name.join("-"))
}

/// The day in UTC as `2026-11-23`.
pub(crate) fn today() -> String {
    let days = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        / 86_400;
    // The civil calendar, counted in eras of 400 years that begin on a first of March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
