//! Forms of a checkpoint that transformers runs, too: the same answers, or those of the model as the papers write it.

use crate::checkpoint::{Checkpoint, Tensor};
use crate::dense_model;
use crate::fixtures;
use crate::golden;
use crate::machines::{Check, Machine, Machines, ensure};
use crate::rng::Rng;
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::model::ModelFolder;
use libtest_mimic::{Failed, Trial};
use safetensors::tensor::Dtype;
use serde_json::json;

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = machines.cpu("checkpoints/without a prefix", without_prefix);
    trials.extend(machines.cpu("checkpoints/of f64", of_f64));
    trials.extend(machines.cpu("checkpoints/by model_type alone", by_model_type));
    trials.extend(machines.cpu("checkpoints/a head of its own", head_of_its_own));
    trials.extend(machines.cpu("checkpoints/tensors that nobody reads", unread));
    for width in [2, 26, 100] {
        trials.extend(machines.all(&format!("checkpoints/heads {width} wide"), Heads(width)));
    }
    trials
}

fn load(checkpoint: &Checkpoint) -> Result<(tempfile::TempDir, LoadedFolder), Failed> {
    let dir = checkpoint.write();
    let folder = pollster::block_on(LoadedFolder::open(&ModelFolder::open(dir.path())?))?;
    Ok((dir, folder))
}

/// The answers are those of the fixture it was made of. Returns what was said about it.
fn as_golden(name: &str, checkpoint: &Checkpoint) -> Result<Vec<String>, Failed> {
    let cases = fixtures::golden_cases(name);
    let (_dir, folder) = load(checkpoint)?;
    let notes = folder.notes.clone();
    let mut engine = fixtures::engine_of(folder, cb_lab::CpuBackend::default(), &LimitOptions::default());
    golden::compare(&cases, &golden::run(&mut engine, &cases)?)?;
    Ok(notes)
}

/// As a model without its head is saved.
fn without_prefix() -> Result<(), Failed> {
    for name in ["qwen3", "llama"] {
        let mut checkpoint = Checkpoint::of(name);
        let bare = |name: String| name.strip_prefix("model.").map_or(name.clone(), str::to_owned);
        checkpoint.tensors = checkpoint.tensors.into_iter().map(|(name, tensor)| (bare(name), tensor)).collect();
        ensure!(checkpoint.tensors.contains_key("layers.0.mlp.up_proj.weight"), "no tensor has the prefix");
        if name == "qwen3" {
            checkpoint.config["architectures"] = json!(["Qwen3Model"]);
        }
        let notes = as_golden(name, &checkpoint)?;
        ensure!(notes.is_empty(), "{notes:?}");
    }
    Ok(())
}

fn of_f64() -> Result<(), Failed> {
    for name in ["llama", "mistral", "phi3"] {
        let mut checkpoint = Checkpoint::of(name);
        checkpoint.tensors.values_mut().for_each(|tensor| *tensor = tensor.widened_to_f64());
        as_golden(name, &checkpoint)?;
    }
    Ok(())
}

fn by_model_type() -> Result<(), Failed> {
    for name in fixtures::NAMES {
        let mut checkpoint = Checkpoint::of(name);
        ensure!(checkpoint.config["architectures"].take().is_array(), "{name} had it");
        as_golden(name, &checkpoint)?;
    }
    Ok(())
}

/// `tie_word_embeddings`, and an output matrix all the same: the same values are tied, others are used.
fn head_of_its_own() -> Result<(), Failed> {
    let mut checkpoint = Checkpoint::of("qwen2");
    let embeddings = checkpoint.tensor("model.embed_tokens.weight").clone();
    checkpoint.tensors.insert("lm_head.weight".into(), embeddings.clone());
    let notes = as_golden("qwen2", &checkpoint)?;
    let (_dir, folder) = load(&checkpoint)?;
    ensure!(notes.is_empty() && folder.config.tie_word_embeddings, "{notes:?}");

    // The head of token 9 becomes 100 times that of the first output, which 9 then beats.
    let case = &fixtures::golden_cases("qwen2")[3];
    let (first, row_bytes) = (case.token_ids[0] as usize, 4 * embeddings.shape[1]);
    ensure!(embeddings.dtype == Dtype::F32 && first != 9, "another token is known to come");
    let head = checkpoint.tensor("lm_head.weight");
    for i in 0..embeddings.shape[1] {
        let at = first * row_bytes + 4 * i;
        let value = f32::from_le_bytes([0, 1, 2, 3].map(|byte| embeddings.bytes[at + byte]));
        head.set_f32(9 * row_bytes / 4 + i, 100.0 * value);
    }
    let (_dir, folder) = load(&checkpoint)?;
    ensure!(!folder.config.tie_word_embeddings, "the head is not used");
    let says = "config.json has tie_word_embeddings, and yet lm_head.weight differs from the embeddings: it is used";
    ensure!(folder.notes == [says], "{:?}", folder.notes);
    let mut engine = fixtures::engine_of(folder, cb_lab::CpuBackend::default(), &LimitOptions::default());
    engine.submit(case.prompt_token_ids.clone(), SamplingParams { max_new_tokens: 1, ..Default::default() })?;
    let outputs = pollster::block_on(engine.run_until_idle())?;
    ensure!(outputs[0].token_ids == [9], "{:?}", outputs[0]);

    // Of another shape it cannot be used.
    let head = checkpoint.tensor("lm_head.weight");
    (head.shape[0], head.bytes) = (9, head.bytes[..9 * row_bytes].to_vec());
    let refused = load(&checkpoint).err().and_then(|failed| failed.message().map(str::to_owned)).unwrap_or_default();
    ensure!(refused.contains("tensor lm_head.weight: its shape is [9, 56]"), "{refused}");
    Ok(())
}

