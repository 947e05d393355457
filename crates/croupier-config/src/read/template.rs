//! `$variables` in `redirect` and `rewrite`.

use crate::keys::one_of;
use crate::model::{Piece, Template};
use crate::nearest::nearest;
use crate::read::Complaint;

const VARIABLES: &[(&str, Piece)] = &[
    ("scheme", Piece::Scheme),
    ("host", Piece::Host),
    ("path", Piece::Path),
    ("query", Piece::Query),
    ("rest", Piece::Rest),
];

/// Names of other programs, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("uri", "$path$query"),
    ("request_uri", "$path$query"),
    ("args", "$query"),
    ("http_host", "$host"),
    ("server_name", "$host"),
];

const BYTES_MAX: usize = 4096;
const GROUP_MAX: usize = 99;

/// Text with `$name`, `${name}`, `$1`, `${1}` and `$$`.
pub(crate) fn template(text: &str) -> Result<Template, Complaint> {
    if text.len() > BYTES_MAX {
        return Err(Complaint::new(format!(
            "a template has at most {BYTES_MAX} bytes"
        )));
    }
    if let Some(odd) = text.chars().find(|c| c.is_control() || *c == ' ') {
        return Err(
            Complaint::new(format!("a URL has no `{}`", odd.escape_default()))
                .help("write a space as `%20`"),
        );
    }
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        }
        let (name, after) = variable(rest)?;
        rest = after;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(piece(name)?);
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(Template { pieces })
}

/// The name after a `$`, and what follows it.
fn variable(text: &str) -> Result<(&str, &str), Complaint> {
    if let Some(inner) = text.strip_prefix('{') {
        return inner
            .split_once('}')
            .ok_or_else(|| Complaint::new("a `${` is not closed").help("end it with `}`"));
    }
    let is_group = text.starts_with(|c: char| c.is_ascii_digit());
    let inside = |c: char| {
        if is_group {
            c.is_ascii_digit()
        } else {
            c.is_ascii_alphanumeric() || c == '_'
        }
    };
    let end = text.find(|c: char| !inside(c)).unwrap_or(text.len());
    if end == 0 {
        return Err(Complaint::new("a `$` without a name").help("write `$$` for the character"));
    }
    Ok(text.split_at(end))
}

fn piece(name: &str) -> Result<Piece, Complaint> {
    if let Ok(group) = name.parse::<usize>() {
        if group == 0 || group > GROUP_MAX {
            return Err(Complaint::new(format!("`${name}` is not a group"))
                .help(format!("groups are `$1` to `${GROUP_MAX}`")));
        }
        return Ok(Piece::Group(group));
    }
    if let Some((_, piece)) = VARIABLES.iter().find(|(known, _)| *known == name) {
        return Ok(piece.clone());
    }
    let complaint = Complaint::new(format!("no variable is named `${name}`"));
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == name) {
        return Err(complaint.help(format!("here it is written `{ours}`")));
    }
    let begins = VARIABLES
        .iter()
        .map(|(known, _)| *known)
        .find(|known| name.starts_with(known));
    if let Some(known) = begins {
        let after = &name[known.len()..];
        return Err(complaint.help(format!("did you mean `${{{known}}}{after}`?")));
    }
    if let Some(near) = nearest(name, VARIABLES.iter().map(|(known, _)| *known)) {
        return Err(complaint.help(format!("did you mean `${near}`?")));
    }
    let known: Vec<String> = VARIABLES
        .iter()
        .map(|(known, _)| format!("${known}"))
        .collect();
    let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
    known.push("$1");
    Err(complaint.help(format!("the variables are {} and so on", one_of(&known))))
}

#[cfg(test)]
mod tests {
    use super::template;
    use crate::model::Piece;

    #[test]
    fn pieces() {
        let parsed = template("https://$host${path}x$1$$").unwrap();
        assert_eq!(
            parsed.pieces,
            [
                Piece::Text("https://".into()),
                Piece::Host,
                Piece::Path,
                Piece::Text("x".into()),
                Piece::Group(1),
                Piece::Text("$".into()),
            ]
        );
        assert_eq!(template(&parsed.to_string()).unwrap(), parsed);
        assert!(template("").unwrap().pieces.is_empty());
        for bad in [
            "$", "$x", "${", "${}", "$0", "$100", "$pathx", "a b", "$é", "${host", "\n",
        ] {
            template(bad).unwrap_err();
        }
    }
}
