//! How large each buffer of a decoder is. Worked out and checked against the device before any of its memory is taken.

use super::config::ModelConfig;
use super::expected_tensors::expected_tensors;
use crate::backend::StepSize;
use crate::backend::params::Draw;
use crate::backend::step_table::StepTable;
use crate::config::EngineConfig;
use crate::error::{Error, Result};

/// Words (4 bytes) of every buffer, and how much a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// All weights, where each takes a word: that is how the CPU keeps them.
    pub weights: usize,
    /// K of one layer, and as many for V.
    pub kv_pool: usize,
    /// Layers, each with a K and a V pool.
    pub num_layers: usize,
    /// Cosines and sines of every position.
    pub rope_table: usize,
    /// The packed step table.
    pub step_table: usize,
    /// Most rows of a batch.
    pub num_tokens: usize,
    /// Most rows whose logits are computed in a step.
    pub num_logit_rows: usize,
    /// `[num_tokens, hidden_size]`
    pub hidden: usize,
    /// `[num_tokens, num_heads * head_dim]`
    pub q: usize,
    /// `[num_tokens, (num_heads + 2 num_kv_heads) * head_dim]`
    pub qkv: usize,
    /// `[num_tokens, intermediate_size]`
    pub intermediate: usize,
    /// `[num_logit_rows, hidden_size]`
    pub last_rows: usize,
    /// `[num_logit_rows, vocab_size]`
    pub logits: usize,
    /// How each row is to be sampled, `[num_logit_rows]`.
    pub draws: usize,
    /// `[num_logit_rows, 2]`
    pub choices: usize,
    /// What a step does with all of these.
    pub step: StepSize,
}

/// What the buffers take that grow with one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryNeed {
    /// The limit's option, without dashes.
    pub option: &'static str,
    /// Its value.
    pub value: usize,
    /// Words of all those buffers.
    pub words: usize,
}

/// Kernels that a layer calls, and those before the first layer and after the last: embedding,
/// rows that sample, norm, logits, choice.
const KERNELS_PER_LAYER: usize = 11;
const KERNELS_OUTSIDE_LAYERS: usize = 5;

impl MemoryPlan {
    /// The plan for a model within these limits.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if a buffer would be larger than `max_buffer_words`: it names the option to lower.
    pub fn new(model: &ModelConfig, limits: &EngineConfig, max_buffer_words: usize) -> Result<Self> {
        let num_tokens = limits.max_tokens_per_step;
        let num_logit_rows = limits.max_num_seqs.min(num_tokens);
        let logits = num_logit_rows * model.vocab_size;
        let plan = Self {
            weights: expected_tensors(model).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum(),
            kv_pool: limits.num_kv_blocks * limits.block_size * model.num_kv_heads * model.head_dim,
            num_layers: model.num_layers,
            rope_table: limits.max_model_len * model.head_dim,
            step_table: StepTable::max_words(limits, model.num_heads / model.num_kv_heads, model.head_dim),
            num_tokens,
            num_logit_rows,
            hidden: num_tokens * model.hidden_size,
            q: num_tokens * model.num_heads * model.head_dim,
            qkv: num_tokens * (model.num_heads + 2 * model.num_kv_heads) * model.head_dim,
            intermediate: num_tokens * model.intermediate_size,
            last_rows: num_logit_rows * model.hidden_size,
            logits,
            draws: Draw::WORDS * num_logit_rows,
            choices: 2 * num_logit_rows,
            step: StepSize {
                num_kernel_calls: KERNELS_PER_LAYER * model.num_layers + KERNELS_OUTSIDE_LAYERS,
                num_download_words: 2 * num_logit_rows,
            },
        };
        let buffers = [
            ("num-kv-blocks", limits.num_kv_blocks, "the KV pool of a layer", plan.kv_pool),
            ("max-model-len", limits.max_model_len, "the rope table", plan.rope_table),
            ("max-num-seqs", limits.max_num_seqs, "a step's logits", plan.logits),
            ("max-tokens-per-step", limits.max_tokens_per_step, "a step's index tables", plan.step_table),
            ("max-tokens-per-step", limits.max_tokens_per_step, "a step's residual stream", plan.hidden),
            ("max-tokens-per-step", limits.max_tokens_per_step, "a step's queries, keys and values", plan.qkv),
            ("max-tokens-per-step", limits.max_tokens_per_step, "a step's MLP", plan.intermediate),
        ];
        for (option, value, what, words) in buffers {
            if words > max_buffer_words {
                return Err(Error::InvalidOption {
                    option,
                    value: value.to_string(),
                    reason: format!(
                        "{what} would take {} bytes and this device binds at most {}; lower it to about {}",
                        4 * words,
                        4 * max_buffer_words,
                        (value as u128 * max_buffer_words as u128 / words as u128).max(1),
                    ),
                });
            }
        }
        Ok(plan)
    }

    /// Words of all buffers, by the option that they grow with. With the weights this is all that the decoder and the
    /// sampler make.
    pub fn words_by_option(&self, limits: &EngineConfig) -> [MemoryNeed; 4] {
        let need = |option, value, words| MemoryNeed { option, value, words };
        let activations = 2 * self.hidden + self.q + self.qkv + 3 * self.intermediate;
        [
            need("num-kv-blocks", limits.num_kv_blocks, 2 * self.kv_pool * self.num_layers),
            need("max-model-len", limits.max_model_len, self.rope_table),
            need("max-tokens-per-step", limits.max_tokens_per_step, self.step_table + activations),
            need("max-num-seqs", limits.max_num_seqs, self.last_rows + self.logits + self.draws + self.choices),
        ]
    }

    /// Bytes of the KV pools of all layers.
    pub fn kv_bytes(&self) -> usize {
        2 * 4 * self.kv_pool * self.num_layers
    }
}
