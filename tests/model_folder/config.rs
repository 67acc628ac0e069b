//! config.json and generation_config.json, in the forms of both generations of transformers.

use cb_lab::Result;
use cb_lab::model::{Architecture, ModelConfig, RopeScaling};
use serde_json::{Value, json};

use crate::{FIXTURES, assert_refused, fixture, folder_of};

/// A small Llama config with `changes` applied. Null is a value, which mostly means the same as no key.
fn config_with(changes: Value) -> Result<ModelConfig> {
    let mut config = json!({
        "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 512, "hidden_act": "silu", "rope_theta": 10000.0,
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    let (_directory, folder) = folder_of(&[("config.json", config.to_string().as_bytes())]);
    ModelConfig::open(&folder)
}

fn scaling(changes: Value) -> RopeScaling {
    config_with(changes).unwrap().rope.scaling
}

#[test]
fn fixtures() {
    for name in FIXTURES {
        ModelConfig::open(&fixture(name)).unwrap();
    }
    let mistral = ModelConfig::open(&fixture("mistral")).unwrap();
    assert_eq!(mistral.architecture, Architecture::Mistral);
    assert_eq!((mistral.num_heads, mistral.num_kv_heads, mistral.head_dim), (6, 2, 16));
    assert_eq!(mistral.windows, [Some(24); 3]);
    assert_eq!((mistral.bos_token_id, mistral.eos_token_ids.as_slice()), (Some(1), [2].as_slice()));

    let qwen3 = ModelConfig::open(&fixture("qwen3")).unwrap();
    assert!(qwen3.qk_norm && qwen3.tie_word_embeddings && !qwen3.qkv_bias);
    assert_eq!((qwen3.head_dim, qwen3.rope.theta), (64, 1e6));
    assert_eq!((qwen3.bos_token_id, qwen3.eos_token_ids.as_slice()), (None, [397, 395].as_slice()));
}

#[test]
fn head_dim_and_num_kv_heads_are_derived_where_they_are_missing() {
    let config = config_with(json!({"num_key_value_heads": null})).unwrap();
    assert_eq!((config.head_dim, config.num_kv_heads), (16, 4));
    assert_eq!(config_with(json!({"head_dim": 32})).unwrap().head_dim, 32);
}

#[test]
fn rope_in_all_its_forms() {
    let llama3 = json!({
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
    });
    let with = |key: &str, value: &str| {
        let mut object = llama3.clone();
        object[key] = value.into();
        object
    };
    let expected = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 64,
    };
    assert_eq!(scaling(json!({"rope_scaling": with("type", "llama3")})), expected);
    assert_eq!(scaling(json!({"rope_scaling": with("rope_type", "llama3")})), expected);
    assert_eq!(scaling(json!({"rope_parameters": with("rope_type", "llama3")})), expected);
    assert_eq!(scaling(json!({"rope_scaling": {"type": "linear", "factor": 2}})), RopeScaling::Linear { factor: 2.0 });
    assert_eq!(scaling(json!({"rope_scaling": null, "rope_parameters": {}})), RopeScaling::None);

    // Inside and beside the object: as in `standardize_rope_params` of transformers 5.23.
    let beside = json!({"rope_scaling": with("type", "llama3"), "original_max_position_embeddings": 32});
    let RopeScaling::Llama3 { original_max_position_embeddings, .. } = scaling(beside) else { panic!("not llama3") };
    assert_eq!(original_max_position_embeddings, 32);

    let theta = |changes| config_with(changes).unwrap().rope.theta;
    assert_eq!(theta(json!({"rope_theta": null})), 10_000.0);
    assert_eq!(theta(json!({"rope_theta": 500000})), 500_000.0);
    assert_eq!(theta(json!({"rope_parameters": {"rope_theta": 7.0, "rope_type": "default"}})), 7.0);
    let both = json!({"rope_scaling": {"rope_theta": 8.0}, "rope_parameters": {"rope_theta": 7.0}, "rope_theta": 9.0});
    assert_eq!(theta(both), 8.0);
}

#[test]
fn sliding_windows() {
    let windows = |changes| {
        let config = config_with(changes).unwrap();
        let windows: Vec<_> = (0..config.num_layers).map(|layer| config.window(layer)).collect();
        windows
    };
    let mistral = |window: Value| json!({"architectures": ["MistralForCausalLM"], "sliding_window": window});
    assert_eq!(windows(mistral(json!(32))), [Some(32); 4]);
    assert_eq!(windows(mistral(json!(null))), [None; 4]);
    assert_eq!(windows(json!({"architectures": ["MistralForCausalLM"]})), [Some(4096); 4]);
    assert_eq!(windows(json!({"sliding_window": 32})), [None; 4], "Llama does not know the key");

    let qwen = |on: bool| {
        json!({
            "architectures": ["Qwen2ForCausalLM"], "sliding_window": 32, "use_sliding_window": on,
            "max_window_layers": 3,
        })
    };
    assert_eq!(windows(qwen(false)), [None; 4]);
    assert_eq!(windows(qwen(true)), [None, None, None, Some(32)]);
    let mut by_type = qwen(true);
    let (full, sliding) = ("full_attention", "sliding_attention");
    by_type["layer_types"] = json!([sliding, full, sliding, full]);
    assert_eq!(windows(by_type.clone()), [Some(32), None, Some(32), None]);

    by_type["use_sliding_window"] = json!(false);
    assert_refused(config_with(by_type.clone()), &["layer_types", "use_sliding_window"]);
    by_type["layer_types"] = json!([full]);
    assert_refused(config_with(by_type.clone()), &["layer_types", "4 texts"]);
    by_type["layer_types"] = json!([full, full, full, "linear_attention"]);
    assert_refused(config_with(by_type), &["layer_types", "linear_attention"]);
}

#[test]
fn biases_and_norms_by_architecture() {
    let flags = |architecture: &str, asked: bool| {
        let config = config_with(json!({"architectures": [architecture], "attention_bias": asked})).unwrap();
        (config.qkv_bias, config.o_bias, config.qk_norm)
    };
    assert_eq!(flags("LlamaForCausalLM", false), (false, false, false));
    assert_eq!(flags("LlamaForCausalLM", true), (true, true, false));
    assert_eq!(flags("MistralForCausalLM", true), (false, false, false));
    assert_eq!(flags("Qwen2ForCausalLM", false), (true, false, false));
    assert_eq!(flags("Qwen2ForCausalLM", true), (true, false, false));
    assert_eq!(flags("Qwen3ForCausalLM", true), (true, true, true));
}

#[test]
fn the_end_of_a_sequence() {
    let eos = |config: Value, generation: Option<Value>| {
        let mut config = config;
        for (key, value) in [("hidden_size", 64), ("num_attention_heads", 4), ("num_key_value_heads", 4)] {
            config[key] = value.into();
        }
        let (config, generation) = (config.to_string(), generation.map(|generation| generation.to_string()));
        let mut files = vec![("config.json", config.as_bytes())];
        files.extend(generation.as_ref().map(|json| ("generation_config.json", json.as_bytes())));
        let (_directory, folder) = folder_of(&files);
        ModelConfig::open(&folder).map(|config| config.eos_token_ids)
    };
    let llama = json!({"architectures": ["LlamaForCausalLM"], "eos_token_id": 7});
    assert_eq!(eos(llama.clone(), None).unwrap(), [7]);
    assert_eq!(eos(llama.clone(), Some(json!({}))).unwrap(), [7]);
    assert_eq!(eos(llama.clone(), Some(json!({"eos_token_id": [8, 9]}))).unwrap(), [8, 9]);
    assert_eq!(eos(json!({"architectures": ["LlamaForCausalLM"]}), None).unwrap(), [2]);
    assert_eq!(eos(json!({"architectures": ["LlamaForCausalLM"], "eos_token_id": null}), None).unwrap(), [0; 0]);
    assert_eq!(eos(json!({"architectures": ["Qwen2ForCausalLM"]}), None).unwrap(), [0; 0]);
    assert_refused(eos(llama, Some(json!({"eos_token_id": -1}))), &["generation_config.json", "eos_token_id is -1"]);
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    let cases: &[(Value, &[&str])] = &[
        (json!({"architectures": ["GPT2LMHeadModel"]}), &["architectures", "GPT2LMHeadModel", "LlamaForCausalLM"]),
        (json!({"architectures": null}), &["architectures", "Qwen3ForCausalLM"]),
        (json!({"rope_scaling": {"type": "yarn", "factor": 2}}), &["rope_scaling.type", "yarn", "llama3"]),
        (json!({"rope_parameters": {"rope_type": "dynamic"}}), &["rope_parameters.rope_type", "dynamic"]),
        (json!({"rope_scaling": {"type": "linear"}}), &["rope_scaling.factor is missing"]),
        (json!({"rope_parameters": {"full_attention": {}}}), &["rope_parameters.full_attention", "kind of layer"]),
        (json!({"partial_rotary_factor": 0.5}), &["partial_rotary_factor is 0.5"]),
        (json!({"rope_theta": 0}), &["rope_theta is 0"]),
        (json!({"hidden_act": "gelu"}), &["hidden_act", "gelu", "silu"]),
        (json!({"quantization_config": {"bits": 4}}), &["quantization_config", "bf16"]),
        (json!({"mlp_bias": true}), &["mlp_bias is true"]),
        (json!({"num_key_value_heads": 3}), &["num_key_value_heads is 3", "num_attention_heads, which is 4"]),
        (json!({"num_attention_heads": 7, "num_key_value_heads": 7}), &["num_attention_heads is 7", "hidden_size"]),
        (json!({"head_dim": 20}), &["head_dim is 20", "multiples of 8"]),
        (json!({"head_dim": 264}), &["head_dim is 264", "256"]),
        (json!({"hidden_size": 80}), &["hidden_size is 80", "heads are 20 wide"]),
        (json!({"hidden_size": 62, "head_dim": 16}), &["hidden_size is 62", "multiple of 4"]),
        (json!({"intermediate_size": 130}), &["intermediate_size is 130", "multiple of 4"]),
        (json!({"num_hidden_layers": 0}), &["num_hidden_layers is 0", "from 1"]),
        (json!({"vocab_size": -5}), &["vocab_size is -5", "from 1"]),
        (json!({"vocab_size": 1e12}), &["vocab_size is 1000000000000"]),
        (json!({"hidden_size": "64"}), &["hidden_size is \"64\""]),
        (json!({"tie_word_embeddings": 1}), &["tie_word_embeddings is 1", "true or false"]),
        (json!({"rms_norm_eps": 0}), &["rms_norm_eps is 0"]),
    ];
    for (changes, parts) in cases {
        let with_file: Vec<&str> = parts.iter().copied().chain(["config.json"]).collect();
        assert_refused(config_with(changes.clone()), &with_file);
    }
}

#[test]
fn what_is_no_config_is_refused() {
    let parse = |json: &[u8]| {
        let (_directory, folder) = folder_of(&[("config.json", json)]);
        ModelConfig::open(&folder)
    };
    assert_refused(parse(b""), &["config.json", "not JSON"]);
    assert_refused(parse(b"{\"hidden_size\": "), &["config.json", "not JSON"]);
    assert_refused(parse(b"[1]"), &["config.json", "not a JSON object"]);
    let (_directory, empty) = folder_of(&[]);
    assert_refused(ModelConfig::open(&empty), &["config.json", "cannot read"]);
}
