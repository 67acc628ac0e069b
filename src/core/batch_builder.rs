//! The ragged batch: the token table of one step, as flat arrays, without padding.

use crate::core::scheduler::Scheduler;
use crate::core::step_plan::StepPlan;
use crate::ids::TokenId;

/// What one step computes, as a table of token rows. Rows of one sequence are contiguous and in order of position.
///
/// ```text
/// sequences        A: context 3, query 2      B: context 5, query 1
/// row              0    1                     2
/// token_ids        a3   a4                    b5
/// positions        3    4                     5
/// cu_seqlens_q     0                          2                        3
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaggedBatch {
    /// Tokens per KV block.
    pub block_size: u32,
    /// `[num_tokens]` what to embed; empty where `sample_indices` says it.
    pub token_ids: Vec<TokenId>,
    /// `[num_tokens]` which samples of the step before to embed, in a step that was planned while that one was in flight;
    /// else empty.
    pub sample_indices: Vec<u32>,
    /// `[num_tokens]` position of each row within its sequence.
    pub positions: Vec<u32>,
    /// `[num_tokens]` where the row's K and V go: block_id * block_size + offset.
    pub slot_mapping: Vec<u32>,
    /// `[num_seqs + 1]` prefix sums of query_len; the first is 0.
    pub cu_seqlens_q: Vec<u32>,
    /// `[num_seqs]` tokens of each sequence in the KV cache before this step.
    pub context_lens: Vec<u32>,
    /// `[num_seqs]` tokens known of each sequence after this step, those that it does not compute included. Empty: nobody
    /// asks, since no sequence is computed again for its length ([`Scheduler::recomputing_past`]).
    pub num_known: Vec<u32>,
    /// `[num_seqs + 1]` where each sequence's blocks begin in `block_table`.
    pub block_table_offsets: Vec<u32>,
    /// Physical blocks of all sequences, one after the other, in logical order.
    pub block_table: Vec<u32>,
    /// Rows whose logits are wanted: the last row of each sequence that samples in this step.
    pub logit_indices: Vec<u32>,
}

impl RaggedBatch {
    /// The token table of a plan.
    ///
    /// # Panics
    /// If the plan is not the scheduler's newest, or one of its requests has ended since.
    pub fn build(plan: &StepPlan, scheduler: &Scheduler) -> Self {
        let mut batch = Self::default();
        batch.build_into(plan, scheduler);
        batch
    }

    /// [`RaggedBatch::build`] into the memory of an earlier batch.
    ///
    /// # Panics
    /// As [`RaggedBatch::build`].
    pub fn build_into(&mut self, plan: &StepPlan, scheduler: &Scheduler) {
        self.clear();
        let block_size = scheduler.config().block_size;
        self.block_size = block_size as u32;
        self.sample_indices.extend_from_slice(&plan.sample_indices);
        for row in &plan.rows {
            let sequence = scheduler.sequence(row.seq_idx);
            debug_assert_eq!(sequence.id(), row.id, "the plan is older than what is in its slots");
            let positions = row.context_len..row.seq_len();
            let block_table = sequence.block_table();

            if plan.sample_indices.is_empty() {
                sequence.extend_tokens(positions.clone(), &mut self.token_ids);
            }
            self.positions.extend(positions.clone().map(|position| position as u32));
            self.slot_mapping.extend(positions.map(|position| block_table.slot(position, block_size)));
            self.cu_seqlens_q.push(self.num_tokens() as u32);
            self.context_lens.push(row.context_len as u32);
            if scheduler.recompute_past().is_some() {
                // Of a token in flight the sequence does not know yet.
                self.num_known.push(sequence.num_tokens().max(row.seq_len()) as u32);
            }
            // Only the blocks this step reads: a prompt in chunks holds more already.
            let blocks = &block_table.blocks()[..row.seq_len().div_ceil(block_size)];
            self.block_table.extend(blocks.iter().map(|block| block.0));
            self.block_table_offsets.push(self.block_table.len() as u32);
            if row.samples {
                self.logit_indices.push(self.num_tokens() as u32 - 1);
            }
        }
    }

    fn clear(&mut self) {
        self.token_ids.clear();
        self.sample_indices.clear();
        self.positions.clear();
        self.slot_mapping.clear();
        self.cu_seqlens_q.clear();
        self.cu_seqlens_q.push(0);
        self.context_lens.clear();
        self.num_known.clear();
        self.block_table_offsets.clear();
        self.block_table_offsets.push(0);
        self.block_table.clear();
        self.logit_indices.clear();
    }

    /// Rows of the batch.
    pub fn num_tokens(&self) -> usize {
        self.positions.len()
    }

    /// Sequences of the batch.
    pub fn num_seqs(&self) -> usize {
        self.context_lens.len()
    }

    /// Rows of sequence `seq_idx` of the batch.
    pub fn query_len(&self, seq_idx: usize) -> usize {
        (self.cu_seqlens_q[seq_idx + 1] - self.cu_seqlens_q[seq_idx]) as usize
    }

    /// Tokens that sequence `seq_idx` of the batch attends to in its last row.
    pub fn seq_len(&self, seq_idx: usize) -> usize {
        self.context_lens[seq_idx] as usize + self.query_len(seq_idx)
    }

    /// Tokens known of sequence `seq_idx` of the batch, of which this step may compute only the first.
    pub fn num_known(&self, seq_idx: usize) -> usize {
        self.num_known.get(seq_idx).map_or(self.seq_len(seq_idx), |&num_known| num_known as usize)
    }

    /// Physical blocks of sequence `seq_idx` of the batch, in logical order.
    pub fn blocks(&self, seq_idx: usize) -> &[u32] {
        &self.block_table[self.block_table_offsets[seq_idx] as usize..self.block_table_offsets[seq_idx + 1] as usize]
    }
}
