//! What needs all servers of a pool at once: whether one may be put aside, and how far down the
//! pool must go. Reads the servers' marks; changes nothing.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Server,
    health::{Failure, Rank, is_clearly_worse},
    policy::HealthPolicy,
    tiers::{TIERS_MAX, is_enough},
};

/// What is behind the pool's lock.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) members: Vec<Member>,
    pub(super) policy: HealthPolicy,
    /// Checks that must pass, or fail, in a row.
    pub(super) rise_fall: (u32, u32),
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) server: Arc<Server>,
    pub(super) tier: usize,
}

impl Gate {
    pub(super) fn usable(&self) -> usize {
        self.members
            .iter()
            .filter(|member| member.server.marks.rank() == Rank::Usable)
            .count()
    }

    /// Usable and all servers by tier, while servers down to `mode` are in use.
    pub(super) fn by_tier(&self, mode: Rank) -> [(u32, u32); TIERS_MAX] {
        let mut tiers = [(0, 0); TIERS_MAX];
        for member in &self.members {
            let (usable, all) = &mut tiers[member.tier];
            *all += 1;
            *usable += u32::from(member.server.marks.rank() <= mode);
        }
        tiers
    }

    /// How far down servers are used.
    pub(super) fn mode(&self) -> Rank {
        let all = self.members.len();
        let tiers = self.by_tier(Rank::Usable);
        // Backups that can carry everything are what they are there for, not an emergency.
        let is_well = self.usable() * 100 >= all * self.policy.panic as usize || is_enough(tiers);
        if all == 0 || is_well && self.usable() > 0 {
            return Rank::Usable;
        }
        let has = |mode: Rank| self.members.iter().any(|m| m.server.marks.rank() <= mode);
        Rank::ALL[1..]
            .iter()
            .copied()
            .find(|mode| has(*mode))
            .unwrap_or(Rank::Gone)
    }

    pub(super) fn may_eject(&self, server: &Arc<Server>, failure: Failure) -> bool {
        if failure.is_of_connecting() || server.marks.is_ejected() {
            return true;
        }
        let others = || {
            self.members
                .iter()
                .filter(|member| !Arc::ptr_eq(&member.server, server))
        };
        let ejected = others().filter(|m| m.server.marks.is_ejected()).count();
        let has_another = others().any(|m| m.server.marks.rank() == Rank::Usable);
        let allowed = self.members.len() * self.policy.share as usize / 100;
        let allowed = if self.policy.share == 0 {
            0
        } else {
            allowed.max(1)
        };
        has_another && ejected < allowed
    }

    /// Does it fail clearly more often than the others?
    pub(super) fn is_outlier(&self, server: &Arc<Server>) -> bool {
        let succeeded = |server: &Server| server.load.succeeded.load(Ordering::Relaxed);
        let percent = |server: &Server| server.lock().failure_percent(succeeded(server));
        if !server.lock().has_ratio(succeeded(server)) {
            return false;
        }
        let own = percent(server);
        let others = self
            .members
            .iter()
            .filter(|member| !Arc::ptr_eq(&member.server, server))
            .map(|member| percent(&member.server));
        own >= self.policy.ratio && is_clearly_worse(own, others, self.policy.ratio_above)
    }
}
