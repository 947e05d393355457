//! Off the path: a fault becomes an answer, or silence. The only place where a fault becomes a
//! status.

use croupier_net::client::ClientStream;

use crate::{
    answer::Answer,
    exchange::Exchange,
    fault::{Code, Fault},
    page,
};

/// The answer to a fault before anything was sent.
pub(crate) fn answer(x: &mut Exchange, conn: &mut ClientStream, fault: Fault) -> Answer {
    x.failed(fault);
    if leaves_the_stream_unclear(fault.code) {
        conn.close_after_refusal();
    }
    match fault.code.status() {
        0 => Answer::Silence,
        status => Answer::Made(page::error(&x.incoming, status, fault)),
    }
}

/// After these nobody can say where the next request begins.
fn leaves_the_stream_unclear(code: Code) -> bool {
    matches!(
        code,
        Code::ClientBodyMalformed
            | Code::ClientBodyTimeout
            | Code::ClientBodyTooLarge
            | Code::ClientExpect
            | Code::ClientFraming
            | Code::ClientHeadMalformed
            | Code::ClientHeadTimeout
            | Code::ClientHeadTooLarge
            | Code::ClientHeadVersion
            | Code::ClientLengthMissing
            | Code::ClientMethodRefused
            | Code::ClientTargetAmbiguous
            | Code::ClientTargetMalformed
            | Code::ClientTargetTooLong
    )
}
