//! A submitted request and how far it has come.

use std::ops::Range;

use crate::core::kv_cache::{BlockAllocator, BlockTable};
use crate::core::request::Request;
use crate::ids::{BlockId, RequestId, TokenId};

/// A request from its submission to its end.
///
/// ```text
/// position   0              context_len            num_tokens
///            [ KV committed )[ yet to be computed   )
///            [ prompt            )[ output so far   )
/// ```
///
/// All else is derived. It *runs* iff it has blocks, else it waits. A running sequence *decodes* iff one token is yet
/// to be computed, else it is in the middle of its prompt, or of what it had to give up when it was preempted.
#[derive(Debug)]
pub struct Sequence {
    request: Request,
    output_token_ids: Vec<TokenId>,
    context_len: usize,
    pub(super) block_table: BlockTable,
}

impl Sequence {
    /// A sequence of which nothing is computed.
    pub fn new(request: Request) -> Self {
        Self { request, output_token_ids: Vec::new(), context_len: 0, block_table: BlockTable::new() }
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.request.id
    }

    /// What was asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Tokens generated so far. Preemption keeps them.
    pub fn output_token_ids(&self) -> &[TokenId] {
        &self.output_token_ids
    }

    /// Tokens whose K and V are in the cache.
    pub fn context_len(&self) -> usize {
        self.context_len
    }

    /// Tokens known: prompt and output.
    pub fn num_tokens(&self) -> usize {
        self.request.prompt_token_ids.len() + self.output_token_ids.len()
    }

    /// Tokens known and not yet computed. Never 0.
    pub fn num_uncomputed(&self) -> usize {
        self.num_tokens() - self.context_len
    }

    /// Whether it holds blocks.
    pub fn is_running(&self) -> bool {
        self.block_table.num_blocks() > 0
    }

    /// Whether one more row yields the next token.
    pub fn is_decoding(&self) -> bool {
        self.num_uncomputed() == 1
    }

    /// Its blocks.
    pub fn block_table(&self) -> &BlockTable {
        &self.block_table
    }

    /// Appends the tokens of a range of positions to `tokens`.
    ///
    /// # Panics
    /// If the range ends after `num_tokens`.
    pub fn extend_tokens(&self, positions: Range<usize>, tokens: &mut Vec<TokenId>) {
        let (prompt, output) = (&self.request.prompt_token_ids, &self.output_token_ids);
        let split = |position: usize| (position.min(prompt.len()), position.saturating_sub(prompt.len()));
        let ((prompt_start, output_start), (prompt_end, output_end)) = (split(positions.start), split(positions.end));
        tokens.extend_from_slice(&prompt[prompt_start..prompt_end]);
        tokens.extend_from_slice(&output[output_start..output_end]);
    }

    /// Notes that the K and V of the next `query_len` tokens are in the cache.
    pub(super) fn advance(&mut self, query_len: usize) {
        self.context_len += query_len;
        debug_assert!(self.context_len <= self.num_tokens());
    }

    /// Appends a generated token.
    pub(super) fn push_output(&mut self, token_id: TokenId) {
        self.output_token_ids.push(token_id);
    }

    /// Gives up all blocks and what was computed in them, and returns them in logical order. The tokens stay.
    pub(super) fn preempt(&mut self, allocator: &mut BlockAllocator) -> Vec<BlockId> {
        self.context_len = 0;
        self.block_table.release(allocator)
    }
}

/// Where a sequence is in the scheduler's slab. It holds until the sequence ends; then another may get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeqIdx(pub u32);

/// Sequences in slots that keep their index, so that a step finds each without a map.
#[derive(Debug, Default)]
pub(super) struct Slab {
    slots: Vec<Option<Sequence>>,
    vacant: Vec<SeqIdx>,
}

impl Slab {
    pub(super) fn insert(&mut self, sequence: Sequence) -> SeqIdx {
        if let Some(idx) = self.vacant.pop() {
            self.slots[idx.0 as usize] = Some(sequence);
            return idx;
        }
        self.slots.push(Some(sequence));
        SeqIdx(self.slots.len() as u32 - 1)
    }

    pub(super) fn remove(&mut self, idx: SeqIdx) -> Option<Sequence> {
        let sequence = self.slots[idx.0 as usize].take();
        self.vacant.extend(sequence.is_some().then_some(idx));
        sequence
    }

    pub(super) fn get(&self, idx: SeqIdx) -> Option<&Sequence> {
        self.slots.get(idx.0 as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, idx: SeqIdx) -> Option<&mut Sequence> {
        self.slots.get_mut(idx.0 as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sequence> {
        self.slots.iter().flatten()
    }
}

impl std::ops::Index<SeqIdx> for Slab {
    type Output = Sequence;
    fn index(&self, idx: SeqIdx) -> &Sequence {
        self.get(idx).expect("the index is of a sequence that has not ended")
    }
}

impl std::ops::IndexMut<SeqIdx> for Slab {
    fn index_mut(&mut self, idx: SeqIdx) -> &mut Sequence {
        self.get_mut(idx).expect("the index is of a sequence that has not ended")
    }
}
