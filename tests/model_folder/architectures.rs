//! Which architecture a config.json means, and what it asks for that is not there.

use crate::assert_refused;
use crate::config::config_with;
use cb_lab::model::Architecture;
use serde_json::json;

/// Kernels take widths that are multiples of 8.
#[test]
fn heads_of_any_even_width_are_made_wider() {
    for (stored, head_dim) in [(2, 8), (20, 24), (26, 32), (100, 104), (250, 256), (256, 256)] {
        let config = config_with(json!({"head_dim": stored})).unwrap();
        assert_eq!((config.stored_head_dim, config.head_dim, config.rope.rotary_dim), (stored, head_dim, stored));
        assert_eq!(config.layers[0].attention().scale, 1.0 / (stored as f32).sqrt());
    }
}

#[test]
fn the_architecture_by_all_its_names() {
    let known = [
        ("Llama", "llama", Architecture::Llama),
        ("Mistral", "mistral", Architecture::Mistral),
        ("Phi3", "phi3", Architecture::Phi3),
        ("Qwen2", "qwen2", Architecture::Qwen2),
        ("Qwen3", "qwen3", Architecture::Qwen3),
        ("SmolLM3", "smollm3", Architecture::SmolLm3),
    ];
    for (class, model_type, architecture) in known {
        for names in [json!([format!("{class}ForCausalLM")]), json!([format!("{class}Model")]), json!([]), json!(null)]
        {
            let config = config_with(json!({"architectures": names, "model_type": model_type}));
            assert_eq!(config.unwrap().architecture, architecture, "{names}");
        }
    }
}

/// As in transformers. Which head a model has, `architectures` alone says.
#[test]
fn model_type_outweighs_architectures() {
    let config = |class: &str, model_type: &str| {
        config_with(json!({"architectures": [class], "model_type": model_type, "sliding_window": 32}))
    };
    let mistral = config("LlamaForCausalLM", "mistral").unwrap();
    assert_eq!((mistral.architecture, mistral.layers[0].attention().window), (Architecture::Mistral, Some(32)));
    let llama = config("MistralForCausalLM", "llama").unwrap();
    assert_eq!((llama.architecture, llama.layers[0].attention().window), (Architecture::Llama, None));
    assert_refused(config("LlamaForCausalLM", "llava"), &["model_type is \"llava\"", "llama, mistral"]);
    assert_refused(config("LlamaForSequenceClassification", "llama"), &["architectures", "SequenceClassification"]);
}

#[test]
fn a_window_that_no_layer_uses_does_not_matter() {
    for changes in
        [json!({}), json!({"architectures": ["Qwen2ForCausalLM"]}), json!({"architectures": ["SmolLM3ForCausalLM"]})]
    {
        let mut changes = changes;
        changes["sliding_window"] = 0.into();
        changes["pad_token_id"] = 0.into();
        let config = config_with(changes).unwrap();
        assert!(config.layers.iter().all(|layer| layer.attention().window.is_none()));
    }
    let used = json!({"architectures": ["Qwen2ForCausalLM"], "sliding_window": 0, "use_sliding_window": true});
    assert_refused(config_with(used), &["sliding_window is 0"]);
}

#[test]
fn all_that_is_missing_is_named() {
    let many = json!({
        "architectures": ["GptOssForCausalLM"], "num_experts": 4, "moe_intermediate_size": 8, "attention_sink": true,
        "logit_scale": 0.5, "hidden_act": "gelu",
    });
    let parts = ["GptOssForCausalLM", "num_experts is 4", "attention_sink is true", "logit_scale is 0.5", "only silu"];
    assert_refused(config_with(many.clone()), &parts);
    let message = config_with(many).unwrap_err().to_string();
    assert_eq!(message.matches("mixtures of experts are not").count(), 1, "{message}");
}
