//! Why a request got no row in a step: worked out from the plan when somebody asks, so that scheduling pays nothing.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::scheduler::Scheduler;
use crate::core::step_plan::{AdmissionStop, StepPlan};
use crate::core::wording::count_text;
use crate::ids::RequestId;

/// Why a request got no row in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Skipped {
    /// It runs, but its prompt came after others, and those used up the budget. The policy as it is never lets it come to
    /// that: a request is admitted only where all that run left something, and from then on those never take more.
    BudgetUsedUp {
        /// The budget.
        max_tokens_per_step: usize,
    },
    /// It lost its blocks in this step.
    Preempted {
        /// Who needed a block. The request itself, if it was the youngest that ran.
        needer: RequestId,
    },
    /// It is the first in the queue and was not admitted.
    NotAdmitted(AdmissionStop),
    /// It waits, and first come is first served.
    BehindFirst {
        /// The first in the queue.
        first: RequestId,
    },
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BudgetUsedUp { max_tokens_per_step } => {
                write!(f, "its turn came when the step's {} were used up", count_text(*max_tokens_per_step, "token"))
            }
            Self::Preempted { needer } => {
                write!(f, "preempted: request {needer} needed a block, and the youngest that runs gives way")
            }
            Self::NotAdmitted(stop) => stop.fmt(f),
            Self::BehindFirst { first } => write!(f, "request {first} came first and still waits"),
        }
    }
}

/// Why a request has no row in a plan. `None` if it has one, or is none of the scheduler's.
///
/// `plan` is the scheduler's newest. It may be committed by then: what changes in `commit` had a row.
pub fn why_not(scheduler: &Scheduler, plan: &StepPlan, id: RequestId) -> Option<Skipped> {
    let has_row = plan.rows.iter().any(|row| row.id == id);
    if has_row { None } else { why_without_row(scheduler, plan, id) }
}

/// [`why_not`] of every request without a row: those that run, then those that wait, each oldest first.
pub fn all_skipped(scheduler: &Scheduler, plan: &StepPlan) -> Vec<(RequestId, Skipped)> {
    let with_row: BTreeSet<RequestId> = plan.rows.iter().map(|row| row.id).collect();
    let unfinished = scheduler.running().chain(scheduler.waiting()).map(|sequence| sequence.id());
    let without_row = unfinished.filter(|id| !with_row.contains(id));
    without_row.filter_map(|id| Some((id, why_without_row(scheduler, plan, id)?))).collect()
}

fn why_without_row(scheduler: &Scheduler, plan: &StepPlan, id: RequestId) -> Option<Skipped> {
    if plan.left_out.contains(&id) {
        return Some(Skipped::BudgetUsedUp { max_tokens_per_step: scheduler.config().max_tokens_per_step });
    }
    let preemption = plan.preempted.iter().find(|preemption| preemption.victim == id);
    if let Some(needer) = preemption.and_then(|preemption| preemption.needer) {
        return Some(Skipped::Preempted { needer });
    }
    scheduler.get(id).and_then(|_| why_waits(plan.admission_stop, plan.first_waiting, id))
}

/// Why a request waits, by what a plan says of the queue: one reason for the first, and one for all behind it. `None` if
/// nobody waited when the plan was made.
pub fn why_waits(stop: AdmissionStop, first: Option<RequestId>, id: RequestId) -> Option<Skipped> {
    let first = first?;
    Some(if id == first { Skipped::NotAdmitted(stop) } else { Skipped::BehindFirst { first } })
}
