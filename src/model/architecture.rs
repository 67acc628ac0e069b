//! What differs between the architectures, including what a key missing from config.json means.

use super::config::MAX_POSITIONS;
use super::config_keys::Keys;
use crate::error::Result;
use crate::ids::TokenId;

/// The architectures this engine runs. All are one decoder with small differences, which [`super::ModelConfig`] spells out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// `LlamaForCausalLM`.
    Llama,
    /// `MistralForCausalLM`.
    Mistral,
    /// `Qwen2ForCausalLM`.
    Qwen2,
    /// `Qwen3ForCausalLM`.
    Qwen3,
}

impl Architecture {
    pub(super) fn parse(config: &Keys) -> Result<Self> {
        let names = config.get("architectures").and_then(|value| value.as_array());
        match names.and_then(|names| names.first()).and_then(|name| name.as_str()) {
            Some("LlamaForCausalLM") => Ok(Self::Llama),
            Some("MistralForCausalLM") => Ok(Self::Mistral),
            Some("Qwen2ForCausalLM") => Ok(Self::Qwen2),
            Some("Qwen3ForCausalLM") => Ok(Self::Qwen3),
            _ => Err(config.refuse(
                "architectures",
                "supported are LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM",
            )),
        }
    }

    fn is_qwen(self) -> bool {
        matches!(self, Self::Qwen2 | Self::Qwen3)
    }

    pub(super) fn default_intermediate_size(self) -> usize {
        match self {
            Self::Llama => 11_008,
            Self::Mistral => 14_336,
            Self::Qwen2 | Self::Qwen3 => 22_016,
        }
    }

    pub(super) fn default_num_kv_heads(self, num_heads: usize) -> usize {
        match self {
            Self::Llama => num_heads,
            Self::Mistral => 8,
            Self::Qwen2 | Self::Qwen3 => 32,
        }
    }

    pub(super) fn default_max_positions(self) -> usize {
        match self {
            Self::Llama => 2048,
            Self::Mistral => 4096 * 32,
            Self::Qwen2 | Self::Qwen3 => 32_768,
        }
    }

    pub(super) fn default_vocab_size(self) -> usize {
        if self.is_qwen() { 151_936 } else { 32_000 }
    }

    /// `attention_bias`: a bias on q, k, v and o. Mistral and Qwen2 do not know the key.
    pub(super) fn attention_bias(self, config: &Keys) -> Result<bool> {
        let asked = config.flag("attention_bias", false)?;
        Ok(asked && matches!(self, Self::Llama | Self::Qwen3))
    }

    /// Token ids at `key`; a missing key means `llama_default` for Llama and Mistral and none for Qwen.
    pub(super) fn token_ids(self, config: &Keys, key: &str, llama_default: TokenId) -> Result<Vec<TokenId>> {
        let missing = !config.has(key) && !self.is_qwen();
        let default = if missing { vec![llama_default] } else { Vec::new() };
        Ok(config.token_ids(key)?.unwrap_or(default))
    }

    /// The sliding window of each layer.
    pub(super) fn windows(self, config: &Keys, num_layers: usize) -> Result<Vec<Option<usize>>> {
        let window = config.count("sliding_window", MAX_POSITIONS)?;
        let window_or_default = if config.has("sliding_window") { window } else { Some(4096) };
        match self {
            Self::Llama => Ok(vec![None; num_layers]),
            Self::Mistral => Ok(vec![window_or_default; num_layers]),
            Self::Qwen2 | Self::Qwen3 => {
                let window = if config.flag("use_sliding_window", false)? { window_or_default } else { None };
                if config.get("layer_types").is_some() {
                    return windows_of_layer_types(config, num_layers, window);
                }
                // The first layers see everything, those from `max_window_layers` on have the window.
                let num_full = config.count_or_zero("max_window_layers", MAX_POSITIONS)?.unwrap_or(28);
                Ok((0..num_layers).map(|layer| window.filter(|_| layer >= num_full)).collect())
            }
        }
    }
}

/// `layer_types` names the kind of every layer.
fn windows_of_layer_types(config: &Keys, num_layers: usize, window: Option<usize>) -> Result<Vec<Option<usize>>> {
    let refuse = |supported: &str| config.refuse("layer_types", supported);
    let kinds = config.get("layer_types").and_then(|value| value.as_array());
    let kinds = kinds.filter(|kinds| kinds.len() == num_layers);
    let kinds = kinds.ok_or_else(|| refuse(&format!("use a list of {num_layers} texts, one per layer")))?;
    let window_of = |kind: &serde_json::Value| match kind.as_str() {
        Some("full_attention") => Ok(None),
        Some("sliding_attention") if window.is_some() => Ok(window),
        Some("sliding_attention") => Err(refuse("sliding_attention needs use_sliding_window and sliding_window")),
        _ => Err(refuse("supported are full_attention and sliding_attention")),
    };
    kinds.iter().map(window_of).collect()
}
