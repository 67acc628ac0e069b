//! The shape of a model, from config.json and generation_config.json. Missing keys mean what they mean in transformers.

use super::architecture::{Architecture, Defaults};
use super::config_keys::{Keys, MAX_POSITIONS};
use super::layer_plan::{LayerPlan, parse_layers};
use super::refusals::refuse_missing;
use super::rope::RopeConfig;
use crate::backend::attention_metadata::AttentionShape;
use crate::error::Result;
use crate::files::ModelFolder;
use crate::ids::TokenId;

/// The shape of a decoder-only transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Which model it is.
    pub architecture: Architecture,
    /// Width of the residual stream, a multiple of 4.
    pub hidden_size: usize,
    /// Width inside the MLP, a multiple of 4.
    pub intermediate_size: usize,
    /// What each decoder layer computes.
    pub layers: Vec<LayerPlan>,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; `num_heads` is a multiple of it.
    pub num_kv_heads: usize,
    /// Width of a head here: a multiple of 8, at most 256. `num_heads * head_dim` need not be `hidden_size`.
    pub head_dim: usize,
    /// Width of a head in the checkpoint, an even number: the same or less. What is missing is 0
    /// ([`super::head_order`]).
    pub stored_head_dim: usize,
    /// Rows of the embedding table and width of the logits.
    pub vocab_size: usize,
    /// Added to the mean square under the root.
    pub rms_norm_eps: f32,
    /// Rotary position embedding.
    pub rope: RopeConfig,
    /// Longest sequence the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// The embedding table is the output matrix, too.
    pub tie_word_embeddings: bool,
    /// `q_proj`, `k_proj` and `v_proj` have a bias.
    pub qkv_bias: bool,
    /// `o_proj` has a bias.
    pub o_bias: bool,
    /// How the checkpoint keeps projections of one input.
    pub projections: Projections,
    /// What the names of its tensors begin with, but for that of the output matrix: `model.`, unless the files say
    /// otherwise ([`ModelConfig::settle`]).
    pub tensor_prefix: &'static str,
    /// The token a sequence begins with, if the model has one.
    pub bos_token_id: Option<TokenId>,
    /// Tokens that end a sequence. May be empty.
    pub eos_token_ids: Vec<TokenId>,
}

/// How a checkpoint keeps the projections that read the same input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projections {
    /// `q_proj`, `k_proj` and `v_proj`; `gate_proj` and `up_proj`.
    Separate,
    /// `qkv_proj`; `gate_up_proj`.
    Fused,
}

// Sizes beyond these are typing errors or attacks. Whether a device can hold the model is not decided here.
const MAX_HIDDEN_SIZE: usize = 1 << 16;
const MAX_INTERMEDIATE_SIZE: usize = 1 << 18;
const MAX_LAYERS: usize = 1024;
const MAX_HEADS: usize = 1024;
const MAX_VOCAB_SIZE: usize = 1 << 22;

impl ModelConfig {
    /// Reads config.json and, if it is there, generation_config.json.
    ///
    /// # Errors
    /// [`crate::Error::ReadFile`] if config.json cannot be read, [`crate::Error::InvalidFile`] if either file asks for
    /// what this engine does not do: the message names file, key, value and what is supported.
    pub fn open(folder: &ModelFolder) -> Result<Self> {
        let config = Keys::open(folder, "config.json")?;
        let mut parsed = Self::parse(&config)?;
        // As in transformers: what generation_config.json says about the end replaces what config.json says.
        if let Some(generation) = Keys::open_optional(folder, "generation_config.json")?
            && let Some(ids) = generation.token_ids("eos_token_id")?
        {
            parsed.eos_token_ids = ids;
        }
        Ok(parsed)
    }

