//! `cb-lab bench model`: the two figures that people compare engines by.

use super::measure::{Timing, quantile};
use super::report::{Case, Report};
use super::{CommonArgs, open};
use crate::backend::Backend;
use crate::cli::choose_backend::Chosen;
use crate::cli::engine_args::open_model;
use crate::core::request::SamplingParams;
use crate::engine::limits::LimitOptions;
use crate::engine::loaded_folder::LoadedFolder;
use crate::engine::{Engine, Update};
use crate::error::{Error, Result};
use crate::model::ModelConfig;
use crate::model::expected_tensors::expected_tensors;
use std::path::PathBuf;
use web_time::Instant;

/// Options of `bench model`.
#[derive(clap::Args)]
pub struct ModelArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// A Hugging Face model folder; without one, the embedded model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Tokens of the prompt whose prefill is timed
    #[arg(long, value_name = "N", default_value_t = 256)]
    prompt_len: usize,
    /// Sequences that decode together
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,8")]
    batch: Vec<usize>,
}

/// Runs the bench.
///
/// # Errors
/// A model that cannot be run, a prompt that does not fit, a device that fails.
pub async fn run(args: &ModelArgs) -> Result<()> {
    if args.prompt_len == 0 || args.batch.contains(&0) {
        let option = if args.prompt_len == 0 { "prompt-len" } else { "batch" };
        return Err(Error::InvalidOption { option, value: "0".into(), reason: "it must be at least 1".into() });
    }
    let folder = LoadedFolder::open(&open_model(args.model.as_deref())?)?;
    let weight_bytes = weight_bytes(&folder)?;
    let (backend, report) = open(&args.common, "model").await?;
    let report = match backend {
        Chosen::Gpu(backend) => bench(*backend, args, folder, weight_bytes, report).await?,
        Chosen::Cpu(backend) => bench(backend, args, folder, weight_bytes, report).await?,
    };
    report.finish(args.common.json.as_deref())
}

async fn bench<B: Backend>(
    backend: B,
    args: &ModelArgs,
    folder: LoadedFolder,
    weight_bytes: f64,
    mut report: Report,
) -> Result<Report> {
    let most = args.batch.iter().copied().max().unwrap_or(1);
    let model = folder.config.clone();
    let limits = LimitOptions {
        max_tokens_per_step: Some(args.prompt_len.max(most)),
        prefill_chunk_size: Some(args.prompt_len),
        max_num_seqs: Some(most),
        ..LimitOptions::default()
    };
    let limits = limits.resolve(&model, backend.max_buffer_words())?;
    let mut engine = Engine::new(backend, folder, limits).await?;
    let flop = flop_per_token(&model);

    // A step of one prompt: its last row's logits are part of it.
    let mut steps = Vec::new();
    for _ in 0..=args.common.repeats {
        engine.submit(prompt(args.prompt_len, &model), params(1))?;
        steps.push(timed_step(&mut engine).await?.0);
    }
    report.push(Case {
        name: format!("prefill of {} tokens", args.prompt_len),
        timing: timing(&mut steps[1..]),
        bytes: weight_bytes,
        flop: flop * args.prompt_len as f64,
        tokens: Some(args.prompt_len as f64),
    });
    for &batch in &args.batch {
        for _ in 0..batch {
            engine.submit(prompt(1, &model), params(args.common.repeats + 2))?;
        }
        // The first step reads the prompts, of a token each; in the last one everybody ends.
        let mut steps = Vec::new();
        while !engine.is_idle() {
            let (us, num_tokens) = timed_step(&mut engine).await?;
            if num_tokens == batch {
                steps.push(us);
            }
        }
        report.push(Case {
            name: format!("decode, batch {batch}"),
            timing: timing(&mut steps[1..]),
            bytes: weight_bytes,
            flop: flop * batch as f64,
            tokens: Some(batch as f64),
        });
    }
    Ok(report)
}

/// Microseconds of a step, and how many tokens came of it.
async fn timed_step<B: Backend>(engine: &mut Engine<B>) -> Result<(f64, usize)> {
    let begin = Instant::now();
    let updates = engine.step().await?.updates;
    let us = begin.elapsed().as_secs_f64() * 1e6;
    Ok((us, updates.iter().filter(|update| matches!(update, Update::Token { .. })).count()))
}

/// Bytes of all weights as they are stored: what a step has to read.
fn weight_bytes(folder: &LoadedFolder) -> Result<f64> {
    let bytes = |(name, shape): (String, Vec<usize>)| {
        Ok(shape.iter().product::<usize>() as f64 * folder.files.element_type(&name)?.bytes() as f64)
    };
    expected_tensors(&folder.config).into_iter().map(bytes).sum()
}

/// A multiplication and an addition for every weight but the embedding's, which is looked up; the head's are counted.
fn flop_per_token(model: &ModelConfig) -> f64 {
    let q = model.num_heads * model.head_dim;
    let kv = model.num_kv_heads * model.head_dim;
    let layer = model.hidden_size * (2 * q + 2 * kv + 3 * model.intermediate_size);
    2.0 * (model.num_layers * layer + model.hidden_size * model.vocab_size) as f64
}

fn prompt(len: usize, model: &ModelConfig) -> Vec<u32> {
    (0..len).map(|i| ((7 * i + 5) % model.vocab_size) as u32).collect()
}

fn params(max_new_tokens: usize) -> SamplingParams {
    SamplingParams { max_new_tokens, ignore_eos: true, ..SamplingParams::default() }
}

fn timing(us: &mut [f64]) -> Timing {
    Timing { median_us: quantile(us, 0.5), low_us: quantile(us, 0.25), high_us: quantile(us, 0.75) }
}
