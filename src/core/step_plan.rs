//! What a step is to compute, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::request::FinishReason;
use crate::core::sequence::SeqIdx;
use crate::core::timestamp::Timestamp;
use crate::core::wording::count_text;
use crate::ids::{BlockId, RequestId, TokenId};

/// The work of one step, and all that planning it changed: whoever executes, records or draws a step needs nothing else of
/// the scheduler. It has no phase: it is a list of (sequence, context_len, query_len).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepPlan {
    /// Steps scheduled so far, this one included.
    pub step: u64,
    /// When it was planned.
    pub now: Timestamp,
    /// At most one row per sequence: decodes, then unfinished prompts, then newly admitted requests.
    pub rows: Vec<ScheduledRow>,
    /// Sequences that lost their blocks to this step, youngest first.
    pub preempted: Vec<Preemption>,
    /// The same of earlier plans that were never committed, oldest first: nobody has been told of it yet.
    pub preempted_before: Vec<Preemption>,
    /// Blocks that went to a sequence or came back, in the order in which they did.
    pub block_changes: Vec<BlockChange>,
    /// The same of earlier plans that were never committed.
    pub block_changes_before: Vec<BlockChange>,
    /// Blocks to copy on the device before any row is computed. None yet: no two sequences share a block.
    pub copies: Vec<BlockCopy>,
    /// Why the first in the queue was not admitted.
    pub admission_stop: AdmissionStop,
    /// The first in the queue. All behind it wait because it came first.
    pub first_waiting: Option<RequestId>,
    /// Who runs and got no row, since others used up the budget.
    pub left_out: Vec<RequestId>,
    /// Sequences with blocks, once it was planned.
    pub num_running: usize,
    /// Requests without.
    pub num_waiting: usize,
    /// Blocks nobody holds.
    pub num_free_blocks: usize,
    /// Of a plan that was made while the step before it was in flight: which of that step's samples the token of each row
    /// is, since nobody knows it yet. Else empty.
    pub sample_indices: Vec<u32>,
}

/// A sequence that lost its blocks because an older one had none for its next token, or because all blocks were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preemption {
    /// Who lost them: the youngest that ran.
    pub victim: RequestId,
    /// Who needed one. The victim itself, if it was the youngest. `None` if the device was lost, and the blocks with it.
    pub needer: Option<RequestId>,
}

/// A block that went from the pool into a sequence's table, or came back. Tables may share a block: it is free again when
/// the last of them has released it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChange {
    /// Appended to the table.
    Taken {
        /// Whose table.
        id: RequestId,
        /// The block.
        block: BlockId,
    },
    /// Gone from the table, as all others of it.
    Released {
        /// Whose table.
        id: RequestId,
        /// The block.
        block: BlockId,
    },
}

/// K and V of a block that are to be copied to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockCopy {
    /// What to copy.
    pub from: BlockId,
    /// Where to.
    pub to: BlockId,
}

/// Why a step admitted no further waiting request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stop", rename_all = "snake_case")]
pub enum AdmissionStop {
    /// There is none.
    #[default]
    NobodyWaits,
    /// Rows of others take the whole budget.
    BudgetUsedUp {
        /// The budget.
        max_tokens_per_step: usize,
    },
    /// As many run as may.
    MaxNumSeqs {
        /// As many.
        max_num_seqs: usize,
    },
    /// The first in the queue takes blocks for all of its tokens at once, and so many are not free.
    NotEnoughBlocks {
        /// Blocks for its tokens.
        needed: usize,
        /// Blocks left to the decodes of those that run, or admission would make them preempt right away.
        spare: usize,
        /// Blocks nobody holds.
        free: usize,
    },
    /// Blocks were just taken from one sequence: they are not for a younger one.
    StepPreempted,
}

