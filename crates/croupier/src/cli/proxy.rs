//! `croupier proxy`: one address before one or more servers, without a config file, over TLS where it is expected.

use croupier_config::{Config, FrontTls};
use croupier_control::{Options, Source};

use super::{Code, run::ended};
use crate::terminal::{self, Paint};

const NOTES: &str = "\
ADDRESS is `:8080`, `127.0.0.1:8080`, `unix:/path`, `localhost:8443`, or
`app.example.com:8080` to answer for that host only. A public name without a
port, or with 443, is served over TLS with a certificate that gets itself.
`localhost`, other names of private networks, and any name or IP address with
port 443 or 8443 get one from our own authority. Everything else is plain.

SERVER is `host:port`, `unix:/path`, `https://host` or `h2c://host:port`. Of two
servers drawn at random, the one with fewer requests in flight is asked; a dead
one is left out until it is back.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = ":8080")]
    from: String,
    /// A server; may be repeated
    #[arg(long, value_name = "SERVER", required = true, num_args = 1..)]
    to: Vec<String>,
    /// Never speak TLS to clients
    #[arg(long)]
    plain: bool,
}

pub(super) fn run(arguments: &Arguments) -> Code {
    let tls = match arguments.plain {
        true => FrontTls::Off,
        false => FrontTls::Fitting,
    };
    match Config::proxy(&arguments.from, &arguments.to, tls) {
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
