//! The ACME library's way outside: our own client, which also hears how long the authority wants
//! to be left alone.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use bytes::Bytes;
use http_body::Body as _;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::certs::outside::{Outside, Question};

/// One errand's client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    outside: Outside,
    told: Arc<AtomicU64>,
}

impl Client {
    pub(super) fn new(outside: &Outside) -> Self {
        Self {
            outside: outside.clone(),
            told: Arc::default(),
        }
    }

    /// How long the authority, refusing, wanted to be left alone: seconds, the last it said.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self.told.load(Ordering::Relaxed) {
            0 => None,
            seconds => Some(seconds),
        }
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        mut request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move {
            let mut body = Bytes::new();
            // Such a body is one piece.
            while let Some(Ok(piece)) =
                poll_fn(|cx| Pin::new(request.body_mut()).poll_frame(cx)).await
            {
                body = piece.into_data().unwrap_or_default();
            }
            let fields = request.headers().iter();
            let fields = fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
            let question = Question {
                method: match *request.method() {
                    http::Method::POST => "POST",
                    http::Method::HEAD => "HEAD",
                    _ => "GET",
                },
                url: request.uri().clone(),
                fields: fields.collect(),
                body,
            };
            if question.url.scheme_str() != Some("https") {
                // RFC 8555 section 6.1; what is secret here is more than a password.
                return Err(Error::Other(format!("{}: not https", question.url).into()));
            }
            let answer = this.outside.ask(question).await;
            let answer = answer.map_err(|error| Error::Other(error.into()))?;
            if matches!(answer.status, 429 | 503) {
                let field = answer.fields.iter();
                let mut field = field.filter(|(name, _)| name.eq_ignore_ascii_case(b"retry-after"));
                let value = field
                    .next()
                    .and_then(|(_, value)| std::str::from_utf8(value).ok());
                let seconds = value.and_then(|value| seconds(value, crate::certs::unix_now()));
                this.told.store(seconds.unwrap_or(0), Ordering::Relaxed);
            }
            let mut response = http::Response::builder().status(answer.status);
            for (name, value) in &answer.fields {
                response = response.header(name.as_slice(), value.as_slice());
            }
            let (parts, body) = response.body(answer.body)?.into_parts();
            Ok(BytesResponse {
                parts,
                body: Box::new(body),
            })
        })
    }
}

/// A `Retry-After`, a number or a date, as seconds from now (RFC 9110 section 10.2.3).
fn seconds(value: &str, now: u64) -> Option<u64> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let date = croupier_http::date::parse(value)?;
    let date = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(date.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_retry_after_is_a_number_or_a_date() {
        assert_eq!(seconds("120", 0), Some(120));
        assert_eq!(
            seconds("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_770),
            Some(7)
        );
        assert_eq!(
            seconds("Sun, 06 Nov 1994 08:49:37 GMT", 900_000_000),
            Some(0)
        );
        assert_eq!(seconds("soon", 0), None);
    }
}