impl fmt::Display for AdmissionStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NobodyWaits => write!(f, "nobody waits"),
            Self::BudgetUsedUp { max_tokens_per_step } => {
                write!(f, "the others use up the step's budget of {}", count_text(max_tokens_per_step, "token"))
            }
            Self::MaxNumSeqs { max_num_seqs } => {
                write!(f, "{} may run at a time, and as many do", count_text(max_num_seqs, "sequence"))
            }
            Self::NotEnoughBlocks { needed, spare, free } => {
                write!(f, "it needs {}, ", count_text(needed, "block"))?;
                if spare > 0 {
                    write!(f, "{spare} {} spare for decodes, ", if spare == 1 { "stays" } else { "stay" })?;
                }
                write!(f, "and {free} {} free", if free == 1 { "is" } else { "are" })
            }
            Self::StepPreempted => write!(f, "a step that takes blocks from one request admits no other"),
        }
    }
}

/// A sequence's part of a step: the tokens at positions `context_len..context_len + query_len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduledRow {
    /// The request.
    pub id: RequestId,
    /// Where the scheduler keeps it.
    pub seq_idx: SeqIdx,
    /// Its tokens in the KV cache before this step.
    pub context_len: usize,
    /// Its tokens computed in this step.
    pub query_len: usize,
    /// Whether these are the last tokens known of it, so that their logits choose the next one.
    pub samples: bool,
}

impl ScheduledRow {
    /// Its tokens in the KV cache after this step.
    pub fn seq_len(&self) -> usize {
        self.context_len + self.query_len
    }

    /// See [`is_decode`].
    pub fn is_decode(&self) -> bool {
        is_decode(self.query_len, self.samples)
    }
}

/// Whether a row is a decode: it computes one token, the last that is known of a sequence, to get the next. It does not
/// matter whether that token is of the output, or all that was left of a prompt or of what a preemption took away: who
/// needs one row for a token is scheduled first. Every other row is prefill.
pub fn is_decode(query_len: usize, samples: bool) -> bool {
    samples && query_len == 1
}

impl StepPlan {
    /// Rows of the ragged batch: the sum of query_len.
    pub fn num_tokens(&self) -> usize {
        self.rows.iter().map(|row| row.query_len).sum()
    }

    /// Sequences that take part.
    pub fn num_seqs(&self) -> usize {
        self.rows.len()
    }

    /// Rows that are decodes: see [`is_decode`].
    pub fn num_decodes(&self) -> usize {
        self.rows.iter().filter(|row| row.is_decode()).count()
    }

    /// Sequences that get a token: as many as `commit` is to be given.
    pub fn num_samples(&self) -> usize {
        self.rows.iter().filter(|row| row.samples).count()
    }

    /// All that lost their blocks since the last step that was committed.
    pub fn all_preempted(&self) -> impl Iterator<Item = &Preemption> {
        self.preempted_before.iter().chain(&self.preempted)
    }

    /// All blocks that changed hands since the last step that was committed, but for those that came back with an [`Event`]: these are
    /// all that the request held.
    pub fn all_block_changes(&self) -> impl Iterator<Item = &BlockChange> {
        self.block_changes_before.iter().chain(&self.block_changes)
    }

    /// Whether there is nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// What a step brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A token to show to whoever asked.
    Token {
        /// The request.
        id: RequestId,
        /// Its next token.
        token_id: TokenId,
    },
    /// The request ended, and released all of its blocks.
    Finished {
        /// The request.
        id: RequestId,
        /// Why.
        reason: FinishReason,
    },
    /// A plan took the blocks of the request and says which. It waits and will be computed again, its output stays.
    Preempted {
        /// The request.
        id: RequestId,
    },
    /// The request has grown so long that its K and V are others
    /// ([`Scheduler::recomputing_past`](crate::core::scheduler::Scheduler::recomputing_past)): it released all of its blocks
    /// just now, waits and will be computed again, its output stays.
    Outgrown {
        /// The request.
        id: RequestId,
    },
}
