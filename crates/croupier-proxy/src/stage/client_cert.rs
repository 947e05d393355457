//! Who the client proved to be, as its origin hears of it. Nobody else may say so: what a client
//! sends under these names is dropped (`hop::is_client_cert`).

use croupier_net::tls::client_auth::ClientIdentity;

use crate::exchange::Exchange;

/// The lines of a request for a site that asks for certificates; none for other sites.
pub(super) fn lines(x: &Exchange, emit: &mut dyn FnMut(&[u8], &[u8])) {
    let asks = (x.site_plan())
        .and_then(|site| site.tls.as_ref())
        .is_some_and(|tls| tls.terms.policy.asks());
    if !asks {
        return;
    }
    let secure = x.incoming.secure.as_deref();
    let Some(client) = secure.and_then(|secure| secure.secured.client.as_ref()) else {
        emit(b"X-Client-Cert-Verified", b"NONE");
        return;
    };
    emit(b"X-Client-Cert-Verified", b"SUCCESS");
    let ClientIdentity {
        subject,
        serial,
        fingerprint,
        der,
        ..
    } = &**client;
    // Printable by then: RFC 4514 escapes the rest.
    emit(b"X-Client-Cert-Subject", subject.as_bytes());
    emit(b"X-Client-Cert-Serial", serial.as_bytes());
    emit(b"X-Client-Cert-Fingerprint", fingerprint.as_bytes());
    x.worker.with_scratch(|value| {
        value.push(b':');
        base64(der, value);
        value.push(b':');
        emit(b"Client-Cert", value);
    });
}

/// With padding: a byte sequence of RFC 9651, as RFC 9440 wants the certificate.
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.reserve(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..group.len()].copy_from_slice(group);
        let [a, b, c] = three.map(u32::from);
        let word = a << 16 | b << 8 | c;
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place > group.len() { b'=' } else { letter });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_has_its_padding() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("\u{ff}\u{fe}", "w7/Dvg=="),
        ] {
            let mut out = Vec::new();
            base64(plain.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), coded);
        }
    }
}
