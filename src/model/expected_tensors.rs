//! The names and shapes of a model's weights, as Llama, Mistral and Qwen checkpoints have them.

use super::config::ModelConfig;
use crate::error::Result;
use crate::files::WeightFiles;

/// The name of a layer's tensor: `layer_tensor(3, "mlp.up_proj.weight")` is `model.layers.3.mlp.up_proj.weight`.
pub fn layer_tensor(layer: usize, rest: &str) -> String {
    format!("{LAYERS}{layer}.{rest}")
}

/// The name of the embedding table.
pub const EMBED_TOKENS: &str = "model.embed_tokens.weight";

/// What the names of all tensors of layers begin with.
pub const LAYERS: &str = "model.layers.";

/// Every tensor the forward pass reads, with its shape. A matrix is `[out_features, in_features]`.
pub fn expected_tensors(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let &ModelConfig { hidden_size, vocab_size, num_layers, .. } = config;
    let mut tensors = vec![(EMBED_TOKENS.to_owned(), vec![vocab_size, hidden_size])];
    for layer in 0..num_layers {
        tensors.extend(layer_tensors(config).into_iter().map(|(rest, shape)| (layer_tensor(layer, &rest), shape)));
    }
    tensors.push(("model.norm.weight".to_owned(), vec![hidden_size]));
    if !config.tie_word_embeddings {
        tensors.push(("lm_head.weight".to_owned(), vec![vocab_size, hidden_size]));
    }
    tensors
}

/// Checks every tensor the forward pass will read. Call it before any device memory is taken.
///
/// # Errors
/// As [`WeightFiles::check`], for the first tensor that is wrong.
pub fn check_all(files: &WeightFiles, config: &ModelConfig) -> Result<()> {
    expected_tensors(config).iter().try_for_each(|(name, shape)| files.check(name, shape))
}

/// The tensors of one layer, named without `model.layers.N.`.
fn layer_tensors(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let &ModelConfig { hidden_size, intermediate_size, head_dim, .. } = config;
    let q_width = config.num_heads * head_dim;
    let kv_width = config.num_kv_heads * head_dim;

    let mut tensors = vec![("input_layernorm.weight".to_owned(), vec![hidden_size])];
    let projections = [
        ("q_proj", q_width, hidden_size, config.qkv_bias),
        ("k_proj", kv_width, hidden_size, config.qkv_bias),
        ("v_proj", kv_width, hidden_size, config.qkv_bias),
        ("o_proj", hidden_size, q_width, config.o_bias),
    ];
    for (name, out_features, in_features, has_bias) in projections {
        tensors.push((format!("self_attn.{name}.weight"), vec![out_features, in_features]));
        if has_bias {
            tensors.push((format!("self_attn.{name}.bias"), vec![out_features]));
        }
    }
    if config.qk_norm {
        tensors.push(("self_attn.q_norm.weight".to_owned(), vec![head_dim]));
        tensors.push(("self_attn.k_norm.weight".to_owned(), vec![head_dim]));
    }
    tensors.push(("post_attention_layernorm.weight".to_owned(), vec![hidden_size]));
    tensors.push(("mlp.gate_proj.weight".to_owned(), vec![intermediate_size, hidden_size]));
    tensors.push(("mlp.up_proj.weight".to_owned(), vec![intermediate_size, hidden_size]));
    tensors.push(("mlp.down_proj.weight".to_owned(), vec![hidden_size, intermediate_size]));
    tensors
}