fn unread() -> Result<(), Failed> {
    let mut checkpoint = Checkpoint::of("llama");
    let tensor = Tensor { dtype: Dtype::I64, shape: vec![1], bytes: vec![0; 8] };
    let mut add = |name: &str| drop(checkpoint.tensors.insert(name.to_owned(), tensor.clone()));
    // As old versions of transformers saved them.
    add("model.layers.0.self_attn.rotary_emb.inv_freq");
    let notes = as_golden("llama", &checkpoint)?;
    ensure!(notes.is_empty(), "{notes:?}");

    let mut add = |name: &str| drop(checkpoint.tensors.insert(name.to_owned(), tensor.clone()));
    add("model.layers.0.self_attn.q_proj.bias");
    let notes = as_golden("llama", &checkpoint)?;
    ensure!(notes == ["1 tensor of the model's files is not read: model.layers.0.self_attn.q_proj.bias"], "{notes:?}");

    let mut add = |name: &str| drop(checkpoint.tensors.insert(name.to_owned(), tensor.clone()));
    ["a", "b", "mtp.0.weight", "visual.patch", "z", "zz"].into_iter().for_each(&mut add);
    let notes = as_golden("llama", &checkpoint)?;
    let says = "7 tensors of the model's files are not read: a, b, model.layers.0.self_attn.q_proj.bias, mtp.0.weight and 3 more";
    ensure!(notes == [says], "{notes:?}");
    Ok(())
}

/// Qwen3 with heads of another width, and all biases: each kind of weight that has whole heads in its rows or columns.
#[derive(Clone)]
struct Heads(usize);

impl Check for Heads {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let (width, mut rng) = (self.0, Rng::new(&format!("heads {}", self.0)));
        let mut checkpoint = Checkpoint::of("qwen3");
        (checkpoint.config["head_dim"], checkpoint.config["attention_bias"]) = (width.into(), true.into());
        let hidden = 48;
        let mut insert = |name: String, shape: &[usize], around: f32, spread: f32| {
            let values = rng.f32s(shape.iter().product(), spread);
            let bytes = values.iter().flat_map(|value| (around + value).to_le_bytes()).collect();
            checkpoint.tensors.insert(name, Tensor { dtype: Dtype::F32, shape: shape.to_vec(), bytes });
        };
        for layer in 0..3 {
            let name = |rest: &str| format!("model.layers.{layer}.self_attn.{rest}");
            for (projection, heads) in [("q", 4), ("k", 2), ("v", 2)] {
                insert(name(&format!("{projection}_proj.weight")), &[heads * width, hidden], 0.0, 0.3);
                insert(name(&format!("{projection}_proj.bias")), &[heads * width], 0.0, 0.5);
            }
            insert(name("o_proj.weight"), &[hidden, 4 * width], 0.0, 0.3);
            insert(name("o_proj.bias"), &[hidden], 0.0, 0.3);
            insert(name("q_norm.weight"), &[width], 1.5, 0.3);
            insert(name("k_norm.weight"), &[width], 1.5, 0.3);
        }
        let (dir, folder) = load(&checkpoint)?;
        let prompt = fixtures::golden_cases("qwen3").iter().find(|case| case.name == "random-65").cloned();
        let prompt = prompt.ok_or("the fixture has a prompt of 65 tokens")?.prompt_token_ids;
        let limits = LimitOptions { block_size: Some(8), prefill_chunk_size: Some(17), ..Default::default() };
        let mut engine = fixtures::engine_of(folder, machine.open()?, &limits);
        let params = SamplingParams { max_new_tokens: 6, ignore_eos: true, ..Default::default() };
        engine.submit(prompt.clone(), params)?;
        let output = pollster::block_on(engine.run_until_idle())?.remove(0);

        let seen = [&prompt[..], &output.token_ids[..5]].concat();
        let folder = pollster::block_on(LoadedFolder::open(&ModelFolder::open(dir.path())?))?;
        let dense = dense_model::forward(&folder, &seen);
        for (i, (&token, &logprob)) in output.token_ids.iter().zip(&output.logprobs).enumerate() {
            let logits = dense.logits.row(prompt.len() - 1 + i);
            let max = logits.fold(f64::NEG_INFINITY, |max, &logit| max.max(logit));
            let sum: f64 = logits.iter().map(|logit| (logit - max).exp()).sum();
            let expected = logits[token as usize] - max - sum.ln();
            let close = (f64::from(logprob) - expected).abs() < 1e-4;
            ensure!(close, "token {i}: {logprob}, expected {expected}");
        }
        Ok(())
    }
}
