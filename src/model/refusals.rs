//! Features that a config.json can ask for and that are missing here. Each is refused by its name: to ignore it would
//! silently change the mathematics.

use serde_json::Value;

use super::config_keys::Keys;
use crate::error::Result;

/// Keys that ask for a feature unless they are null, false, 0 or empty; and the feature.
const KEYS: [(&str, &str); 42] = [
    ("quantization_config", "quantized checkpoints are not supported, use one in f32, f16 or bf16"),
    ("text_config", "models that also take images or sound are not supported: their config is nested"),
    ("num_experts", MOE),
    ("num_local_experts", MOE),
    ("n_routed_experts", MOE),
    ("moe_intermediate_size", MOE),
    ("enable_moe_block", MOE),
    ("kv_lora_rank", "multi-head latent attention is not supported"),
    ("linear_num_value_heads", "gated delta nets are not supported"),
    ("conv_L_cache", "short convolutions are not supported"),
    ("mamba_d_state", STATE_SPACE),
    ("ssm_state_size", STATE_SPACE),
    ("attn_logit_softcapping", SOFTCAP),
    ("final_logit_softcapping", SOFTCAP),
    ("use_post_norm", "norms after a block are not supported"),
    ("use_qk_norm", QK_NORM),
    ("qk_layernorm", QK_NORM),
    ("qk_norm", QK_NORM),
    ("query_pre_attn_scalar", "an attention scale other than 1 / sqrt(head_dim) is not supported"),
    ("layer_rope_theta", ROPE_BY_LAYER),
    ("rope_local_base_freq", ROPE_BY_LAYER),
    MROPE_SECTION,
    ("rope_interleaved", "rope of neighbouring pairs is not supported"),
    ("short_mscale", LONGROPE_SCALES),
    ("long_mscale", LONGROPE_SCALES),
    ("num_kv_shared_layers", "layers that share their K and V are not supported"),
    ("attention_k_eq_v", "layers whose V is their K are not supported"),
    ("num_global_key_value_heads", "KV heads that differ by layer are not supported"),
    ("global_head_dim", "heads that differ by layer are not supported"),
    ("per_layer_config", "a config of its own for each layer is not supported"),
    ("hidden_size_per_layer_input", "embeddings of each layer are not supported"),
    ("block_auto_adjust_ff_dim", "short convolutions are not supported"),
    ("swiglu_limit", "a clamped gate is not supported"),
    ("mlp_bias", "only an MLP without bias is supported"),
    ("use_bias", "a bias in every projection is not supported"),
    ("attention_out_bias", "a bias of o_proj alone is not supported"),
    ("attention_sink", SINKS),
    ("attention_sinks", SINKS),
    ("use_sinks", SINKS),
    ("attn_output_gate", GATE),
    ("use_attention_gate", GATE),
    ("alibi", "attention biases by distance (ALiBi) are not supported"),
];
const MOE: &str = "mixtures of experts are not supported";
const STATE_SPACE: &str = "state space layers are not supported";
const SOFTCAP: &str = "softcapping is not supported";
const QK_NORM: &str = "a norm of Q and K is supported for Qwen3ForCausalLM alone";
pub(super) const ROPE_BY_LAYER: &str = "rope that differs by kind of layer is not supported";
/// Beside the parameters of rope or among them.
pub(super) const MROPE_SECTION: (&str, &str) = ("mrope_section", "positions in several dimensions are not supported");
const LONGROPE_SCALES: &str = "longrope with a scale for each of its tables is not supported";
const SINKS: &str = "attention sinks are not supported";
const GATE: &str = "a gate on the output of attention is not supported";

/// Keys of numbers that something is multiplied by, where 1 asks for nothing.
const MULTIPLIERS: [(&str, &str); 9] = [
    ("embedding_multiplier", "embeddings that are scaled are not supported"),
    ("scale_emb", "embeddings that are scaled are not supported"),
    ("residual_multiplier", "a residual stream that is scaled is not supported"),
    ("scale_depth", "a residual stream that is scaled is not supported"),
    ("attention_multiplier", "an attention scale other than 1 / sqrt(head_dim) is not supported"),
    ("logits_scaling", "logits that are scaled are not supported"),
    ("logit_scale", "logits that are scaled are not supported"),
    ("output_multiplier", "logits that are scaled are not supported"),
    ("qk_scale_factor", "an attention scale other than 1 / sqrt(head_dim) is not supported"),
];

