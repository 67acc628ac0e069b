//! From what a user asks for, or leaves out, to the limits of an engine.

use crate::config::{EngineConfig, KvDtype, WeightDtype};
use crate::error::{Error, Result};
use crate::model::ModelConfig;

/// Limits a user may set; what is left out is derived from the model and the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitOptions {
    /// Tokens per KV block. Default 16.
    pub block_size: Option<usize>,
    /// Blocks in the KV pool. Default: what `max_num_seqs` sequences of `max_model_len` need, but at most about 1 GiB
    /// and what the device can bind; at least one such sequence if that can be had.
    pub num_kv_blocks: Option<usize>,
    /// Rows of a batch. Default 512.
    pub max_tokens_per_step: Option<usize>,
    /// Prompt tokens of one sequence in a step. Default 256.
    pub prefill_chunk_size: Option<usize>,
    /// Sequences running at a time. Default 64.
    pub max_num_seqs: Option<usize>,
    /// Tokens of a sequence that are computed (all but its last), at most what the model was made for. Default: as many as
    /// that and the pool allow.
    pub max_model_len: Option<usize>,
    /// How K and V are kept.
    pub kv_dtype: KvDtype,
    /// How weights are kept.
    pub weight_dtype: WeightDtype,
}

/// Bytes of KV that the default pool takes at most.
const DEFAULT_KV_BYTES: usize = 1 << 30;

impl LimitOptions {
    /// Fills in what was left out.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if a limit cannot work.
    pub fn resolve(&self, model: &ModelConfig, max_buffer_words: usize) -> Result<EngineConfig> {
        let mut config = EngineConfig {
            block_size: self.block_size.unwrap_or(16),
            num_kv_blocks: self.num_kv_blocks.unwrap_or(1),
            max_tokens_per_step: self.max_tokens_per_step.unwrap_or(512),
            prefill_chunk_size: self.prefill_chunk_size.unwrap_or(256),
            max_num_seqs: self.max_num_seqs.unwrap_or(64),
            max_model_len: self.max_model_len.unwrap_or(model.max_position_embeddings),
            kv_dtype: self.kv_dtype,
            weight_dtype: self.weight_dtype,
        };
        // The defaults below divide by what the user gave.
        config.validate()?;
        if self.num_kv_blocks.is_none() {
            let block_words = config.kv_dtype.words(config.block_size * model.num_kv_heads * model.head_dim);
            let block_bytes = 2 * 4 * block_words * model.num_layers();
            let wanted = config.max_num_seqs.saturating_mul(config.num_blocks_for(config.max_model_len));
            let bindable = max_buffer_words / block_words;
            config.num_kv_blocks = wanted.min(DEFAULT_KV_BYTES / block_bytes).min(bindable).max(1);
        }
        if self.max_model_len.is_none() {
            let pool_tokens = config.num_kv_blocks.saturating_mul(config.block_size);
            config.max_model_len = config.max_model_len.min(pool_tokens);
        }
        check(model, &config)?;
        Ok(config)
    }
}

/// Checks every limit by itself, and that the model was made for sequences so long.
///
/// # Errors
/// [`Error::InvalidOption`] names the first that cannot work.
pub fn check(model: &ModelConfig, config: &EngineConfig) -> Result<()> {
    config.validate()?;
    let most = model.max_position_embeddings;
    if config.max_model_len > most {
        // Beyond that attention meets angles that it was never trained on, and the text falls apart.
        return Err(Error::InvalidOption {
            option: "max_model_len",
            value: config.max_model_len.to_string(),
            reason: format!("the model was made for sequences of {most} tokens; lower it to {most} or less"),
        });
    }
    Ok(())
}
