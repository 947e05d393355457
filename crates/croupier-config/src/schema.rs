//! The config's JSON Schema (draft 2020-12), made from the table of keys, for editors and generators.
//!
//! It says less than the reader checks: forms and types, not whether names resolve.

use serde_json::{Map, Value, json};

use crate::keys::{Key, Kind, ROOT, Table};
use crate::model::limits::{Amount, Unit};

/// The schema of version 1.
pub fn schema() -> Value {
    let mut schema = table(&ROOT);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Croupier configuration, version 1".into();
    schema
}

fn table(spec: &Table) -> Value {
    let properties: Map<String, Value> = spec
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": spec.doc,
        "additionalProperties": false,
        "properties": properties,
    });
    let required: Vec<&str> = spec
        .keys
        .iter()
        .filter(|key| is_required(spec, key))
        .map(|key| key.name)
        .collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// Keys that their table cannot do without.
pub(crate) fn is_required(spec: &Table, key: &Key) -> bool {
    const REQUIRED: &[(&str, &str)] = &[
        ("[pool.NAME]", "servers"),
        ("A server of a pool", "address"),
        ("redirect", "to"),
        ("balance", "hash"),
        ("split", "pool"),
        ("mirror", "pool"),
        ("disk", "path"),
        ("disk", "size"),
        ("client_auth", "ca"),
        ("binding", "id"),
        ("binding", "key"),
        ("[[test]]", "request"),
        ("[[test]]", "expect"),
    ];
    REQUIRED.contains(&(spec.title, key.name))
}

fn property(key: &Key) -> Value {
    let mut schema = kind(key.kind);
    if let Some(entry) = key.entry
        && entry.unit == Unit::Count
        && entry.word.is_none()
    {
        schema["minimum"] = entry.bounds.0.into();
        schema["maximum"] = entry.bounds.1.into();
    }
    schema["description"] = key.doc.into();
    let default = match key.entry.map(|entry| entry.default) {
        Some(Amount::Count(count)) => Some(count.into()),
        Some(amount) => Some(Value::String(amount.to_string())),
        // The defaults of the table are TOML scalars and lists, which are JSON too.
        None => serde_json::from_str(key.default).ok(),
    };
    if let Some(default) = default {
        schema["default"] = default;
    }
    schema
}

fn kind(of: Kind) -> Value {
    match of {
        Kind::Text(example) => json!({ "type": "string", "examples": [example] }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Integer(min, max) if max > u64::from(u32::MAX) => {
            json!({ "type": "integer", "minimum": min })
        }
        Kind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Numbers(numbers) => json!({ "enum": numbers }),
        Kind::Duration => json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$" }),
        Kind::Size => json!({ "type": "string", "pattern": "^[0-9]+([kKMGT]?B|[KMGT]iB)$" }),
        Kind::Percent => json!({ "type": "string", "pattern": "^[0-9]+([.][0-9]{1,2})?%$" }),
        Kind::Words(words) => json!({ "enum": words }),
        Kind::Texts(example) => {
            json!({ "type": "array", "items": { "type": "string" }, "examples": [[example]] })
        }
        Kind::TextOrTexts(example) => json!({
            "anyOf": [kind(Kind::Text(example)), kind(Kind::Texts(example))]
        }),
        Kind::Table(spec) => table(spec),
        Kind::Tables(spec) => json!({ "type": "array", "items": table(spec) }),
        Kind::Named(spec) => json!({ "type": "object", "additionalProperties": table(spec) }),
        Kind::Lines => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Conditions => json!({
            "type": "object",
            "additionalProperties": { "anyOf": [{ "type": "string" }, { "type": "boolean" }] }
        }),
        Kind::Either(kinds) => json!({ "anyOf": any(kinds) }),
        Kind::Items(kinds) => {
            json!({ "type": "array", "minItems": 1, "items": { "anyOf": any(kinds) } })
        }
    }
}

fn any(kinds: &[Kind]) -> Vec<Value> {
    kinds.iter().map(|of| kind(*of)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::schema;
    use crate::keys::{Kind, ROOT, Table};
    use crate::model::Config;
    use crate::read::seen;

    /// Every key of the language, in a config that loads.
    const EVERY_KEY: &str = include_str!("../tests/good/every-key.toml");

    fn walk(table: &Table, keys: &mut BTreeSet<(&'static str, &'static str)>) {
        for key in table.keys {
            keys.insert((table.title, key.name));
            walk_kind(key.kind, keys);
        }
    }

    fn walk_kind(kind: Kind, keys: &mut BTreeSet<(&'static str, &'static str)>) {
        match kind {
            Kind::Table(table) | Kind::Tables(table) | Kind::Named(table) => walk(table, keys),
            Kind::Either(kinds) | Kind::Items(kinds) => {
                kinds.iter().for_each(|kind| walk_kind(*kind, keys));
            }
            _ => {}
        }
    }

    #[test]
    fn every_key_of_the_table_is_read_and_no_other() {
        seen::take();
        let config = Config::from_str("every-key.toml", EVERY_KEY);
        assert!(config.is_ok(), "{}", config.unwrap_err());
        let mut keys = BTreeSet::new();
        walk(&ROOT, &mut keys);
        // The loader reads it, before the reader comes.
        keys.remove(&("Top level", "include"));
        assert_eq!(seen::take(), keys);
    }

    /// Property names of a schema, by path of names, through lists and alternatives.
    fn properties(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
        let fields = schema["properties"].as_object();
        for (name, schema) in fields.into_iter().flatten() {
            let path = format!("{path}.{name}");
            properties(schema, &path, found);
            found.insert(path);
        }
        for schema in schema["anyOf"].as_array().into_iter().flatten() {
            properties(schema, path, found);
        }
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                properties(&schema[inner], &format!("{path}[]"), found);
            }
        }
    }

    fn written(
        value: &toml::Value,
        path: &str,
        schema: &BTreeSet<String>,
        found: &mut BTreeSet<String>,
    ) {
        match value {
            toml::Value::Table(table) => {
                for (name, value) in table {
                    let named = format!("{path}.{name}");
                    let path = if schema.contains(&named) {
                        named
                    } else {
                        format!("{path}[]")
                    };
                    written(value, &path, schema, found);
                    found.insert(path);
                }
            }
            toml::Value::Array(items) => {
                items
                    .iter()
                    .for_each(|item| written(item, &format!("{path}[]"), schema, found));
            }
            _ => {}
        }
    }

    #[test]
    fn the_sample_has_every_property_of_the_schema() {
        let mut known = BTreeSet::new();
        properties(&schema(), "", &mut known);
        let mut found = BTreeSet::new();
        written(
            &EVERY_KEY.parse::<toml::Table>().unwrap().into(),
            "",
            &known,
            &mut found,
        );
        let unknown: Vec<_> = found
            .iter()
            .filter(|path| !path.ends_with("[]") && !known.contains(*path))
            .collect();
        assert!(unknown.is_empty(), "{unknown:#?}");
        // A table that is allowed in several places is written out in one of them.
        let names = |paths: &BTreeSet<String>| -> BTreeSet<String> {
            let named = paths.iter().filter(|path| !path.ends_with("[]"));
            named
                .filter_map(|path| path.rsplit('.').next())
                .map(str::to_owned)
                .collect()
        };
        let missing: Vec<_> = names(&known).difference(&names(&found)).cloned().collect();
        // `include` needs files.
        assert_eq!(missing, ["include"]);
    }
}