    fn parse(config: &Keys) -> Result<Self> {
        let architecture = match (refuse_missing(config), Architecture::parse(config)) {
            (Ok(()), architecture) => architecture?,
            (Err(missing), Ok(_)) => return Err(missing),
            (Err(missing), Err(architecture)) => return Err(config.join(vec![architecture, missing])),
        };
        let defaults = architecture.defaults();
        let count = |key, max, default| config.count(key, max).map(|count| count.unwrap_or(default));

        let hidden_size = count("hidden_size", MAX_HIDDEN_SIZE, defaults.hidden_size)?;
        let intermediate_size = count("intermediate_size", MAX_INTERMEDIATE_SIZE, defaults.intermediate_size)?;
        for (key, size) in [("hidden_size", hidden_size), ("intermediate_size", intermediate_size)] {
            if !size.is_multiple_of(4) {
                return Err(config.refuse(key, "it must be a multiple of 4"));
            }
        }
        let num_layers = count("num_hidden_layers", MAX_LAYERS, defaults.num_layers)?;
        let num_heads = count("num_attention_heads", MAX_HEADS, defaults.num_heads)?;
        let num_kv_heads = match config.count("num_key_value_heads", MAX_HEADS)? {
            Some(num_kv_heads) => num_kv_heads,
            None if config.has("num_key_value_heads") => num_heads,
            None => defaults.num_kv_heads.unwrap_or(num_heads),
        };
        if !num_heads.is_multiple_of(num_kv_heads) {
            let supported = format!("it must divide num_attention_heads, which is {num_heads}");
            return Err(config.refuse("num_key_value_heads", &supported));
        }
        let stored_head_dim = parse_head_dim(config, &defaults, hidden_size, num_heads)?;
        let max_position_embeddings = count("max_position_embeddings", MAX_POSITIONS, defaults.max_positions)?;
        let o_bias = architecture.attention_bias(config)?;
        let is_phi3 = architecture == Architecture::Phi3;
        // A missing key has a default, and null is none.
        let or_default = |key, default: Option<TokenId>| match config.token_ids(key)? {
            None if !config.has(key) => Ok(default.into_iter().collect()),
            ids => Ok(ids.unwrap_or_default()),
        };
        let bos_token_ids: Vec<TokenId> = or_default("bos_token_id", defaults.bos_token_id)?;

        Ok(Self {
            architecture,
            hidden_size,
            intermediate_size,
            layers: parse_layers(config, architecture, num_layers, stored_head_dim)?,
            num_heads,
            num_kv_heads,
            head_dim: stored_head_dim.next_multiple_of(8),
            stored_head_dim,
            vocab_size: count("vocab_size", MAX_VOCAB_SIZE, defaults.vocab_size)?,
            rms_norm_eps: config.positive("rms_norm_eps")?.unwrap_or(defaults.rms_norm_eps) as f32,
            rope: RopeConfig::parse(config, architecture, stored_head_dim, max_position_embeddings)?,
            max_position_embeddings,
            tie_word_embeddings: config.flag("tie_word_embeddings", defaults.tie_word_embeddings)?,
            qkv_bias: architecture == Architecture::Qwen2 || o_bias,
            o_bias,
            projections: if is_phi3 { Projections::Fused } else { Projections::Separate },
            tensor_prefix: "model.",
            bos_token_id: bos_token_ids.first().copied(),
            eos_token_ids: or_default("eos_token_id", defaults.eos_token_id)?,
        })
    }

    /// Decoder layers.
    pub fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// What is added to the mean square of a head of Q or K. The kernel takes the mean over all values of a head, zeros
    /// included, so that it is smaller by this ratio; the norm's gains, too, are loaded smaller by its root.
    pub fn head_norm_eps(&self) -> f32 {
        self.rms_norm_eps * (self.stored_head_dim as f32 / self.head_dim as f32)
    }

    /// What attention's work depends on besides the batch.
    pub fn attention_shape(&self) -> AttentionShape {
        let mut windows: Vec<u32> = self.layers.iter().map(|layer| layer.attention().window_or_all()).collect();
        windows.sort_unstable();
        windows.dedup();
        AttentionShape { group: self.num_heads / self.num_kv_heads, head_dim: self.head_dim, windows }
    }
}

/// The width of a head, given or derived.
fn parse_head_dim(config: &Keys, defaults: &Defaults, hidden_size: usize, num_heads: usize) -> Result<usize> {
    let default = defaults.head_dim.filter(|_| !config.has("head_dim"));
    let (key, head_dim) = match config.count("head_dim", 256)?.or(default) {
        Some(head_dim) => ("head_dim", head_dim),
        None if hidden_size.is_multiple_of(num_heads) => ("hidden_size", hidden_size / num_heads),
        None => {
            let supported = format!("without head_dim it must divide hidden_size, which is {hidden_size}");
            return Err(config.refuse("num_attention_heads", &supported));
        }
    };
    if !head_dim.is_multiple_of(2) || head_dim > 256 {
        let supported = format!("heads are {head_dim} wide; supported are even numbers up to 256");
        return Err(config.refuse(key, &supported));
    }
    Ok(head_dim)
}