/// Architectures by how their names begin, and what is missing for them that no key of their config.json shows. The first
/// that fits counts.
const ARCHITECTURES: [(&str, &str); 37] = [
    ("Gemma3n", "norms after a block, embeddings of each layer"),
    ("Gemma4", "norms after a block, layers that share their K and V"),
    ("Gemma2", "norms after a block, norm gains of 1 + weight, softcapping"),
    ("Gemma3", "norms after a block, norm gains of 1 + weight"),
    ("Gemma", "norm gains of 1 + weight, a gelu gate"),
    ("Olmo2", "norms after a block, a norm of Q and K over all heads"),
    ("Olmo3", "norms after a block, a norm of Q and K over all heads"),
    ("OlmoHybrid", "gated delta nets"),
    ("Olmoe", "mixtures of experts"),
    ("Exaone4", "norms after a block"),
    ("Glm4Moe", "mixtures of experts"),
    ("Glm4", "norms after a block, rope of neighbouring pairs"),
    ("Glm", "rope of neighbouring pairs"),
    ("Ernie4_5", "rope of neighbouring pairs"),
    ("Helium", "rope of neighbouring pairs"),
    ("Cohere", "attention and MLP side by side, rope of neighbouring pairs"),
    ("GraniteMoe", "mixtures of experts"),
    ("Granite", "embeddings, residuals and logits that are scaled"),
    ("HunYuan", "a norm of Q and K after rope"),
    ("NanoChat", "norms without a gain, a norm of Q and K after rope"),
    ("SeedOss", "a bias of q, k and v without one of o"),
    ("Arcee", "an MLP without a gate"),
    ("Nemotron", "an MLP without a gate"),
    ("Ministral3", "queries that are scaled by their position"),
    ("Mistral3", "models that also take images"),
    ("Mistral4", "multi-head latent attention, mixtures of experts"),
    ("Llama4", "mixtures of experts, rope of neighbouring pairs"),
    ("GptOss", "mixtures of experts, attention sinks"),
    ("Mixtral", "mixtures of experts"),
    ("Qwen2Moe", "mixtures of experts"),
    ("Qwen3Moe", "mixtures of experts"),
    ("Qwen3Next", "gated delta nets, mixtures of experts"),
    ("Qwen3_", "gated delta nets"),
    ("Deepseek", "multi-head latent attention, mixtures of experts"),
    ("Lfm2", "short convolutions"),
    ("FalconH1", STATE_SPACE_LAYERS),
    ("Mamba", STATE_SPACE_LAYERS),
];
const STATE_SPACE_LAYERS: &str = "state space layers";

/// What is missing for an architecture, as far as anybody has looked.
pub(super) fn missing_features(architecture: &str) -> Option<&'static str> {
    ARCHITECTURES.iter().find(|(name, _)| architecture.starts_with(name)).map(|(_, missing)| *missing)
}

/// Refuses a config that shows missing features: all of them, each by the first key that asks for it.
pub(super) fn refuse_missing(config: &Keys) -> Result<()> {
    let features = KEYS.into_iter().filter(|(key, _)| config.get(key).is_some_and(|value| !asks_for_nothing(value)));
    let is_factor = |key| config.get(key).is_some_and(|value| value.as_f64() != Some(1.0));
    let multipliers = MULTIPLIERS.into_iter().filter(|(key, _)| is_factor(key));
    let mut asked: Vec<(&str, &str)> = Vec::new();
    for (key, missing) in features.chain(multipliers) {
        if asked.iter().all(|(_, other)| *other != missing) {
            asked.push((key, missing));
        }
    }
    for key in ["hidden_act", "hidden_activation"] {
        if config.text(key)?.is_some_and(|name| name != "silu" && name != "swish") {
            asked.push((key, "only silu is supported"));
        }
    }
    match asked.is_empty() {
        true => Ok(()),
        false => Err(config.join(asked.into_iter().map(|(key, missing)| config.refuse(key, missing)).collect())),
    }
}

fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(values) => values.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) | Value::String(_) => false,
    }
}
