//! How large each buffer of an engine is. Worked out and checked against the device before any of its memory is taken.
//!
//! A size is written down once, as a field of [`MemoryPlan`]: what allocates the buffer asks for that field, and the table
//! in `MemoryPlan::buffers` says how many there are of it and what for.

use super::config::ModelConfig;
use super::rope_table::RopeTable;
use super::tensor_table::TensorTable;
use super::weights::weights_size;
use crate::backend::attention_metadata::AttentionMetadata;
use crate::backend::params::SamplingInput;
use crate::backend::splits::{max_num_splits, partial_len};
use crate::backend::{Backend, StepSize};
use crate::config::EngineConfig;
use crate::error::{Error, Result};
use crate::files::WeightFiles;

/// Words (4 bytes) of every buffer but the weights, and how much a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// K of one layer, and as many for V.
    pub kv_pool: usize,
    /// Layers, each with a K and a V pool.
    pub num_layers: usize,
    /// Cosines and sines: see [`RopeTable`].
    pub rope_table: usize,
    /// The packed attention metadata.
    pub metadata: usize,
    /// `[num_tokens, hidden_size]`
    pub hidden: usize,
    /// `[num_tokens, num_heads * head_dim]`
    pub q: usize,
    /// `[num_tokens, (num_heads + 2 num_kv_heads) * head_dim]`
    pub qkv: usize,
    /// What is kept of the splits of decodes, `[num_splits, num_heads, head_dim + 4]`: nothing where no sequence is so long.
    pub partials: usize,
    /// `[num_tokens, intermediate_size]`
    pub intermediate: usize,
    /// `[num_logit_rows, hidden_size]`
    pub last_rows: usize,
    /// `[num_logit_rows, vocab_size]`
    pub logits: usize,
    /// How each row is to be sampled, `[num_logit_rows]`.
    pub sampling_inputs: usize,
    /// `[num_logit_rows, 2]`
    pub sampled_tokens: usize,
    /// What a step does with all of these.
    pub step: StepSize,
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Kv,
    Activations,
    Tables,
}

/// Buffers of one size.
#[derive(Clone, Copy, Debug)]
struct Buffers {
    part: Part,
    /// The field of [`EngineConfig`] that they grow with, and its value.
    limit: (&'static str, usize),
    /// What one is, in a sentence.
    what: &'static str,
    words: usize,
    count: usize,
}

/// What the buffers take that grow with one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryNeed {
    /// The limit's field in [`EngineConfig`].
    pub option: &'static str,
    /// Its value.
    pub value: usize,
    /// Words of all those buffers.
    pub words: usize,
}

/// What an engine takes of a backend's memory, in bytes. Nothing is added later, so that it is also the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PlannedMemory {
    /// All weights, as this backend keeps them.
    pub weights_bytes: u64,
    /// The KV pools of all layers.
    pub kv_bytes: u64,
    /// What flows through a step, logits and sampled tokens included.
    pub activations_bytes: u64,
    /// Attention metadata, rope table, and the backend's own: params of kernels, what is read back.
    pub tables_bytes: u64,
}

impl PlannedMemory {
    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.weights_bytes + self.kv_bytes + self.activations_bytes + self.tables_bytes
    }
}

/// Kernels that a layer calls, and one more where prompts and split sequences meet in a step. Then those before the first
/// layer and after the last: embedding, rows that sample, norm, logits, sampled tokens.
const KERNELS_PER_LAYER: usize = 9;
const KERNELS_OUTSIDE_LAYERS: usize = 5;

