//! What control may tell a worker. Few words, over one bounded queue.

use std::{sync::Arc, time::Duration};

use croupier_net::listen::Bound;
use tokio::sync::{mpsc, oneshot};

use crate::plan::Plan;

/// Commands that may wait for one worker.
const QUEUE: usize = 64;

/// A word of control.
#[derive(Debug)]
pub enum Command {
    /// Use this plan for every exchange that begins from now on. Listener `id`s of open sockets
    /// become those of `listeners`: old id to new id.
    Install {
        plan: Arc<Plan>,
        listeners: Vec<(usize, usize)>,
        done: oneshot::Sender<()>,
    },
    /// Accept from this socket, for listener `id` of the plan in force.
    Listen { id: usize, socket: Bound },
    /// Accept what waits, then close the socket of listener `id`.
    Unlisten { id: usize },
    /// Stop accepting, end idle connections, let exchanges end; after `grace` cut the rest.
    /// Answers with the number of connections that were cut.
    Drain {
        grace: Option<Duration>,
        done: oneshot::Sender<usize>,
    },
}

/// Control's end of a worker.
#[derive(Clone, Debug)]
pub struct Handle {
    sender: mpsc::Sender<Command>,
}

impl Handle {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { sender }, receiver)
    }

    /// Tells the worker. False when it is gone.
    pub async fn tell(&self, command: Command) -> bool {
        self.sender.send(command).await.is_ok()
    }
}
