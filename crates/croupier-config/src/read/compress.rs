//! `compress` of a site or route.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{Coding, CompressCookies, CompressEdits, Percent, Switch, TypePattern};
use crate::nearest::nearest;
use crate::read::{Complaint, Field, Fields, Reader};
use crate::source::Spanned;
use crate::tree::Value;

const CODINGS: &[Coding] = &[Coding::Zstd, Coding::Brotli, Coding::Gzip];
const TYPES_MAX: usize = 256;
/// Beyond that nothing is worth the name of a smallest body.
const MIN_MAX: u64 = 1 << 30;

/// What a site or route says; `None`: nothing.
pub(crate) fn edits(reader: &mut Reader, table: &Fields<'_>) -> Option<Switch<CompressEdits>> {
    let field = table.get("compress")?;
    let mut edits = CompressEdits {
        span: field.node.span,
        ..CompressEdits::default()
    };
    match &field.node.value {
        Value::Boolean(false) => return Some(Switch::Off),
        Value::Boolean(true) => {}
        Value::Array(_) => edits.codings = Some(codings(reader, &field)?),
        Value::Table(_) => {
            let table = Fields::open(reader, field.node, &keys::COMPRESS)?;
            read(reader, &table, &mut edits);
        }
        _ => {
            field.note_type(reader);
            return None;
        }
    }
    Some(Switch::On(edits))
}

fn read(reader: &mut Reader, table: &Fields<'_>, edits: &mut CompressEdits) {
    edits.codings = table
        .get("codings")
        .and_then(|field| codings(reader, &field));
    edits.types = table.get("types").and_then(|field| types(reader, &field));
    edits.min = table
        .get("min")
        .and_then(|field| field.size(reader, MIN_MAX));
    edits.cookies = table
        .get("cookies")
        .and_then(|field| field.word(reader))
        .map(|word| match word {
            "compress" => CompressCookies::Compress,
            _ => CompressCookies::Refuse,
        });
    let mut flag = |name| table.get(name)?.flag(reader);
    edits.dictionary = flag("dictionary");
    edits.strong = flag("strong");
    edits.cpu = table.get("cpu").and_then(|field| cpu(reader, &field));
    if let (Some(true), Some([Coding::Gzip])) = (edits.dictionary, edits.codings.as_deref())
        && let Some(field) = table.get("dictionary")
    {
        let message = "dictionaries go with `zstd` and `br` only, and `codings` has neither";
        let note = Diagnostic::warning(codes::HARDLY_MEANT, field.name, message);
        reader.note(note.help("add one of them to `codings`, or leave out `dictionary`"));
    }
}

fn codings(reader: &mut Reader, field: &Field<'_>) -> Option<Vec<Coding>> {
    if matches!(&field.node.value, Value::Array(items) if items.is_empty()) {
        let message = format!("`{}` is empty", field.key.name);
        reader.note(
            Diagnostic::error(codes::EMPTY, field.node.span, message)
                .help("to compress nothing write `compress = false`"),
        );
        return None;
    }
    let codings: Vec<Spanned<Coding>> = field
        .texts(reader)
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::UNKNOWN_WORD, coding))
        .collect();
    field.note_twice(reader, &codings, |coding| coding.as_str().to_owned());
    // What was noted of each of them is enough.
    let codings: Vec<Coding> = codings.into_iter().map(|coding| coding.value).collect();
    (!codings.is_empty()).then_some(codings)
}

fn coding(text: &str) -> Result<Coding, Complaint> {
    if let Some(coding) = CODINGS.iter().find(|coding| coding.as_str() == text) {
        return Ok(*coding);
    }
    let bad = Complaint::new(format!("`{text}` is no coding"));
    let elsewhere = match text {
        "brotli" => Some("br"),
        "x-gzip" | "gz" => Some("gzip"),
        "zst" | "zstandard" => Some("zstd"),
        _ => None,
    };
    if let Some(ours) = elsewhere {
        return Err(bad.help(format!("it is called `{ours}`")));
    }
    if text == "deflate" {
        return Err(bad.help("clients disagree what `deflate` is; write `gzip`"));
    }
    if ["identity", "off", "none"].contains(&text) {
        return Err(bad.help("to compress nothing write `compress = false`"));
    }
    Err(
        match nearest(text, CODINGS.iter().map(|coding| coding.as_str())) {
            Some(near) => bad.help(format!("did you mean `{near}`?")),
            None => bad.help("the codings are `zstd`, `br` and `gzip`"),
        },
    )
}

fn types(reader: &mut Reader, field: &Field<'_>) -> Option<Vec<TypePattern>> {
    field.note_empty(reader);
    let texts = field.texts(reader);
    if texts.len() > TYPES_MAX {
        let message = format!("`types` has at most {TYPES_MAX} entries");
        reader.note(Diagnostic::error(codes::TOO_LARGE, field.name, message));
        return None;
    }
    let types: Vec<Spanned<TypePattern>> = texts
        .into_iter()
        .filter_map(|text| reader.parse(text, codes::UNKNOWN_WORD, media_type))
        .collect();
    field.note_twice(reader, &types, ToString::to_string);
    let types: Vec<TypePattern> = types.into_iter().map(|one| one.value).collect();
    (!types.is_empty()).then_some(types)
}

fn media_type(text: &str) -> Result<TypePattern, Complaint> {
    TypePattern::parse(text).ok_or_else(|| {
        let bad = Complaint::new(format!("`{}` is no media type", text.escape_debug()));
        match text.split_once(';') {
            Some((bare, _)) if TypePattern::parse(bare.trim()).is_some() => {
                bad.help(format!("write it without parameters: `{}`", bare.trim()))
            }
            _ if TypePattern::parse(&format!("{text}/*")).is_some() => {
                bad.help(format!("write `{text}/*` for all of them"))
            }
            _ => bad.help("write `text/html`, `text/*`, `application/*+json` or `*/*`"),
        }
    })
}

fn cpu(reader: &mut Reader, field: &Field<'_>) -> Option<Percent> {
    let share = field.percent(reader, Percent::whole(100))?;
    if share == Percent::whole(0) {
        let message = "`cpu = \"0%\"` never gets anything done";
        field.note_range(
            reader,
            message,
            "write `strong = false`, or a share above 0%",
        );
        return None;
    }
    Some(share)
}
