//! The tests that a config carries (`[[test]]`), run through the code that routes live requests.

use croupier_config::{
    Diagnostic, Span, Spanned, codes,
    model::{Config, ExpectCache, Test},
};
use croupier_proxy::{
    Plan,
    explain::{Explanation, Outcome},
};

use super::question::Request;

/// Runs all tests: how many passed, and a diagnostic for each expectation that did not hold.
pub(super) fn run(config: &Config, plan: &Plan) -> (usize, Vec<Diagnostic>) {
    let mut passed = 0;
    let mut failures = Vec::new();
    for test in &config.tests {
        let request = Request::of_test(test);
        let explanation = request.ask(plan).explanation;
        let before = failures.len();
        judge(test, &explanation, &mut |expected, got, span| {
            failures.push(failure(test, &request, &explanation, (expected, got), span));
        });
        passed += usize::from(failures.len() == before);
    }
    (passed, failures)
}

/// What came out, in the words of `expect`.
struct Got<'a> {
    site: Option<&'a str>,
    route: Option<&'a str>,
    /// Any of them is right: which one it is depends on the client.
    pools: &'a [String],
    status: Option<u16>,
    location: Option<&'a str>,
    path: Option<&'a str>,
    /// The store that is asked for a kept answer.
    store: Option<&'a str>,
}

impl<'a> Got<'a> {
    fn new(explanation: &'a Explanation) -> Self {
        let mut got = Self {
            site: explanation.site.as_deref(),
            route: None,
            pools: &[],
            status: None,
            location: None,
            path: None,
            store: None,
        };
        match &explanation.outcome {
            Outcome::Pool {
                route,
                pools,
                path,
                cache,
                ..
            } => {
                got.store = cache.as_ref().and_then(|cached| cached.store.as_deref());
                got.route = Some(route);
                got.pools = pools;
                got.path = Some(path);
            }
            Outcome::Answer {
                route,
                status,
                location,
            } => {
                got.route = Some(route);
                got.status = Some(*status);
                got.location = location.as_deref();
            }
            Outcome::Https { status, location } => {
                got.status = Some(*status);
                got.location = Some(location);
            }
            Outcome::Fault { route, fault } => {
                got.route = route.as_deref();
                got.status = Some(fault.code.status());
            }
        }
        got
    }
}

/// Tells of each expectation that does not hold: what was expected, what came, and where it is
/// written.
fn judge(test: &Test, explanation: &Explanation, tell: &mut dyn FnMut(String, String, Span)) {
    let got = Got::new(explanation);
    let expect = &test.expect;
    let mut text = |what: &str, expected: &Option<Spanned<String>>, got: &[&str]| {
        if let Some(expected) = expected
            && !got.contains(&expected.value.as_str())
        {
            let came = match got {
                [] => format!("no {what}"),
                _ => format!("{what} `{}`", got.join("` or `")),
            };
            tell(format!("{what} `{}`", expected.value), came, expected.span);
        }
    };
    let pools: Vec<&str> = got.pools.iter().map(String::as_str).collect();
    text("site", &expect.site, got.site.as_slice());
    text("route", &expect.route, got.route.as_slice());
    text("pool", &expect.pool, &pools);
    text("location", &expect.location, got.location.as_slice());
    text("path", &expect.path, got.path.as_slice());
    if let Some(expected) = &expect.cache {
        let (wanted, word) = match &expected.value {
            ExpectCache::Store(name) => (Some(name.as_str()), format!("cache `{name}`")),
            ExpectCache::Nothing => (None, "no cache".to_owned()),
        };
        if got.store != wanted {
            let came = got
                .store
                .map_or_else(|| "no cache".to_owned(), |name| format!("cache `{name}`"));
            tell(word, came, expected.span);
        }
    }
    if let Some(expected) = &expect.status
        && got.status != Some(expected.value)
    {
        let came = got.status.map_or_else(
            || "no status".to_owned(),
            |status| format!("status {status}"),
        );
        tell(format!("status {}", expected.value), came, expected.span);
    }
}

fn failure(
    test: &Test,
    request: &Request,
    explanation: &Explanation,
    (expected, got): (String, String),
    span: Span,
) -> Diagnostic {
    let message = format!("a test expects {expected} and gets {got}");
    Diagnostic::error(codes::TEST_FAILED, span, message)
        .here(happens(explanation))
        .and(test.request.span, "this request")
        .help(format!("`{}` tells more", request.command()))
}

/// What happens to the request, in a few words.
fn happens(explanation: &Explanation) -> String {
    match &explanation.outcome {
        Outcome::Pool { route, pools, .. } => match &pools[..] {
            [pool] => format!("route `{route}` deals to pool `{pool}`"),
            pools => format!("route `{route}` splits between `{}`", pools.join("` and `")),
        },
        Outcome::Answer { route, status, .. } => format!("route `{route}` answers {status}"),
        Outcome::Https { status, location } => {
            format!("came without TLS, and is sent to {location} with {status}")
        }
        Outcome::Fault { fault, .. } => {
            format!("refused with {}: {}", fault.code.status(), fault.sentence())
        }
    }
}
