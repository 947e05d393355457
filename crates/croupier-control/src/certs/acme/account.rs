//! Our account with the authority: made once, its key kept in the state directory.

use instant_acme::{Account, AccountCredentials, ExternalAccountKey, NewAccount};

use super::{
    Acme, Client,
    words::{Failure, STATE},
};
use croupier_config::model::AccountBinding;
use croupier_telemetry::{Level, event};

/// The file in the authority's folder.
const FILE: &str = "account.json";
/// How the authority was told to reach us: a URL a line.
const CONTACT: &str = "account.contact";

/// The account that is kept, or a new one. Asks for the directory either way.
pub(super) async fn open(acme: &Acme, client: &Client) -> Result<Account, Failure> {
    // Two orders at the first start must not make two accounts.
    let _turn = acme.account_turn.lock().await;
    let name = acme.file(FILE);
    let kept = acme.state.read(&name);
    let kept = kept.map_err(|error| {
        let path = acme.state.path(&name);
        Failure::new(STATE, format!("{}: {error}", path.display()))
    })?;
    let builder = Account::builder_with_http(Box::new(client.clone()));
    if let Some(bytes) = kept {
        let credentials: AccountCredentials = serde_json::from_slice(&bytes).map_err(|_| {
            let path = acme.state.path(&name);
            // What is in it is a key: it is not shown.
            let what = format!(
                "`{}` is broken: remove it, and a new account is made",
                path.display()
            );
            Failure::new(STATE, what)
        })?;
        let account = builder.from_credentials(credentials).await;
        let account = account.map_err(|error| Failure::of(&error))?;
        tell_contact(acme, &account).await;
        return Ok(account);
    }
    let contact = contact(acme);
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let account = NewAccount {
        contact: &contact,
        // Whoever writes `[acme]` or asks for a certificate agrees; the reference says so.
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let binding = acme.terms.binding.as_ref().map(external).transpose()?;
    let directory = acme.terms.directory.value.clone();
    let (account, credentials) = builder
        .create(&account, directory, binding.as_ref())
        .await
        .map_err(|error| Failure::of(&error))?;
    let bytes = serde_json::to_vec(&credentials).unwrap_or_default();
    acme.state.write(&name, &bytes).map_err(|error| {
        let path = acme.state.path(&name);
        Failure::new(STATE, format!("{}: {error}", path.display()))
    })?;
    keep_contact(acme, &contact);
    let kept = acme.state.path(&name);
    let kept = kept.display();
    let directory = &acme.terms.directory.value;
    event(
        Level::Info,
        "acme.account.created",
        &[("authority", directory), ("kept", &kept)],
    );
    Ok(account)
}

/// `acme.contact` as URLs.
fn contact(acme: &Acme) -> Vec<String> {
    let mails = acme.terms.contact.iter();
    mails.map(|mail| format!("mailto:{mail}")).collect()
}

/// Tells the authority when `acme.contact` has changed (RFC 8555 section 7.3.2). Nothing waits for
/// it to work: what fails is told, and tried again with the next errand.
async fn tell_contact(acme: &Acme, account: &Account) {
    let contact = contact(acme);
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let told = acme.state.read(&acme.file(CONTACT)).ok().flatten();
    if told.unwrap_or_default() == contact.join("\n").as_bytes() {
        return;
    }
    let directory = &acme.terms.directory.value;
    match account.update_contacts(&contact).await {
        Ok(()) => {
            keep_contact(acme, &contact);
            let names = [("authority", directory as &dyn std::fmt::Display)];
            event(Level::Info, "acme.account.contact", &names);
        }
        Err(error) => {
            let failure = Failure::of(&error);
            let what = [
                ("authority", directory as &dyn std::fmt::Display),
                ("error", &failure.what),
                ("help", &failure.help),
            ];
            event(Level::Warn, "acme.account.contact.failed", &what);
        }
    }
}

/// Best effort: else the authority is told again.
fn keep_contact(acme: &Acme, contact: &[&str]) {
    let text = contact.join("\n");
    let _ = acme.state.write(&acme.file(CONTACT), text.as_bytes());
}

/// The authority does not know the account any more: the next errand makes another.
pub(super) fn forget(acme: &Acme) {
    acme.state.remove(&acme.file(CONTACT));
    acme.state.remove(&acme.file(FILE));
}

fn external(binding: &AccountBinding) -> Result<ExternalAccountKey, Failure> {
    let wrong = |what: String| {
        let mut failure = Failure::new("", what);
        failure.help = "correct `acme.binding.key`";
        failure
    };
    let text = binding.key.load().map_err(wrong)?;
    let key = from_base64url(text.trim_ascii())
        .ok_or_else(|| wrong("the key of the account binding is not base64url".into()))?;
    Ok(ExternalAccountKey::new(binding.id.clone(), &key))
}

/// Base64 in the alphabet for URLs (RFC 4648 section 5), padding as you like; some authorities
/// give the common alphabet.
fn from_base64url(text: &[u8]) -> Option<Vec<u8>> {
    let end = text
        .iter()
        .rposition(|byte| *byte != b'=')
        .map_or(0, |last| last + 1);
    let text = &text[..end];
    if text.is_empty() || text.len() % 4 == 1 {
        return None;
    }
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::from_base64url;

    #[test]
    fn binding_keys_are_read_in_either_alphabet() {
        // RFC 4648 section 10.
        assert_eq!(from_base64url(b"Zm9vYmFy").unwrap(), b"foobar");
        assert_eq!(from_base64url(b"Zm9vYg==").unwrap(), b"foob");
        assert_eq!(from_base64url(b"Zm9vYg").unwrap(), b"foob");
        assert_eq!(from_base64url(b"-_8").unwrap(), [0xfb, 0xff]);
        assert_eq!(from_base64url(b"+/8=").unwrap(), [0xfb, 0xff]);
        for wrong in [&b""[..], b"A", b"Zm9v Yg", b"===="] {
            assert_eq!(from_base64url(wrong), None, "{wrong:?}");
        }
    }
}
