//! `croupier schema`: what editors and generators need to know of the config.

use super::Code;
use crate::terminal;

pub(super) fn run() -> Code {
    terminal::out(&format!("{:#}\n", croupier_config::schema()));
    Code::Done
}
