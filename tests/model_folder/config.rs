//! config.json and generation_config.json, in the forms of both generations of transformers.

use cb_lab::Result;
use cb_lab::model::layer_plan::{HeadNorms, LayerRope};
use cb_lab::model::{Architecture, ModelConfig, Projections, Reach, RopeScaling};
use serde_json::{Value, json};

use crate::{FIXTURES, assert_refused, fixture, folder_of};

/// A small Llama config with `changes` applied. Null is a value, which mostly means the same as no key.
pub fn config_with(changes: Value) -> Result<ModelConfig> {
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

fn windows_of(config: &ModelConfig) -> Vec<Option<usize>> {
    config.layers.iter().map(|layer| layer.attention().window).collect()
}

fn has_head_norms(config: &ModelConfig) -> bool {
    config.layers.iter().all(|layer| layer.attention().head_norms == HeadNorms::PerHead)
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
    assert_eq!(windows_of(&mistral), [Some(24); 3]);
    assert_eq!((mistral.bos_token_id, mistral.eos_token_ids.as_slice()), (Some(1), [2].as_slice()));

    let qwen3 = ModelConfig::open(&fixture("qwen3")).unwrap();
    assert!(has_head_norms(&qwen3) && qwen3.tie_word_embeddings && !qwen3.qkv_bias);
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
    let windows = |changes| windows_of(&config_with(changes).unwrap());
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
        (config.qkv_bias, config.o_bias, has_head_norms(&config))
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
        (json!({"architectures": null}), &["architectures is null", "Qwen3ForCausalLM"]),
        (json!({"architectures": [], "model_type": "bert"}), &["model_type is \"bert\"", "qwen3"]),
        (json!({"architectures": ["LlamaForSequenceClassification"], "model_type": "llama"}), &["SequenceClass"]),
        (json!({"rope_scaling": {"type": "yarn"}}), &["rope_scaling.factor is missing"]),
        (json!({"rope_scaling": {"type": "yarn", "factor": 2}, "rope_theta": 1}), &["rope_theta", "above 1"]),
        (json!({"rope_scaling": {"type": "longrope", "factor": 2}}), &["rope_scaling.type", "Phi3ForCausalLM alone"]),
        (json!({"rope_parameters": {"rope_type": "proportional"}}), &["rope_parameters.rope_type", "proportional"]),
        (json!({"rope_parameters": {"llama_4_scaling_beta": 0.1}}), &["llama_4_scaling_beta is 0.1", "position"]),
        (json!({"rope_parameters": {"mrope_section": [8, 4, 4]}}), &["mrope_section", "several dimensions"]),
        (json!({"rope_parameters": {"rope_type": "dynamic"}}), &["rope_parameters.rope_type", "dynamic"]),
        (json!({"rope_scaling": {"type": "linear"}}), &["rope_scaling.factor is missing"]),
        (json!({"rope_parameters": {"full_attention": {}}}), &["rope_parameters.full_attention", "kind of layer"]),
        (json!({"partial_rotary_factor": 0.5}), &["partial_rotary_factor is 0.5", "only 1"]),
        (json!({"rope_theta": 0}), &["rope_theta is 0"]),
        (json!({"hidden_act": "gelu"}), &["hidden_act", "gelu", "silu"]),
        (json!({"quantization_config": {"bits": 4}}), &["quantization_config", "bf16"]),
        (json!({"mlp_bias": true}), &["mlp_bias is true"]),
        (json!({"num_key_value_heads": 3}), &["num_key_value_heads is 3", "num_attention_heads, which is 4"]),
        (json!({"num_attention_heads": 7, "num_key_value_heads": 7}), &["num_attention_heads is 7", "hidden_size"]),
        (json!({"head_dim": 21}), &["head_dim is 21", "even numbers up to 256"]),
        (json!({"head_dim": 264}), &["head_dim is 264", "256"]),
        (json!({"hidden_size": 84}), &["hidden_size is 84", "heads are 21 wide"]),
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
fn phi3_in_both_forms() {
    let (short, long) = (json!([1.0, 1.5, 2.0, 2.5, 3.0, 3.5]), json!([2, 3, 4, 5, 6, 7]));
    let old = |kind: &str| {
        json!({
            "architectures": ["Phi3ForCausalLM"], "original_max_position_embeddings": 128, "partial_rotary_factor": 0.75,
            "rope_scaling": {"type": kind, "short_factor": short, "long_factor": long},
        })
    };
    let config = config_with(old("longrope")).unwrap();
    assert_eq!((config.architecture, config.projections), (Architecture::Phi3, Projections::Fused));
    assert_eq!((config.rope.rotary_dim, config.rope.longest_short()), (12, Some(128)));
    assert_eq!(windows_of(&config), [None; 4]);
    let RopeScaling::LongRope { attention_factor, .. } = config.rope.scaling else { panic!("not longrope") };
    // 512 positions are four times the original ones.
    assert_eq!(attention_factor, (1.0 + 4.0_f64.ln() / 128.0_f64.ln()).sqrt());
    // The first files called it otherwise.
    for kind in ["su", "yarn"] {
        assert_eq!(config_with(old(kind)).unwrap(), config, "{kind}");
    }
    let new = json!({
        "architectures": ["Phi3ForCausalLM"], "original_max_position_embeddings": 128, "rope_scaling": null,
        "rope_parameters": {
            "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75, "short_factor": short,
            "long_factor": long, "original_max_position_embeddings": 64,
        },
    });
    assert_eq!(config_with(new).unwrap(), config, "the key beside the object wins");
    let plain = config_with(json!({"architectures": ["Phi3ForCausalLM"], "sliding_window": 32})).unwrap();
    assert_eq!((plain.rope.rotary_dim, plain.rope.longest_short()), (16, None));
    assert_eq!(windows_of(&plain), [Some(32); 4]);

    let refused = |key: &str, value: Value, parts: &[&str]| {
        let mut config = old("longrope");
        match key.strip_prefix("rope_scaling.") {
            Some(key) => config["rope_scaling"][key] = value,
            None => config[key] = value,
        }
        assert_refused(config_with(config), parts);
    };
    refused("rope_scaling.short_factor", json!([1, 2]), &["rope_scaling.short_factor is [1,2]", "6 numbers"]);
    refused("rope_scaling.long_factor", Value::Null, &["rope_scaling.long_factor", "6 numbers"]);
    refused("rope_scaling.long_factor", json!([1, 2, 3, 4, 5, 0]), &["rope_scaling.long_factor", "above 0"]);
    refused("rope_scaling.type", json!("llama3"), &["rope_scaling.type", "longrope"]);
    refused("original_max_position_embeddings", json!(1), &["attention_factor is missing", "length is 1"]);
    refused("partial_rotary_factor", json!(0.7), &["partial_rotary_factor is 0.7", "11 of a head's 16 values"]);
    refused("partial_rotary_factor", json!(1.5), &["partial_rotary_factor is 1.5", "at most 1"]);
    refused("long_mscale", json!(1.2), &["long_mscale is 1.2", "longrope"]);
}

#[test]
fn smollm3_has_layers_without_rope() {
    let with = |more: Value| {
        let mut changes = json!({"architectures": ["SmolLM3ForCausalLM"], "rope_theta": null});
        for (key, value) in more.as_object().unwrap() {
            changes[key] = value.clone();
        }
        config_with(changes)
    };
    let has_rope = |more| -> Vec<bool> {
        let config = with(more).unwrap();
        config.layers.iter().map(|layer| layer.attention().rope == LayerRope::OfModel).collect()
    };
    assert_eq!(has_rope(json!({})), [true, true, true, false]);
    assert_eq!(has_rope(json!({"no_rope_layer_interval": 2})), [true, false, true, false]);
    let marks = json!({"no_rope_layers": [0, 1, 1, 0, 1], "no_rope_layer_interval": 2});
    assert_eq!(has_rope(marks), [false, true, true, false]);
    let config = with(json!({})).unwrap();
    assert_eq!((config.rope.theta, config.tie_word_embeddings, config.o_bias), (2e6, true, false));

    let sliding = json!({"use_sliding_window": true, "sliding_window": 32});
    assert_eq!(windows_of(&with(sliding).unwrap()), [None, None, None, Some(32)]);
    assert_eq!(windows_of(&with(json!({"sliding_window": 32})).unwrap()), [None; 4]);
    let (full, window) = ("full_attention", "sliding_attention");
    let kinds = json!({"use_sliding_window": true, "sliding_window": 32, "layer_types": [window, full, full, full]});
    assert_eq!(windows_of(&with(kinds).unwrap()), [Some(32), None, None, None]);

    assert_refused(with(json!({"no_rope_layers": [1, 0]})), &["no_rope_layers is [1,0]", "4 numbers"]);
    assert_refused(with(json!({"no_rope_layers": [1, 0, 2, 1]})), &["no_rope_layers", "4 numbers"]);
    assert_refused(with(json!({"no_rope_layer_interval": 0})), &["no_rope_layer_interval is 0"]);
}

#[test]
fn what_is_missing_is_named() {
    let by_key: &[(&str, Value, &str)] = &[
        ("text_config", json!({"hidden_size": 64}), "images"),
        ("num_experts", json!(8), "mixtures of experts"),
        ("num_local_experts", json!(8), "mixtures of experts"),
        ("kv_lora_rank", json!(512), "latent attention"),
        ("conv_L_cache", json!(3), "short convolutions"),
        ("linear_num_value_heads", json!(16), "delta nets"),
        ("final_logit_softcapping", json!(30.0), "softcapping"),
        ("query_pre_attn_scalar", json!(256), "attention scale"),
        ("attention_multiplier", json!(0.5), "attention scale"),
        ("embedding_multiplier", json!(12.0), "embeddings that are scaled"),
        ("residual_multiplier", json!(0.22), "residual stream"),
        ("logits_scaling", json!(8), "logits that are scaled"),
        ("rope_local_base_freq", json!(1e4), "kind of layer"),
        ("num_kv_shared_layers", json!(10), "share their K and V"),
        ("use_post_norm", json!(true), "norms after a block are not supported"),
        ("attn_output_gate", json!(true), "gate on the output"),
        ("hidden_activation", json!("gelu_pytorch_tanh"), "only silu"),
    ];
    for (key, value, missing) in by_key {
        assert_refused(config_with(json!({*key: value.clone()})), &["config.json", key, missing]);
        config_with(json!({*key: null})).unwrap();
    }
    // What asks for nothing is no reason to refuse.
    config_with(json!({"num_experts": 0, "embedding_multiplier": 1.0, "attn_output_gate": false})).unwrap();

    let by_architecture = [
        ("Olmo2ForCausalLM", "norms after a block"),
        ("Gemma3ForCausalLM", "norms after a block"),
        ("Glm4ForCausalLM", "norms after a block"),
        ("GptOssForCausalLM", "attention sinks"),
        ("Qwen3MoeForCausalLM", "mixtures of experts"),
        ("Qwen3_5ForCausalLM", "gated delta nets"),
        ("MambaForCausalLM", "state space"),
    ];
    for (architecture, missing) in by_architecture {
        let refused = config_with(json!({"architectures": [architecture]}));
        assert_refused(refused, &["architectures", architecture, missing, "Phi3ForCausalLM"]);
    }
}

/// Nothing in a config.json may take the process down, or much memory.
#[test]
fn hostile_numbers_and_nesting_are_refused() {
    let parse = |json: &str| {
        let (_directory, folder) = folder_of(&[("config.json", json.as_bytes())]);
        ModelConfig::open(&folder)
    };
    let deep = format!(r#"{{"rope_scaling": {}1{}}}"#, r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    assert_refused(parse(&deep), &["config.json", "not JSON", "recursion limit"]);
    assert_refused(parse(&"[".repeat(100_000)), &["config.json", "not a JSON object"]);
    assert_refused(parse(r#"{"rope_theta": 1e999}"#), &["config.json", "not JSON", "out of range"]);
    for (key, value) in [
        ("hidden_size", json!(u64::MAX)),
        ("num_hidden_layers", json!(1_000_000_000)),
        ("vocab_size", json!(u64::MAX)),
        ("head_dim", json!(u64::MAX)),
        ("max_position_embeddings", json!(u64::MAX)),
        ("rms_norm_eps", json!(-1e308)),
        ("num_attention_heads", json!(1e308)),
    ] {
        assert_refused(config_with(json!({key: value})), &["config.json", key]);
    }
    let mistral = json!({"architectures": ["MistralForCausalLM"], "sliding_window": u64::MAX});
    assert_refused(config_with(mistral), &["config.json", "sliding_window"]);
    let long_text = "x".repeat(1 << 20);
    let message = config_with(json!({"hidden_act": long_text})).unwrap_err().to_string();
    assert!(message.len() < 500, "a long value is cut");
    // The smallest and largest numbers that rope takes give numbers, if useless ones.
    for theta in [f64::MIN_POSITIVE, f64::MAX] {
        for scaling in
            [json!(null), json!({"type": "yarn", "factor": 1e300}), json!({"type": "linear", "factor": 1e-300})]
        {
            if let Ok(config) = config_with(json!({"rope_theta": theta, "rope_scaling": scaling})) {
                assert_eq!(config.rope.inv_freq(Reach::Short).len(), 8);
            }
        }
    }
}

#[test]
fn what_is_no_config_is_refused() {
    let parse = |json: &[u8]| {
        let (_directory, folder) = folder_of(&[("config.json", json)]);
        ModelConfig::open(&folder)
    };
    assert_refused(parse(b"{\"hidden_size\": "), &["config.json", "not JSON"]);
    assert_refused(parse(b"5"), &["config.json", "not a JSON object"]);
    // What is found in the place of a file.
    let found: [(&[u8], &str); 6] = [
        (b" \n", "it is empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\0}\0", "UTF-16"),
        (b"\n<!DOCTYPE html><html></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"PK\x03\x04", "ZIP archive"),
    ];
    for (json, reason) in found {
        assert_refused(parse(json), &["config.json", reason]);
    }
    assert_refused(parse(b"[1]"), &["config.json", "not a JSON object"]);
    let (_directory, empty) = folder_of(&[]);
    assert_refused(ModelConfig::open(&empty), &["config.json", "cannot read"]);
}
