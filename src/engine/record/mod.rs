//! The event log: what a run did in every step, and why. One JSON object a line; demos and tools read it.
//!
//! ```text
//! {"event":"run", …}         limits, model, backend: the first line
//! {"event":"submitted", …}   a request came
//! {"event":"step", …}        rows, reasons, blocks, tokens, times
//! {"event":"aborted", …}     a request was given up between two steps
//! ```
//!
//! The engine does not know that it is recorded: a [`Recorder`] is shown each [`StepReport`](super::StepReport) and the
//! scheduler after the step, before the next one begins ([`Engine::step_one_by_one`](super::Engine::step_one_by_one)). Times are milliseconds since the run began, and come from the caller.

mod recorder;
mod recording;
pub mod snapshots;
pub mod trace;
pub mod views;

pub use recorder::Recorder;
pub use recording::{BlockTables, Recording};

use crate::backend::KernelTime;
use crate::config::EngineConfig;
use crate::core::request::FinishReason;
use crate::core::skipped::Skipped;
use crate::core::step_plan::{AdmissionStop, Preemption, is_decode};
use crate::ids::{BlockId, RequestId, TokenId};
use serde::{Deserialize, Serialize};

/// The format's version; it grows when a reader of the old one would go wrong.
pub const VERSION: u32 = 1;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
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
    /// Why no further request was admitted.
    pub admission_stop: AdmissionStop,
    /// Who got no row, and why: those that run, then those that wait.
    pub skipped: Vec<SkippedRequest>,
    /// Blocks that preempted requests gave back, before any was taken.
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

/// A request without a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedRequest {
    /// The request.
    pub id: RequestId,
    /// Why.
    pub why: Skipped,
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
