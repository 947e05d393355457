//! The end: not ready any more, stop accepting, let exchanges end, cut what is left.

use std::time::Duration;

use croupier_telemetry::{Level, event};

use crate::{
    boot::{Control, Exit, Stop},
    disks,
    signals::Watch,
};

/// How long the last lines of the log may take.
const LOG_TIME: Duration = Duration::from_secs(2);

/// Ends everything. A second stop signal cuts what is left at once.
pub(crate) async fn run(control: Control, how: Stop, watch: Option<Watch>) -> Exit {
    control.admin.drain();
    let grace = match how {
        Stop::Bounded => control.config.server.shutdown_grace.duration(),
        Stop::Unbounded => None,
    };
    let open = control.live.doors.open();
    event(Level::Info, "draining", &[("connections", &open)]);
    let cut = tokio::select! {
        cut = control.workers.drain(grace) => cut,
        () = second_signal(watch) => control.live.doors.open(),
    };
    control.listeners.clean_up();
    control.admin.clean_up();
    disks::flush(&control.live);
    if cut > 0 {
        event(Level::Warn, "stopped", &[("connections_cut", &cut)]);
        // Threads with connections left are not waited for: the process ends now.
        control.logs.close(LOG_TIME);
        return Exit::Cut(cut);
    }
    control.workers.join();
    control.logs.close(LOG_TIME);
    event(Level::Info, "stopped", &[("connections_cut", &0)]);
    Exit::Clean
}

async fn second_signal(watch: Option<Watch>) {
    match watch.map_or_else(Watch::new, Ok) {
        Ok(mut watch) => watch.stop().await,
        Err(_) => std::future::pending().await,
    }
}