impl MemoryPlan {
    /// The plan for a model within these limits.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if a buffer would be larger than `max_buffer_words`: it names the option to lower.
    pub fn new(model: &ModelConfig, config: &EngineConfig, max_buffer_words: usize) -> Result<Self> {
        let num_tokens = config.max_tokens_per_step;
        let num_logit_rows = config.max_num_seqs.min(num_tokens);
        let logits = num_logit_rows * model.vocab_size;
        let num_splits = max_num_splits(config);
        let rope_table = RopeTable::new(model, config.max_model_len);
        let kernels_per_layer = KERNELS_PER_LAYER + usize::from(num_splits > 0);
        let plan = Self {
            kv_pool: config
                .kv_dtype
                .words(config.num_kv_blocks * config.block_size * model.num_kv_heads * model.head_dim),
            num_layers: model.num_layers(),
            rope_table: rope_table.words(),
            metadata: AttentionMetadata::max_words(config, &model.attention_shape())
                + rope_table.metadata_words(num_tokens),
            hidden: num_tokens * model.hidden_size,
            q: num_tokens * model.num_heads * model.head_dim,
            qkv: num_tokens * (model.num_heads + 2 * model.num_kv_heads) * model.head_dim,
            partials: num_splits * model.num_heads * partial_len(model.head_dim),
            intermediate: num_tokens * model.intermediate_size,
            last_rows: num_logit_rows * model.hidden_size,
            logits,
            sampling_inputs: SamplingInput::WORDS * num_logit_rows,
            sampled_tokens: 2 * num_logit_rows,
            step: StepSize {
                num_kernel_calls: kernels_per_layer * model.num_layers() + KERNELS_OUTSIDE_LAYERS,
                num_download_words: 2 * num_logit_rows,
            },
        };
        for Buffers { limit: (option, value), what, words, .. } in plan.buffers(config) {
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

    /// Every buffer of the decoder and the sampler but the weights.
    fn buffers(&self, config: &EngineConfig) -> [Buffers; 12] {
        use Part::{Activations, Kv, Tables};
        let blocks = ("num_kv_blocks", config.num_kv_blocks);
        let len = ("max_model_len", config.max_model_len);
        let seqs = ("max_num_seqs", config.max_num_seqs);
        let tokens = ("max_tokens_per_step", config.max_tokens_per_step);
        let buffers = |part, limit, what, words, count| Buffers { part, limit, what, words, count };
        [
            buffers(Kv, blocks, "the KV pool of a layer", self.kv_pool, 2 * self.num_layers),
            buffers(Tables, len, "the rope table", self.rope_table, 1),
            buffers(Activations, seqs, "a step's logits", self.logits, 1),
            buffers(Activations, seqs, "the rows that sample", self.last_rows, 1),
            buffers(Activations, seqs, "a step's sampling inputs", self.sampling_inputs, 1),
            buffers(Activations, seqs, "a step's sampled tokens", self.sampled_tokens, 1),
            buffers(Activations, seqs, "a step's partial attention", self.partials, 1),
            buffers(Tables, tokens, "a step's attention metadata", self.metadata, 1),
            buffers(Activations, tokens, "a step's residual stream", self.hidden, 2),
            buffers(Activations, tokens, "a step's queries", self.q, 1),
            buffers(Activations, tokens, "a step's queries, keys and values", self.qkv, 1),
            buffers(Activations, tokens, "a step's MLP", self.intermediate, 1),
        ]
    }

    /// Words of all buffers, by the option that they grow with.
    pub fn words_by_option(&self, config: &EngineConfig) -> Vec<MemoryNeed> {
        let mut needs: Vec<MemoryNeed> = Vec::new();
        for Buffers { limit: (option, value), words, count, .. } in self.buffers(config) {
            match needs.iter_mut().find(|need| need.option == option) {
                Some(need) => need.words += words * count,
                None => needs.push(MemoryNeed { option, value, words: words * count }),
            }
        }
        needs
    }

    /// What all of it takes on a backend, weights included. The files were checked before ([`TensorTable::check`]).
    ///
    /// # Errors
    /// [`Error::Device`] if a weight is too wide for the backend.
    pub fn on<B: Backend>(
        &self,
        backend: &B,
        model: &ModelConfig,
        files: &WeightFiles,
        config: &EngineConfig,
    ) -> Result<PlannedMemory> {
        let weights = weights_size(backend, files, &TensorTable::new(model), config.weight_dtype)?;
        let all = self.buffers(config);
        let bytes_of = |part| {
            let buffers = all.iter().filter(|buffers| buffers.part == part);
            buffers.map(|buffers| backend.buffer_bytes(buffers.words) * buffers.count as u64).sum::<u64>()
        };
        Ok(PlannedMemory {
            weights_bytes: weights.bytes,
            kv_bytes: bytes_of(Part::Kv),
            activations_bytes: bytes_of(Part::Activations),
            tables_bytes: bytes_of(Part::Tables) + backend.own_bytes(self.step, weights.num_pieces),
        })
    }
}
