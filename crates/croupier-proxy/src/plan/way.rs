//! The way of a route's requests to a pool: how long, how often, how much of a body is kept.

use std::time::Duration;

use croupier_config::model::{HedgeAfter, PoolId, RetryOn};

use super::Times;
use crate::{
    fault::{Code, Retry},
    relay::replay::ReplayLimits,
};

/// A way to a pool.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where it leads.
    pub pool: PoolId,
    /// How long each part may take.
    pub times: Times,
    /// What is tried again; None: nothing.
    pub retry: Option<RetryPlan>,
    /// When a second server is asked beside the first; None: never.
    pub hedge: Option<HedgeAfter>,
}

/// What is tried again, and how often.
#[derive(Clone, Debug)]
pub struct RetryPlan {
    on: Vec<RetryOn>,
    /// Attempts after the first that may have reached a server.
    pub max: u32,
    /// Percent of the active requests that may be retries; None: no budget.
    pub budget: Option<u32>,
    /// So many retries may always be in flight.
    pub budget_floor: u32,
    /// From the end of the request to the head, for one attempt.
    pub try_timeout: Option<Duration>,
    /// How much of a request body is kept.
    pub replay: ReplayLimits,
    /// Repeating these requests is safe whatever their method.
    pub is_idempotent: bool,
}

impl RetryPlan {
    pub(super) fn new(retry: &croupier_config::model::Retry) -> Self {
        Self {
            on: retry.on.clone(),
            max: retry.max,
            budget: retry.budget.map(|budget| budget.hundredths() / 100),
            budget_floor: retry.budget_floor,
            try_timeout: retry.try_timeout,
            replay: ReplayLimits {
                memory: usize::try_from(retry.body).unwrap_or(usize::MAX),
                file: retry.body_file,
            },
            is_idempotent: retry.idempotent,
        }
    }

    /// What is tried again.
    #[must_use]
    pub fn on(&self) -> &[RetryOn] {
        &self.on
    }

    /// Is this fault one that is tried again?
    #[must_use]
    pub fn covers(&self, code: Code) -> bool {
        let on = match code {
            Code::OriginHeadTimeout => RetryOn::Timeout,
            Code::OriginHeadMalformed
            | Code::OriginHeadTooLarge
            | Code::OriginFraming
            | Code::OriginInterim => RetryOn::Malformed,
            _ if code.retry() == Retry::Elsewhere => RetryOn::Connect,
            _ => RetryOn::Closed,
        };
        self.on.contains(&on)
    }

    /// Is an answer with this status tried again?
    #[must_use]
    pub fn covers_status(&self, status: u16) -> bool {
        status >= 429 && self.on.contains(&RetryOn::Status(status))
    }
}
