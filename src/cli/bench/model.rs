//! `cb-lab bench model`: the two figures that people compare engines by.

use super::measure::Timing;
use super::report::Report;
use super::{CommonArgs, RepeatArgs, in_range, open_for_model, so_many_tokens};
use crate::backend::Backend;
use crate::cli::choose_backend::{BackendArgs, Chosen};
use crate::cli::engine_args::open_model;
use crate::config::{EngineConfig, KvDtype, WeightDtype};
use crate::engine::limits::LimitOptions;
use crate::engine::loaded_folder::LoadedFolder;
use crate::engine::{Engine, Update};
use crate::error::{Error, Result};
use crate::model::ModelConfig;
use crate::model::expected_tensors::EMBED_TOKENS;
use crate::model::weights::{element_type, weights_size};
use std::path::PathBuf;
use web_time::Instant;

/// Options of `bench model`.
#[derive(clap::Args)]
pub struct ModelArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(flatten)]
    pub(super) repeats: RepeatArgs,
    /// A Hugging Face model folder; without one, the embedded model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Tokens of the prompt whose prefill is timed
    #[arg(long, value_name = "N", default_value_t = 256)]
    prompt_len: usize,
    /// Sequences that decode together
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,8")]
    batch: Vec<usize>,
    /// How K and V are kept
    #[arg(long, value_enum, default_value_t)]
    kv_dtype: KvDtype,
    /// How weights are kept
    #[arg(long, value_enum, default_value_t)]
    weight_dtype: WeightDtype,
}

/// Runs the bench. With `--deterministic` it runs without, too, and says what that costs.
///
/// # Errors
/// A model that cannot be run, a prompt that does not fit, a device that fails.
pub async fn run(args: &ModelArgs) -> Result<()> {
    in_range("prompt-len", args.prompt_len, 1 << 20)?;
    args.batch.iter().try_for_each(|&batch| in_range("batch", batch, 65_536))?;
    let mut report = measured(args, &args.common).await?;
    if args.common.backend.deterministic {
        let backend = BackendArgs { deterministic: false, ..args.common.backend };
        let usual = measured(args, &CommonArgs { backend, json: None }).await?;
        report.price_against(&usual, "deterministic");
    }
    report.finish(args.common.json.as_deref())
}

async fn measured(args: &ModelArgs, common: &CommonArgs) -> Result<Report> {
    let folder = LoadedFolder::open(&open_model(args.model.as_deref())?)?;
    let most = args.batch.iter().copied().max().unwrap_or(1);
    let block_size = 16;
    // For the prompt and for the longest decode; a hundredth stays free at admission.
    let num_blocks =
        (args.prompt_len + 1).div_ceil(block_size) + most * (args.repeats.repeats + 3).div_ceil(block_size);
    let options = LimitOptions {
        block_size: Some(block_size),
        num_kv_blocks: Some(num_blocks + num_blocks / 99 + 1),
        max_tokens_per_step: Some(args.prompt_len.max(most)),
        prefill_chunk_size: Some(args.prompt_len),
        max_num_seqs: Some(most),
        max_model_len: None,
        kv_dtype: args.kv_dtype,
        weight_dtype: args.weight_dtype,
    };
    let (backend, limits, report) = open_for_model(common, "model", &options, &folder).await?;
    let report = report.repeated(args.repeats.repeats);
    match backend {
        Chosen::Gpu(backend) => bench(*backend, args, folder, limits, report).await,
        Chosen::Cpu(backend) => bench(backend, args, folder, limits, report).await,
    }
}

async fn bench<B: Backend>(
    backend: B,
    args: &ModelArgs,
    folder: LoadedFolder,
    limits: EngineConfig,
    mut report: Report,
) -> Result<Report> {
    let model = folder.config.clone();
    let bytes = weight_bytes(&folder, &backend, args.weight_dtype)?;
    let mut engine = Engine::new(backend, folder, limits).await?;

    // A step of one prompt: its last row's logits are part of it.
    let mut steps = Vec::new();
    for _ in 0..=args.repeats.repeats {
        engine.submit(prompt(args.prompt_len, &model), so_many_tokens(1))?;
        steps.push(timed_step(&mut engine).await?.0);
    }
    report
        .push(
            format!("prefill of {} tokens", args.prompt_len),
            timing(&mut steps)?,
            bytes,
            flop(&model, args.prompt_len, 1),
        )
        .tokens = Some(args.prompt_len as f64);
    for &batch in &args.batch {
        for _ in 0..batch {
            engine.submit(prompt(1, &model), so_many_tokens(args.repeats.repeats + 2))?;
        }
        // The first step reads the prompts, of a token each; in the last one everybody ends.
        let mut steps = Vec::new();
        while !engine.is_idle() {
            let (us, num_tokens) = timed_step(&mut engine).await?;
            if num_tokens == batch {
                steps.push(us);
            }
        }
        report.push(format!("decode, batch {batch}"), timing(&mut steps)?, bytes, flop(&model, batch, batch)).tokens =
            Some(batch as f64);
    }
    report.memory(&engine);
    Ok(report)
}

/// Microseconds of a step, and how many tokens came of it.
async fn timed_step<B: Backend>(engine: &mut Engine<B>) -> Result<(f64, usize)> {
    let begin = Instant::now();
    let updates = engine.step().await?.updates;
    let us = begin.elapsed().as_secs_f64() * 1e6;
    Ok((us, updates.iter().filter(|update| matches!(update, Update::Token { .. })).count()))
}

/// Bytes of the weights that a step has to read: all but an embedding table that only rows are looked up in.
fn weight_bytes<B: Backend>(folder: &LoadedFolder, backend: &B, weight_dtype: WeightDtype) -> Result<f64> {
    let LoadedFolder { config, files, .. } = folder;
    let all = weights_size(backend, files, config, weight_dtype)?.bytes;
    if config.tie_word_embeddings {
        return Ok(all as f64);
    }
    let elements = element_type(files, EMBED_TOKENS, weight_dtype)?;
    Ok((all - backend.matrix_size(config.vocab_size, config.hidden_size, elements)?.bytes) as f64)
}

/// A multiplication and an addition for every weight: of the layers for each row, of the head for each row that samples.
/// Attention is left out: a few per cent at these lengths.
fn flop(model: &ModelConfig, num_rows: usize, num_samples: usize) -> f64 {
    let q = model.num_heads * model.head_dim;
    let kv = model.num_kv_heads * model.head_dim;
    let layer = model.hidden_size * (2 * q + 2 * kv + 3 * model.intermediate_size);
    let head = model.hidden_size * model.vocab_size;
    2.0 * (model.num_layers * layer) as f64 * num_rows as f64 + 2.0 * head as f64 * num_samples as f64
}

fn prompt(len: usize, model: &ModelConfig) -> Vec<u32> {
    (0..len).map(|i| ((7 * i + 5) % model.vocab_size) as u32).collect()
}

/// The first step is left out: pipelines are made in it.
fn timing(us: &mut [f64]) -> Result<Timing> {
    let Some((_, us)) = us.split_first_mut().filter(|(_, us)| !us.is_empty()) else {
        return Err(Error::Device("no step computed all sequences of the batch together".into()));
    };
    Ok(Timing::of(us))
}
