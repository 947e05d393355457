//! Makes a connection to a server on which heads may be sent: dials, and says and hears what comes
//! before them.

use std::rc::Rc;

use super::{
    Manner, OriginConn,
    h1::{Guard, OriginLimits},
    h2::{self, Driver, Scheme, Shared},
    manner::Protocol,
};
use crate::{
    address::Address,
    dial::dial,
    error::NetError,
    local::Local,
    timers::{Tick, Timer},
};

/// A connection just made.
#[derive(Debug)]
pub enum Made {
    /// It carries one exchange at a time.
    H1(Box<OriginConn>),
    /// It carries several, while somebody runs its driver.
    H2(Rc<Shared>, Box<Driver>),
}

/// Connects before `until`. `guard` is dropped when the connection has closed.
///
/// # Errors
/// `Timeout`, what the operating system says, or what the server says otherwise than expected.
pub async fn connect(
    address: &Address,
    manner: &Manner,
    local: &Rc<Local>,
    limits: &OriginLimits,
    guard: impl Guard + 'static,
    (timer, until): (&Timer, Tick),
) -> Result<Made, NetError> {
    let stream = dial(address, until, timer).await?;
    match manner.protocol() {
        Protocol::Http1 => {
            let connection = OriginConn::new(stream, local, limits).made_by(manner.id());
            // Who speaks before it is asked would answer the wrong question.
            if !connection.is_quiet() {
                return Err(NetError::Protocol("the server spoke before it was asked"));
            }
            Ok(Made::H1(Box::new(connection.guarded(guard))))
        }
        Protocol::H2c => {
            let guard = Some(Box::new(guard) as Box<dyn Guard>);
            let own = (local.timers.timer(), until);
            let (shared, driver) =
                h2::connect(stream, Scheme::Http, local, limits, guard, own).await?;
            Ok(Made::H2(shared, Box::new(driver)))
        }
    }
}
