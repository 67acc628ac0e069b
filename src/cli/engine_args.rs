//! Options of every command that runs an engine: how tokens are chosen, and the limits.

use super::numbers::{count, decimal, from_zero};
use crate::config::{KvDtype, WeightDtype};
use crate::core::request::SamplingParams;
use crate::engine::limits::LimitOptions;
use crate::error::Result;
use crate::ids::TokenId;
use crate::model::ModelFolder;
use crate::model::embedded::default_model;
use std::path::Path;

/// The model folder of `--model`, else the embedded one.
///
/// # Errors
/// As [`ModelFolder::open`].
pub fn open_model(path: Option<&Path>) -> Result<ModelFolder> {
    path.map_or_else(|| Ok(default_model()), ModelFolder::open)
}

/// How tokens are chosen.
#[derive(clap::Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Most tokens to generate per prompt [default: 64; 250 for the built-in prompts; in a chat 256]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    max_new_tokens: Option<usize>,
    /// 0 always takes the most probable token
    #[arg(long, value_name = "T", value_parser = decimal::<f32>, default_value_t = 0.0)]
    temperature: f32,
    /// Choose among the K most probable tokens
    #[arg(long, value_name = "K", value_parser = count::<usize>)]
    top_k: Option<usize>,
    /// Choose among the most probable tokens that together have probability P
    #[arg(long, value_name = "P", value_parser = decimal::<f32>, default_value_t = 1.0)]
    top_p: f32,
    /// Drop tokens less probable than P times the most probable
    #[arg(long, value_name = "P", value_parser = decimal::<f32>, default_value_t = 0.0)]
    min_p: f32,
    /// A prompt's tokens depend on this and not on other prompts
    #[arg(long, value_name = "S", value_parser = from_zero::<u64>, default_value_t = 0)]
    seed: u64,
    /// Text that ends the output and is not part of it, or the name of a special token; may be repeated
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Tokens that end the output and are not part of it
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = from_zero::<TokenId>)]
    stop_token_ids: Vec<TokenId>,
    /// Go on after an end-of-sequence token
    #[arg(long)]
    ignore_eos: bool,
}

/// What an engine runs within.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Tokens per KV block, a power of two up to 256 [default: 16]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    block_size: Option<usize>,
    /// KV blocks shared by all sequences [default: by model and device, at most 1 GiB]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    num_kv_blocks: Option<usize>,
    /// Most tokens computed in a step; also bounds how many sequences run at a time [default: 512]
    #[arg(long, value_name = "N", value_parser = count::<usize>, visible_alias = "max-num-batched-tokens")]
    max_tokens_per_step: Option<usize>,
    /// Most prompt tokens of one sequence in a step [default: 256]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    prefill_chunk_size: Option<usize>,
    /// Most sequences running at a time [default: 64]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    max_num_seqs: Option<usize>,
    /// Most tokens of a sequence that are computed (all but its last), at most what the model was made for [default: by model and pool]
    #[arg(long, value_name = "N", value_parser = count::<usize>)]
    max_model_len: Option<usize>,
    /// How K and V are kept: f16 takes half the memory, and rounds
    #[arg(long, value_enum, default_value_t)]
    kv_dtype: KvDtype,
    /// What weights are rounded to; int8 takes about half of f16's memory, and int4 a quarter in the layers
    #[arg(long, value_enum, default_value_t)]
    weight_dtype: WeightDtype,
}

impl SamplingArgs {
    /// As the engine takes them; not checked yet.
    pub fn params(&self, default_max_new_tokens: usize) -> SamplingParams {
        SamplingParams {
            max_new_tokens: self.max_new_tokens.unwrap_or(default_max_new_tokens),
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            seed: self.seed,
            stop: self.stop.clone(),
            stop_token_ids: self.stop_token_ids.clone(),
            ignore_eos: self.ignore_eos,
        }
    }
}

impl LimitArgs {
    /// As the engine takes them; what was left out is derived later.
    pub fn options(&self) -> LimitOptions {
        LimitOptions {
            block_size: self.block_size,
            num_kv_blocks: self.num_kv_blocks,
            max_tokens_per_step: self.max_tokens_per_step,
            prefill_chunk_size: self.prefill_chunk_size,
            max_num_seqs: self.max_num_seqs,
            max_model_len: self.max_model_len,
            kv_dtype: self.kv_dtype,
            weight_dtype: self.weight_dtype,
        }
    }
}
