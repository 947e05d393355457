//! The servers of a pool.

use std::collections::HashMap;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys;
use crate::model::{Server, ServerAddress};
use crate::read::{Field, Fields, Reader, address, balance};
use crate::source::{Span, Spanned};
use crate::tree::{Node, Value};

const SERVERS_MAX: usize = 10_000;

pub(crate) fn servers(reader: &mut Reader, field: &Field<'_>) -> Vec<Server> {
    field.note_empty(reader);
    let items = field.items(reader);
    if items.len() > SERVERS_MAX {
        let message = format!("a pool has at most {SERVERS_MAX} servers");
        reader.note(Diagnostic::error(codes::TOO_LARGE, field.name, message));
        return Vec::new();
    }
    let servers: Vec<Server> = items
        .iter()
        .filter_map(|item| server(reader, item))
        .collect();
    note_twice(reader, &servers);
    if !servers.is_empty() && servers.len() == items.len() {
        note_together(reader, field, &servers);
    }
    servers
}

fn server(reader: &mut Reader, item: &Node) -> Option<Server> {
    match &item.value {
        Value::String(text) => {
            let text = Spanned::new(text.as_str(), item.span);
            let address = reader.parse(text, codes::ADDRESS, address::server)?;
            Some(Server::new(address))
        }
        Value::Table(_) => {
            let table = Fields::open(reader, item, &keys::SERVER)?;
            let address = table
                .need(reader, "address")
                .and_then(|field| field.full_text(reader))
                .and_then(|text| reader.parse(text, codes::ADDRESS, address::server));
            let weight = table.get("weight").and_then(|field| field.integer(reader));
            let tier = table.get("backup").and_then(|field| tier(reader, &field));
            let max_requests = most(reader, &table, "max_requests");
            let max_connections = most(reader, &table, "max_connections");
            let address = address?;
            let is_dns = matches!(address.value, ServerAddress::Srv { .. });
            let mut server = Server::new(address);
            if is_dns {
                note_dns(reader, &table, server.address.span);
            } else {
                let weight = weight.and_then(|weight| u16::try_from(weight.value).ok());
                server.weight = weight.unwrap_or(server.weight);
                server.tier = tier.unwrap_or_default();
            }
            server.max_requests = max_requests;
            server.max_connections = max_connections;
            Some(server)
        }
        _ => {
            let message = format!("a server is a string or a table, not {}", item.found());
            let help =
                "write `\"10.0.1.11:8080\"` or `{ address = \"10.0.1.11:8080\", weight = 2 }`";
            reader.note(Diagnostic::error(codes::WRONG_TYPE, item.span, message).help(help));
            None
        }
    }
}

/// `backup = true` is the first tier of backups.
fn tier(reader: &mut Reader, field: &Field<'_>) -> Option<u8> {
    match field.node.value {
        Value::Boolean(is_backup) => Some(u8::from(is_backup)),
        Value::Integer(0) => {
            let message = "`backup` takes `true`, `false` or a tier from 1 to 3";
            field.note_range(reader, message, "write `backup = false`, or leave it out");
            None
        }
        _ => u8::try_from(field.integer(reader)?.value).ok(),
    }
}

/// A limit of a server; `None`: there is none.
fn most(reader: &mut Reader, table: &Fields<'_>, name: &'static str) -> Option<u32> {
    let field = table.get(name)?;
    if let Value::Integer(0) = field.node.value {
        let message = format!("with `{name} = 0` the server would never be asked");
        let help = "leave it out for no limit; `weight = 0` keeps new clients away";
        field.note_range(reader, message, help);
        return None;
    }
    field.count(reader)
}

/// What DNS says cannot be written too.
fn note_dns(reader: &mut Reader, table: &Fields<'_>, address: Span) {
    for field in table.among(&["weight", "backup"]) {
        let name = field.key.name;
        let record = match name {
            "weight" => "weight",
            _ => "priority",
        };
        let message = format!("`{name}` cannot stand beside a `dns+srv://` address");
        reader.note(
            Diagnostic::error(codes::CONFLICT, field.name, message)
                .and(address, "the servers come from here")
                .help(format!(
                    "leave it out; the {record} of each SRV record says it"
                )),
        );
    }
}

fn note_twice(reader: &mut Reader, servers: &[Server]) {
    let mut first_at: HashMap<&ServerAddress, Span> = HashMap::new();
    for Server { address, .. } in servers {
        if let Some(first) = first_at.insert(&address.value, address.span) {
            let message = format!("`{}` is listed twice in `servers`", address.value);
            reader.note(
                Diagnostic::error(codes::DUPLICATE_ENTRY, address.span, message)
                    .and(first, "first here")
                    .help("for a larger share write `{ address = .., weight = 2 }`"),
            );
        }
    }
}

/// What only all servers together show.
fn note_together(reader: &mut Reader, field: &Field<'_>, servers: &[Server]) {
    if servers.iter().all(|server| server.weight == 0) {
        balance::note_no_weight(reader, Spanned::new("server of the pool", field.node.span));
    }
    if servers.iter().all(|server| server.tier > 0) {
        let message = "every server of the pool is a backup, and none is there to be backed up";
        reader.note(
            Diagnostic::warning(codes::HARDLY_MEANT, field.node.span, message)
                .help("leave `backup` out where the requests are to go first"),
        );
    }
}
