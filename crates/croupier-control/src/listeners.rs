//! Listening sockets: bound here, one for each worker, before anything is swapped.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
};

use croupier_config::model::Listen;
use croupier_net::{
    address::Address,
    listen::{Bound, bind},
};
use croupier_proxy::Plan;

use crate::boot::BootError;

/// Sockets of new listeners, one for each worker, by listener id.
pub(crate) type NewSockets = Vec<(usize, Vec<Bound>)>;

/// The listeners that are open, in the order of the plan: as written, and where they are.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    written: Vec<Listen>,
    addresses: Vec<Address>,
}

/// What a new plan changes.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Bound already; nothing accepts from them yet.
    pub(crate) new: NewSockets,
    /// Old id to new id of those that stay.
    pub(crate) kept: Vec<(usize, usize)>,
    /// Old ids of those that go.
    pub(crate) gone: Vec<usize>,
    after: Listeners,
}

impl Listeners {
    /// Where we listen.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Binds what a first plan wants.
    pub(crate) fn bind(&mut self, plan: &Plan, workers: usize) -> Result<NewSockets, BootError> {
        let change = self.compare(plan, workers)?;
        *self = change.after;
        Ok(change.new)
    }

    /// Binds what a new plan wants and is not open yet. On error nothing has changed.
    pub(crate) fn compare(&self, plan: &Plan, workers: usize) -> Result<Change, BootError> {
        let mut change = Change::default();
        for (id, listener) in plan.listeners.iter().enumerate() {
            let open = self
                .written
                .iter()
                .position(|written| *written == listener.address);
            let address = if let Some(old) = open {
                change.kept.push((old, id));
                self.addresses[old].clone()
            } else {
                let (address, sockets) =
                    bind_written(&listener.address, workers).map_err(|error| {
                        let help = help(&error);
                        BootError::System {
                            what: format!("cannot listen on `{}`", listener.address),
                            error,
                            help,
                        }
                    })?;
                change.new.push((id, sockets));
                address
            };
            change.after.written.push(listener.address.clone());
            change.after.addresses.push(address);
        }
        change.gone = (0..self.written.len())
            .filter(|old| !change.kept.iter().any(|(kept, _)| kept == old))
            .collect();
        Ok(change)
    }

    /// The change has been made.
    pub(crate) fn changed(&mut self, change: &mut Change) {
        for gone in &change.gone {
            if let Address::Unix(path) = &self.addresses[*gone] {
                let _ = fs::remove_file(path);
            }
        }
        *self = std::mem::take(&mut change.after);
    }

    /// Removes what a closed listener leaves in the file system.
    pub(crate) fn clean_up(&self) {
        for address in &self.addresses {
            if let Address::Unix(path) = address {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// A port alone means every address of both families, or of IPv4 where there is no IPv6.
fn bind_written(listen: &Listen, workers: usize) -> io::Result<(Address, Vec<Bound>)> {
    match listen {
        Listen::Socket(address) => bind(&Address::Ip(*address), workers),
        Listen::Unix(path) => {
            let bound = bind(&Address::Unix(path.clone()), workers)?;
            // Whoever may enter the directory may knock, as at a port.
            fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
            Ok(bound)
        }
        Listen::Port(port) => {
            let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port));
            match bind(&Address::Ip(both), workers) {
                Err(error) if is_no_ipv6(&error) => {
                    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port));
                    bind(&Address::Ip(v4), workers)
                }
                other => other,
            }
        }
    }
}

fn is_no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn help(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; `ss -ltnp` shows which one; stop it or choose another `listen`"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher port, or `setcap cap_net_bind_service=+ep` on the binary"
        }
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
        io::ErrorKind::AlreadyExists => "a file that is no socket is in the way",
        io::ErrorKind::NotFound => "the directory of the socket does not exist",
        _ => "",
    }
}
