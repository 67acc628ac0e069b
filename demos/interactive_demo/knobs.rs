//! What can be turned: the limits of the run, and the size of the next request.

use crate::plan::Plan;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    MaxTokensPerStep,
    PrefillChunkSize,
    BlockSize,
    NumKvBlocks,
    PromptLen,
    MaxNewTokens,
}

impl Knob {
    pub const ALL: [Self; 6] = [
        Self::MaxTokensPerStep,
        Self::PrefillChunkSize,
        Self::BlockSize,
        Self::NumKvBlocks,
        Self::PromptLen,
        Self::MaxNewTokens,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::MaxTokensPerStep => "max_tokens_per_step",
            Self::PrefillChunkSize => "prefill_chunk_size",
            Self::BlockSize => "block_size",
            Self::NumKvBlocks => "num_kv_blocks",
            Self::PromptLen => "added: prompt_len",
            Self::MaxNewTokens => "added: max_new_tokens",
        }
    }

    /// Whether the run depends on it, or only the next request that is added.
    pub fn changes_run(self) -> bool {
        !matches!(self, Self::PromptLen | Self::MaxNewTokens)
    }

    pub fn value(self, plan: &Plan) -> usize {
        match self {
            Self::MaxTokensPerStep => plan.limits.max_tokens_per_step,
            Self::PrefillChunkSize => plan.limits.prefill_chunk_size,
            Self::BlockSize => plan.limits.block_size,
            Self::NumKvBlocks => plan.limits.num_kv_blocks.unwrap_or(0),
            Self::PromptLen => plan.next.prompt_len,
            Self::MaxNewTokens => plan.next.max_new_tokens,
        }
    }

    /// The next larger value. Whether it can work is the engine's to say.
    pub fn increase(self, plan: &mut Plan) {
        let value = self.value(plan);
        self.set(plan, if self == Self::BlockSize { value * 2 } else { value + 1 });
    }

    /// The next smaller value, down to 1.
    pub fn decrease(self, plan: &mut Plan) {
        let value = self.value(plan);
        self.set(plan, if self == Self::BlockSize { value / 2 } else { value - 1 }.max(1));
    }

    fn set(self, plan: &mut Plan, value: usize) {
        match self {
            Self::MaxTokensPerStep => plan.limits.max_tokens_per_step = value,
            Self::PrefillChunkSize => plan.limits.prefill_chunk_size = value,
            Self::BlockSize => plan.limits.block_size = value,
            Self::NumKvBlocks => plan.limits.num_kv_blocks = Some(value),
            Self::PromptLen => plan.next.prompt_len = value,
            Self::MaxNewTokens => plan.next.max_new_tokens = value,
        }
    }
}
