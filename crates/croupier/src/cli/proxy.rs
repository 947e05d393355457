//! `croupier proxy`: one address before one or more servers, without a config file.

use croupier_config::Config;
use croupier_control::{Options, Source};

use super::{Code, run::ended};
use crate::terminal::{self, Paint};

const NOTES: &str = "\
ADDRESS is `:8080`, `127.0.0.1:8080`, `localhost:8080`, `unix:/path`, or
`app.example.com:8080` to answer for that host only. SERVER is `host:port` or
`unix:/path`. Requests go to the servers in turn; a dead one is left out until
it is back.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = ":8080")]
    from: String,
    /// A server; may be repeated
    #[arg(long, value_name = "SERVER", required = true, num_args = 1..)]
    to: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Code {
    match Config::proxy(&arguments.from, &arguments.to) {
        Ok(config) => {
            let source = Source::Given(Box::new(config));
            ended(croupier_control::run(source, Options::default()))
        }
        Err(diagnostics) => {
            terminal::err(&diagnostics.text(Paint::of_stderr().style()));
            Code::Usage
        }
    }
}
