//! "Did you mean": the nearest of a few known names.

/// The known name that is nearest to what was written, if one is near enough to be meant.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = plain(written);
    if written.len() > 128 {
        return None;
    }
    let far = (written.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| {
            let plain_name = plain(name);
            let distance = distance(&written, &plain_name);
            let is_longer = is_longer(&written, &plain_name);
            (
                if is_longer {
                    distance.min(far)
                } else {
                    distance
                },
                distance,
                name,
            )
        })
        .filter(|(near, _, _)| *near <= far)
        .min()
        .map(|(_, _, name)| name)
}

/// A name that begins with the other (`warning`, `warn`) is just near enough.
fn is_longer(written: &str, name: &str) -> bool {
    written.len().min(name.len()) >= 3 && (written.starts_with(name) || name.starts_with(written))
}

/// Case and the choice between `-` and `_` are never what is meant by a name.
fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// Edits between two words: insert, delete, replace, swap of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["servers", "balance", "timeout", "host"];
        assert_eq!(nearest("servres", known), Some("servers"));
        assert_eq!(nearest("Server", known), Some("servers"));
        assert_eq!(nearest("time-out", ["time_out"]), Some("time_out"));
        assert_eq!(nearest("timeouts", known), Some("timeout"));
        assert_eq!(nearest("hots", known), Some("host"));
        assert_eq!(nearest("hostname", known), Some("host"));
        assert_eq!(nearest("health", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(1000), known), None);
    }
}
