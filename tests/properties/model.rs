//! A model that is a hash, and a KV cache that holds what was written instead of keys and values.

use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::request::{FinishReason, Request};
use cb_lab::{RequestId, TokenId};

/// So few that stop tokens come up.
pub const VOCAB_SIZE: u32 = 24;
pub const STOP_TOKEN: TokenId = 0;

/// The next token: a hash (FNV-1a) of the request's seed and all its tokens, so that any wrong token shows at once.
pub fn next_token(seed: u64, tokens: &[TokenId]) -> TokenId {
    let fold = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = tokens.iter().fold(fold(0xcbf2_9ce4_8422_2325, seed), |hash, &token| fold(hash, u64::from(token)));
    ((hash ^ (hash >> 32)) % u64::from(VOCAB_SIZE)) as TokenId
}

/// What a request is to get, computed alone and without any scheduler.
pub fn expected_output(request: &Request) -> (Vec<TokenId>, FinishReason) {
    let mut tokens = request.prompt_token_ids.clone();
    let params = &request.params;
    for _ in 0..params.max_new_tokens {
        let token = next_token(params.seed, &tokens);
        if params.stop_token_ids.contains(&token) {
            return (tokens.split_off(request.prompt_token_ids.len()), FinishReason::Stop);
        }
        tokens.push(token);
    }
    (tokens.split_off(request.prompt_token_ids.len()), FinishReason::Length)
}

/// What a slot holds: whose token, where in its sequence, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    id: RequestId,
    position: usize,
    token: TokenId,
}

/// Plain memory indexed by slot. `None` is poison: never written, or freed since.
pub struct HostKvCache {
    slots: Vec<Option<Entry>>,
    block_size: usize,
}

impl HostKvCache {
    pub fn new(num_blocks: usize, block_size: usize) -> Self {
        Self { slots: vec![None; num_blocks * block_size], block_size }
    }

    /// Poisons all slots of the blocks that nobody owns.
    pub fn poison_unowned(&mut self, is_owned: &[bool]) {
        for (block, slots) in self.slots.chunks_mut(self.block_size).enumerate() {
            if !is_owned[block] {
                slots.fill(None);
            }
        }
    }

    /// The scatter of a step: every row's token to its slot, for the first `num_rows` rows.
    pub fn write(&mut self, batch: &RaggedBatch, ids: &[RequestId], num_rows: usize) {
        for (seq, &id) in ids.iter().enumerate() {
            for row in batch.cu_seqlens_q[seq] as usize..batch.cu_seqlens_q[seq + 1] as usize {
                if row < num_rows {
                    let (position, token) = (batch.positions[row] as usize, batch.token_ids[row]);
                    self.slots[batch.slot_mapping[row] as usize] = Some(Entry { id, position, token });
                }
            }
        }
    }

    /// The gather of a step: all tokens of a sequence, through its block table, each certified to be its own.
    pub fn read(&self, batch: &RaggedBatch, seq: usize, id: RequestId) -> Vec<TokenId> {
        let read_position = |position: usize| {
            let block = batch.blocks(seq)[position / self.block_size] as usize;
            let entry = self.slots[block * self.block_size + position % self.block_size];
            let entry = entry.unwrap_or_else(|| panic!("request {id} reads poison at position {position}"));
            assert_eq!((entry.id, entry.position), (id, position), "request {id} reads what is not its own");
            entry.token
        };
        (0..batch.seq_len(seq)).map(read_position).collect()
    }
}
