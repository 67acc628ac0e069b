//! Rope frequencies and tables against the numbers that transformers' models compute in f32 for the same config.json:
//! rope.json, which tools/fixtures writes.

use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::model::layer_plan::LayerRope;
use cb_lab::model::rope_table::RopeTable;
use cb_lab::model::{ModelConfig, Reach};
use serde_json::Value;

use crate::folder_of;

/// One unit in the last place: the power function may round the other way. Yarn adds two of them up.
const INV_FREQ_RTOL: f32 = 2.4e-7;
/// Cosines and sines up to position 1000, where such a unit would be an angle of up to 6e-5. None is off in these spots.
const TABLE_ATOL: f32 = 2e-6;

fn config_of(case: &Value) -> ModelConfig {
    let (_directory, folder) = folder_of(&[("config.json", case["config"].to_string().as_bytes())]);
    ModelConfig::open(&folder).unwrap()
}

fn number(value: &Value) -> f32 {
    value.as_f64().unwrap() as f32
}

#[test]
fn frequencies_and_tables_are_those_of_the_reference() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("rope.json")).unwrap();
    assert!(cases.len() >= 20, "rope.json has {} cases", cases.len());
    for case in &cases {
        let name = format!("{}, {}", case["name"], case["reach"]);
        let config = config_of(case);
        let reach = if case["reach"] == "long" { Reach::Long } else { Reach::Short };
        let inv_freq = config.rope.inv_freq(reach);
        let expected: Vec<f32> = case["inv_freq"].as_array().unwrap().iter().map(number).collect();
        assert_eq!(inv_freq.len(), expected.len(), "{name}");
        for (pair, (ours, expected)) in inv_freq.iter().zip(expected).enumerate() {
            let error = (ours - expected).abs();
            assert!(error <= expected * INV_FREQ_RTOL, "{name}: pair {pair} is {ours}, not {expected}");
        }

        let (max_model_len, half) = (1000, config.head_dim / 2);
        let table = RopeTable::new(&config, max_model_len);
        let values = table.values();
        assert_eq!(values.len(), table.words(), "{name}");
        // Long sequences have rows of their own, behind those of short ones.
        let longest_short = config.rope.longest_short().filter(|_| reach == Reach::Long);
        for spot in case["spots"].as_array().unwrap() {
            let [position, pair] = [0, 1].map(|i| spot[i].as_u64().unwrap() as usize);
            let row = &values[(longest_short.unwrap_or(0) + position) * config.head_dim..][..config.head_dim];
            for (what, ours, expected) in [("cos", row[pair], &spot[2]), ("sin", row[half + pair], &spot[3])] {
                let is_close = (ours - number(expected)).abs() <= TABLE_ATOL;
                assert!(is_close, "{name}: {what} at {position}, {pair} is {ours}, not {expected}");
            }
            // What does not turn is not scaled either.
            let turning = config.rope.rotary_dim / 2;
            assert!(row[turning..half].iter().all(|&cos| cos == 1.0), "{name}");
            assert!(row[half + turning..].iter().all(|&sin| sin == 0.0), "{name}");
        }
    }
}

/// Two sequences of the chunk sizes 2 and 1, of which so many tokens are known.
fn rows(config: &ModelConfig, max_model_len: usize, num_known: [u32; 2]) -> [Vec<u32>; 2] {
    let batch = RaggedBatch {
        positions: vec![3, 4, 7],
        cu_seqlens_q: vec![0, 2, 3],
        context_lens: vec![3, 7],
        num_known: num_known.into(),
        ..RaggedBatch::default()
    };
    let mut metadata = cb_lab::backend::attention_metadata::AttentionMetadata::default();
    metadata.words = vec![99, 3, 4, 7];
    metadata.positions = 1;
    let rows = RopeTable::new(config, max_model_len).pack(&batch, &mut metadata);
    [LayerRope::OfModel, LayerRope::None]
        .map(|rope| metadata.words[rows.of(rope) as usize..].iter().copied().take(3).collect())
}

#[test]
fn a_row_has_the_angles_of_the_whole_sequence() {
    let longrope = serde_json::json!({
        "architectures": ["Phi3ForCausalLM"], "hidden_size": 32, "num_attention_heads": 4,
        "original_max_position_embeddings": 8, "max_position_embeddings": 64,
        "rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [2, 2, 2, 2]},
    });
    let config = config_of(&serde_json::json!({"config": longrope}));
    // Eight rows for short sequences, then those for long ones.
    assert_eq!(rows(&config, 64, [8, 8])[0], [3, 4, 7]);
    assert_eq!(rows(&config, 64, [9, 8])[0], [11, 12, 7], "a chunk of a long prompt");
    assert_eq!(rows(&config, 64, [5, 9])[0], [3, 4, 15]);
    assert_eq!(RopeTable::new(&config, 64).words(), 8 * (8 + 64));
    assert_eq!(RopeTable::new(&config, 8).words(), 8 * 8, "nobody gets so long");
    assert_eq!(RopeTable::new(&config, 6).words(), 8 * 6);
}

#[test]
fn layers_without_rope_read_a_row_of_angles_of_0() {
    let smollm3 = serde_json::json!({
        "architectures": ["SmolLM3ForCausalLM"], "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 4,
    });
    let config = config_of(&serde_json::json!({"config": smollm3}));
    assert_eq!(rows(&config, 64, [5, 8]), [[3, 4, 7], [64, 64, 64]]);
    let values = RopeTable::new(&config, 64).values();
    assert_eq!(values[64 * 8..], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}
