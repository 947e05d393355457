//! Beside stage 6: both ends have left HTTP. Bytes are moved until both stop, one fails, or
//! nothing moves for too long.

use std::{future::poll_fn, task::Poll};

use croupier_net::{client::ClientStream, tunnel::Tunnel};
use croupier_telemetry::Gauge;

use super::shape::PassingLines;
use crate::{
    answer::Dealt,
    exchange::{Became, Exchange},
};

/// Tells the client of the switch, then joins the two connections.
pub(crate) async fn run(x: &mut Exchange, conn: &mut ClientStream, dealt: &mut Dealt) {
    conn.send_switch(
        &dealt.head,
        &PassingLines {
            x,
            head: &dealt.head,
        },
    );
    x.tally.status = dealt.head.status;
    x.tally.became = Became::Tunnel;
    let times = x.times();
    if conn.flush(times.client_send).await.is_err() {
        return;
    }
    x.worker.cells.gauge(Gauge::Tunnels, 1);
    let timers = std::rc::Rc::clone(&x.worker.local.timers);
    let idle = times.tunnel_idle;
    let timer = timers.timer();
    let mut tunnel = Tunnel::new(conn, dealt.lease.connection());
    let mut moved = (0, 0);
    let mut until = timers.after(idle);
    poll_fn(|cx| {
        if tunnel.poll_run(cx).is_ready() {
            return Poll::Ready(());
        }
        if tunnel.moved != moved {
            moved = tunnel.moved;
            until = timers.after(idle);
        }
        timer.arm(until);
        if timer.is_expired(cx) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    x.tally.bytes_in = tunnel.moved.0;
    x.tally.bytes_out = tunnel.moved.1;
    x.worker.cells.gauge(Gauge::Tunnels, -1);
}
