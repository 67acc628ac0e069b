//! The architectures this engine runs, and what a key missing from config.json means in each.

use super::config_keys::Keys;
use super::refusals::missing_features;
use crate::error::Result;
use crate::ids::TokenId;

/// The architectures this engine runs. All are one decoder; how their layers differ is in [`super::LayerPlan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// `LlamaForCausalLM`.
    Llama,
    /// `MistralForCausalLM`.
    Mistral,
    /// `Phi3ForCausalLM`: Phi-3, Phi-3.5, Phi-4 and Phi-4-mini.
    Phi3,
    /// `Qwen2ForCausalLM`.
    Qwen2,
    /// `Qwen3ForCausalLM`.
    Qwen3,
    /// `SmolLM3ForCausalLM`.
    SmolLm3,
}

/// What missing keys mean: the values of transformers' configuration classes.
pub(super) struct Defaults {
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_layers: usize,
    pub(super) num_heads: usize,
    /// `None`: as many as query heads.
    pub(super) num_kv_heads: Option<usize>,
    /// `None`: `hidden_size / num_heads`.
    pub(super) head_dim: Option<usize>,
    pub(super) vocab_size: usize,
    pub(super) max_positions: usize,
    pub(super) rms_norm_eps: f64,
    pub(super) rope_theta: f64,
    pub(super) tie_word_embeddings: bool,
    pub(super) bos_token_id: Option<TokenId>,
    pub(super) eos_token_id: Option<TokenId>,
}

const LLAMA: Defaults = Defaults {
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_layers: 32,
    num_heads: 32,
    num_kv_heads: None,
    head_dim: None,
    vocab_size: 32_000,
    max_positions: 2048,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    bos_token_id: Some(1),
    eos_token_id: Some(2),
};
const QWEN2: Defaults = Defaults {
    intermediate_size: 22_016,
    num_kv_heads: Some(32),
    vocab_size: 151_936,
    max_positions: 32_768,
    bos_token_id: None,
    eos_token_id: None,
    ..LLAMA
};

impl Architecture {
    /// With the `model_type` of each.
    const NAMES: [(&str, &str, Self); 6] = [
        ("LlamaForCausalLM", "llama", Self::Llama),
        ("MistralForCausalLM", "mistral", Self::Mistral),
        ("Phi3ForCausalLM", "phi3", Self::Phi3),
        ("Qwen2ForCausalLM", "qwen2", Self::Qwen2),
        ("Qwen3ForCausalLM", "qwen3", Self::Qwen3),
        ("SmolLM3ForCausalLM", "smollm3", Self::SmolLm3),
    ];

    /// By `model_type`, as in transformers. Where that is missing, by the first of `architectures`. If both are there, both
    /// must be known: `architectures` says whether the head of the model is one for text. It may be the model without its
    /// head, such as `LlamaModel`.
    pub(super) fn parse(config: &Keys) -> Result<Self> {
        let names = config.get("architectures").and_then(|value| value.as_array());
        let name = names.and_then(|names| names.first()).and_then(|name| name.as_str());
        let model_type = config.get("model_type").and_then(|value| value.as_str());
        let supported = |names: &[&str]| format!("supported are {}", names.join(", "));
        let classes = supported(&Self::NAMES.map(|(class, ..)| class));
        let by_class = name.map(|name| {
            let is_it = |(class, ..): &(&str, &str, Self)| {
                let without_head = class.strip_suffix("ForCausalLM").zip(name.strip_suffix("Model"));
                name == *class || without_head.is_some_and(|(class, name)| class == name)
            };
            Self::NAMES.into_iter().find(is_it).ok_or_else(|| match missing_features(name) {
                Some(missing) => config.refuse("architectures", &format!("not supported yet: {missing}; {classes}")),
                None => config.refuse("architectures", &classes),
            })
        });
        let by_type = model_type.map(|model_type| {
            let types = || supported(&Self::NAMES.map(|(_, known, _)| known));
            let found = Self::NAMES.into_iter().find(|(_, known, _)| *known == model_type);
            found.ok_or_else(|| config.refuse("model_type", &types()))
        });
        let (by_class, by_type) = (by_class.transpose()?, by_type.transpose()?);
        let (_, _, found) = by_type.or(by_class).ok_or_else(|| config.refuse("architectures", &classes))?;
        Ok(found)
    }

    pub(super) fn defaults(self) -> Defaults {
        match self {
            Self::Llama => LLAMA,
            Self::Mistral => {
                Defaults { intermediate_size: 14_336, num_kv_heads: Some(8), max_positions: 4096 * 32, ..LLAMA }
            }
            Self::Phi3 => Defaults {
                hidden_size: 3072,
                intermediate_size: 8192,
                vocab_size: 32_064,
                max_positions: 4096,
                rms_norm_eps: 1e-5,
                eos_token_id: Some(32_000),
                ..LLAMA
            },
            Self::Qwen2 => QWEN2,
            Self::Qwen3 => Defaults { head_dim: Some(128), ..QWEN2 },
            Self::SmolLm3 => Defaults {
                hidden_size: 2048,
                num_layers: 36,
                num_heads: 16,
                num_kv_heads: Some(4),
                vocab_size: 128_256,
                max_positions: 32_768,
                rope_theta: 2_000_000.0,
                tie_word_embeddings: true,
                bos_token_id: Some(128_000),
                eos_token_id: Some(128_001),
                ..LLAMA
            },
        }
    }

    /// `attention_bias`: a bias on q, k, v and o. Mistral, Phi-3 and Qwen2 do not know the key.
    pub(super) fn attention_bias(self, config: &Keys) -> Result<bool> {
        let asked = config.flag("attention_bias", false)?;
        Ok(asked && matches!(self, Self::Llama | Self::Qwen3 | Self::SmolLm3))
    }
}
