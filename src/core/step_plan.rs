//! What a step is to compute, and what came of it.

use crate::core::request::FinishReason;
use crate::core::sequence::SeqIdx;
use crate::ids::{RequestId, TokenId};

/// The work of one step. It has no phase: it is a list of (sequence, context_len, query_len).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepPlan {
    /// Steps scheduled so far, this one included.
    pub step: u64,
    /// At most one row per sequence: decodes, then unfinished prompts, then newly admitted requests.
    pub rows: Vec<ScheduledRow>,
    /// Sequences that lost their blocks to this step, youngest first.
    pub preempted: Vec<RequestId>,
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

    /// Whether it computes one token to get the next.
    pub fn is_decode(&self) -> bool {
        self.samples && self.query_len == 1
    }
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

    /// Sequences that compute one token to get the next.
    pub fn num_decodes(&self) -> usize {
        self.rows.iter().filter(|row| row.is_decode()).count()
    }

    /// Sequences that compute more of their context than that.
    pub fn num_prefills(&self) -> usize {
        self.num_seqs() - self.num_decodes()
    }

    /// Sequences that get a token: as many as `commit` is to be given.
    pub fn num_samples(&self) -> usize {
        self.rows.iter().filter(|row| row.samples).count()
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
    /// The request ended; its blocks are free.
    Finished {
        /// The request.
        id: RequestId,
        /// Why.
        reason: FinishReason,
    },
    /// The request lost its blocks to an older one. It waits and will be computed again, its output stays.
    Preempted {
        /// The request.
        id: RequestId,
    },
}
