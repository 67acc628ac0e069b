//! The event log: what a run did in every step, and why. One JSON object a line; demos and tools read it.
//!
//! ```text
//! {"event":"run", …}         limits, model, backend: the first line
//! {"event":"submitted", …}   a request came
//! {"event":"step", …}        rows, reasons, blocks, tokens, times
//! {"event":"aborted", …}     a request was given up between two steps
//! ```
//!
//! The engine does not know that it is recorded: a [`Recorder`] is shown each [`StepReport`](crate::engine::StepReport), which
//! has the plan and what came of it. Steps stay overlapped. Times are milliseconds since the run began.

pub mod page;
mod recorder;
mod recording;
mod replay;
pub mod snapshots;
pub mod trace;
pub mod views;

pub use recorder::Recorder;
pub use recording::Recording;
pub use replay::BlockTables;

use crate::backend::KernelTime;
use crate::config::EngineConfig;
use crate::core::request::FinishReason;
use crate::core::step_plan::{AdmissionStop, Preemption, is_decode};
use crate::ids::{BlockId, RequestId, TokenId};
use serde::{Deserialize, Serialize};

/// The format's version; it grows when a reader of the old one would go wrong.
pub const VERSION: u32 = 2;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly all lines of a log are steps")]
pub enum Entry {
    /// The first line.
    Run(Run),
    /// A request came.
    Submitted(Submitted),
    /// A step was computed.
    Step(Step),
    /// A request was given up.
    Aborted(Aborted),
}

impl Entry {
    /// The line, without its end.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an entry has string keys and finite numbers")
    }
}

/// What the run was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`VERSION`]
    pub version: u32,
    /// The model folder.
    pub model: String,
    /// The device.
    pub backend: String,
    /// What the engine ran within.
    pub config: EngineConfig,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submitted {
    /// The request.
    pub id: RequestId,
    /// Tokens of its prompt.
    pub prompt_len: usize,
    /// Most tokens it wants.
    pub max_new_tokens: usize,
    /// When.
    pub at_ms: f64,
}

/// A request that was given up between two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aborted {
    /// The request.
    pub id: RequestId,
    /// The blocks it gave back.
    pub blocks: Vec<BlockId>,
    /// When.
    pub at_ms: f64,
}

/// A computed step. Blocks move in this order: `freed`, `taken`, those of `finished`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number, from 1. A step whose execution failed leaves a gap.
    pub step: u64,
    /// What was computed, in this order.
    pub rows: Vec<Row>,
    /// Who lost their blocks, and to whom, in this step and in failed ones just before it.
    pub preempted: Vec<Preemption>,
    /// Who released all blocks when the last step had ended, to be computed again: they have grown past the length from which
    /// on their K and V are others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outgrown: Vec<RequestId>,
    /// Requests whose rows were computed in vain, since they had ended while the step was in flight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<RequestId>,
    /// Why no further request was admitted.
    pub admission_stop: AdmissionStop,
    /// The first in the queue and why it waits, or that there is none to tell of: nobody waits, or who was first ended while
    /// the step was in flight. Written when it changes. All behind the first wait because it came first:
    /// [`Recording::skipped`] has them one by one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "queue_change")]
    pub queue: Option<Option<QueueHead>>,
    /// Who runs and got no row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<RequestId>,
    /// Blocks that those of `preempted` and `outgrown` gave back, before any was taken.
    pub freed: Vec<Blocks>,
    /// Blocks appended to the tables of requests, in logical order.
    pub taken: Vec<Blocks>,
    /// Blocks nobody held while the step was computed.
    pub free_blocks: usize,
    /// Tokens it brought.
    pub tokens: Vec<Token>,
    /// Requests that ended with it.
    pub finished: Vec<Finished>,
    /// When it began.
    pub start_ms: f64,
    /// How long it took.
    pub ms: f64,
    /// How long its kernels took, if they were timed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<KernelTime>,
}

impl Step {
    /// Whether a request had to give its blocks back, and is computed again.
    pub fn lost_blocks(&self, id: RequestId) -> bool {
        self.preempted.iter().any(|preemption| preemption.victim == id) || self.outgrown.contains(&id)
    }
}

/// A request's part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The request.
    pub id: RequestId,
    /// Its tokens in the KV cache before the step.
    pub context_len: usize,
    /// Its tokens computed in the step.
    pub query_len: usize,
    /// Whether it got its next token.
    pub samples: bool,
}

impl Row {
    /// See [`is_decode`].
    pub fn is_decode(&self) -> bool {
        is_decode(self.query_len, self.samples)
    }
}

/// The first in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueHead {
    /// The request.
    pub first: RequestId,
    /// Why it was not admitted.
    pub why: AdmissionStop,
}

/// `null` where there is no first from now on; no key at all where it is as before.
mod queue_change {
    use super::QueueHead;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Change = Option<Option<QueueHead>>;

    pub fn serialize<S: Serializer>(change: &Change, serializer: S) -> Result<S::Ok, S::Error> {
        change.flatten().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Change, D::Error> {
        Option::<QueueHead>::deserialize(deserializer).map(Some)
    }
}

/// Blocks that went from the pool to a request, or back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// The request.
    pub id: RequestId,
    /// Physical blocks.
    pub blocks: Vec<BlockId>,
}

/// A token somebody got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The request.
    pub id: RequestId,
    /// The token.
    pub token_id: TokenId,
    /// Text that it made certain.
    pub text: String,
}

/// A request that ended in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// The request.
    pub id: RequestId,
    /// Why.
    pub reason: FinishReason,
    /// Text that was held back until now.
    pub rest: String,
    /// The blocks it gave back.
    pub blocks: Vec<BlockId>,
}
