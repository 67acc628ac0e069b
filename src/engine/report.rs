//! What a step brought, for people and programs that watch.

use super::stream::Output;
use crate::core::step_plan::{Event, StepPlan};
use crate::core::timestamp::Timestamp;
use crate::ids::{RequestId, TokenId};

/// What a step brought.
#[derive(Debug)]
pub struct StepReport {
    /// What the step computed, when it was planned, and how things stood then.
    pub plan: StepPlan,
    /// When its tokens were there.
    pub end: Timestamp,
    /// What came of it, as the scheduler says.
    pub events: Vec<Event>,
    /// The same as text, in the order of the plan.
    pub updates: Vec<Update>,
}

/// News of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// It got a token.
    Token {
        /// The request.
        id: RequestId,
        /// The token.
        token_id: TokenId,
        /// Text that is now certain: often the token's own, sometimes nothing, sometimes that of several tokens.
        text: String,
    },
    /// It ended.
    Finished {
        /// Text that was held back, in case it had become part of a stop text.
        rest: String,
        /// All it brought.
        output: Output,
    },
    /// It ended because its logits are not finite or its text cannot be decoded. Others go on.
    Failed {
        /// What it had brought.
        output: Output,
        /// The sentence of the error.
        reason: String,
    },
    /// It lost its blocks and will be computed again: an older request needed them, it grew past the length at which its
    /// angles change, or the device was lost. What it has given out stays.
    Preempted(RequestId),
}
