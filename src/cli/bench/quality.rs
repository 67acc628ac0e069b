//! `cb-lab bench quality`: what a faster or smaller way to compute costs in what the model says.

mod score;

use super::report::write_report;
use super::{in_range, so_many_tokens};
use crate::backend::Backend;
use crate::backend::kernel_set::KernelSet;
use crate::cli::choose_backend::{BackendArgs, BackendChoice, Chosen};
use crate::cli::engine_args::open_model;
use crate::cli::numbers::count;
use crate::cli::start::start;
use crate::cli::wording::tell;
use crate::config::{KvDtype, WeightDtype};
use crate::engine::limits::LimitOptions;
use crate::engine::loaded_folder::LoadedFolder;
use crate::engine::{DeviceEngine, Engine};
use crate::error::{Error, Result};
use crate::ids::TokenId;
use score::{Predicted, predict};
use std::path::PathBuf;

/// Stories of the grammar that the embedded model was trained on, with plots that it was not.
const STORIES: &str = include_str!("quality/stories.txt");
/// Paragraphs whose first tokens are continued, at most; and how many tokens of each are given.
const PROMPTS: usize = 8;
const PROMPT_LEN: usize = 12;
/// Rows of logits that are computed, and read back, at once.
const CHUNK: usize = 64;

/// Options of `bench quality`.
#[derive(clap::Args)]
pub struct QualityArgs {
    /// A Hugging Face model folder; without one, the embedded model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// A text to predict, what stands between blank lines by itself; without one, stories new to the embedded model
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// What is longer is cut into pieces of so many tokens
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 256)]
    window: usize,
    /// Tokens generated after the beginning of each of the first few
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 64)]
    max_new_tokens: usize,
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(super) json: Option<PathBuf>,
}

/// One way to compute.
struct Variant {
    name: &'static str,
    backend: BackendArgs,
    kv_dtype: KvDtype,
    weight_dtype: WeightDtype,
}

/// Every way there is; the first is what the others are held against. A new one is a line here.
fn variants() -> Vec<Variant> {
    let variant = |name, backend, kernels| Variant {
        name,
        backend: BackendArgs { backend, kernels, ..BackendArgs::default() },
        kv_dtype: KvDtype::F32,
        weight_dtype: WeightDtype::Auto,
    };
    let cpu = |name| variant(name, BackendChoice::Cpu, KernelSet::Fast);
    vec![
        cpu("cpu"),
        variant("gpu, naive kernels", BackendChoice::Gpu, KernelSet::Naive),
        variant("gpu, fast kernels", BackendChoice::Gpu, KernelSet::Fast),
        // What is rounded is rounded alike on all devices.
        Variant { kv_dtype: KvDtype::F16, ..cpu("cpu, K and V in f16") },
        Variant { weight_dtype: WeightDtype::F16, ..cpu("cpu, f16 weights") },
        Variant { weight_dtype: WeightDtype::Bf16, ..cpu("cpu, bf16 weights") },
        Variant { weight_dtype: WeightDtype::Int8, ..cpu("cpu, int8 weights") },
        Variant { weight_dtype: WeightDtype::Int4, ..cpu("cpu, int4 weights") },
    ]
}

/// What a variant said.
struct Said {
    predicted: Vec<Predicted>,
    generated: Vec<Vec<TokenId>>,
}

/// A line of the table.
#[derive(serde::Serialize)]
struct Row {
    variant: &'static str,
    device: String,
    /// e to the mean of the negative log-probabilities of the text's tokens.
    perplexity: f64,
    /// Largest difference of a token's log-probability to the first variant's.
    worst_logprob_difference: f64,
    /// Tokens of the text for which both think the same token most probable.
    same_top_percent: f64,
    /// Generated tokens that are the first variant's at the same place, with all before them.
    same_greedy_percent: f64,
    /// Where the first of all prompts goes another way, from 0; none if none does.
    first_divergence: Option<usize>,
}

#[derive(serde::Serialize)]
struct QualityReport {
    bench: &'static str,
    version: &'static str,
    model: String,
    text: String,
    /// Tokens predicted.
    tokens: usize,
    window: usize,
    prompts: usize,
    max_new_tokens: usize,
    rows: Vec<Row>,
}

/// Runs the bench.
///
/// # Errors
/// A model that cannot be run, a text that cannot be read or has nothing to predict, a device that fails.
pub async fn run(args: &QualityArgs) -> Result<()> {
    in_range("window", args.window, 1 << 20)?;
    in_range("max_new_tokens", args.max_new_tokens, 1 << 16)?;
    let text = match &args.text {
        None => STORIES.to_owned(),
        Some(path) => std::fs::read_to_string(path).map_err(|source| Error::ReadFile { path: path.clone(), source })?,
    };
    let name = |path: &Option<PathBuf>, default: &str| {
        path.as_ref().map_or(default.to_owned(), |path| path.display().to_string())
    };
    let mut report = QualityReport {
        bench: "quality",
        version: env!("CARGO_PKG_VERSION"),
        model: name(&args.model, "the embedded model"),
        text: name(&args.text, "unseen stories"),
        tokens: 0,
        window: args.window,
        prompts: 0,
        max_new_tokens: args.max_new_tokens,
        rows: Vec::new(),
    };
    let mut reference: Option<Said> = None;
    for variant in variants() {
        let folder = LoadedFolder::open(&open_model(args.model.as_deref())?).await?;
        let Task { pieces, prompts } = Task::new(&folder, args, &text)?;
        let started = match start(&variant.backend, &limits(args, &variant), &folder, |_| ()).await {
            Ok(started) => started,
            Err(Error::NoGpu(reason)) => {
                tell(format_args!("{} is left out: {reason}", variant.name));
                continue;
            }
            Err(error) => return Err(error),
        };
        tell(format_args!("{}: {} pieces of text, {} prompts", variant.name, pieces.len(), prompts.len()));
        let limits = started.config;
        let (device, said) = match started.backend {
            Chosen::Gpu(gpu) => {
                (gpu.name(), say(Engine::new(*gpu, folder, limits).await?, &pieces, &prompts, args).await?)
            }
            Chosen::Cpu(cpu) => {
                (cpu.name(), say(Engine::new(cpu, folder, limits).await?, &pieces, &prompts, args).await?)
            }
        };
        report.tokens = said.predicted.len();
        report.prompts = prompts.len();
        let reference = reference
            .get_or_insert_with(|| Said { predicted: said.predicted.clone(), generated: said.generated.clone() });
        report.rows.push(row(variant.name, device, &said, reference));
    }
    write_report(&table(&report), args.json.as_deref(), &report)
}

fn limits(args: &QualityArgs, variant: &Variant) -> LimitOptions {
    let block_size = 16;
    let blocks_of = |len: usize| len.div_ceil(block_size);
    LimitOptions {
        block_size: Some(block_size),
        num_kv_blocks: Some(blocks_of(args.window).max(PROMPTS * blocks_of(PROMPT_LEN + args.max_new_tokens))),
        max_tokens_per_step: Some(CHUNK),
        prefill_chunk_size: Some(CHUNK),
        max_num_seqs: Some(CHUNK),
        max_model_len: None,
        kv_dtype: variant.kv_dtype,
        weight_dtype: variant.weight_dtype,
    }
}

/// What every variant is to do.
struct Task {
    /// Of at most a window, to predict.
    pieces: Vec<Vec<TokenId>>,
    /// The beginnings of the first paragraphs, to continue.
    prompts: Vec<Vec<TokenId>>,
}

impl Task {
    fn new(folder: &LoadedFolder, args: &QualityArgs, text: &str) -> Result<Self> {
        let window = args.window.min(folder.config.max_position_embeddings);
        let mut task = Self { pieces: Vec::new(), prompts: Vec::new() };
        for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
            let token_ids = folder.tokenizer.encode(paragraph)?;
            if task.prompts.len() < PROMPTS {
                task.prompts.push(token_ids[..token_ids.len().min(PROMPT_LEN)].to_vec());
            }
            task.pieces.extend(token_ids.chunks(window).filter(|piece| piece.len() > 1).map(<[TokenId]>::to_vec));
        }
        if task.pieces.is_empty() {
            let reason = "no part of it has two tokens, so there is nothing to predict".into();
            let value = args.text.as_ref().map_or(String::new(), |path| path.display().to_string());
            return Err(Error::InvalidOption { option: "text", value, reason });
        }
        Ok(task)
    }
}

async fn say<B: Backend>(
    mut engine: DeviceEngine<B>,
    pieces: &[Vec<TokenId>],
    prompts: &[Vec<TokenId>],
    args: &QualityArgs,
) -> Result<Said> {
    let mut predicted = Vec::new();
    for piece in pieces {
        predicted.extend(predict(&mut engine, piece).await?);
    }
    for prompt in prompts {
        engine.submit(prompt.clone(), so_many_tokens(args.max_new_tokens))?;
    }
    let outputs = engine.run_until_idle().await?;
    Ok(Said { predicted, generated: outputs.into_iter().map(|output| output.token_ids).collect() })
}

/// What a variant said beside what the first one said.
fn row(variant: &'static str, device: String, said: &Said, reference: &Said) -> Row {
    let pairs = || said.predicted.iter().zip(&reference.predicted);
    let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    let mean = said.predicted.iter().map(|predicted| predicted.logprob).sum::<f64>() / said.predicted.len() as f64;
    let common: Vec<usize> =
        said.generated.iter().zip(&reference.generated).map(|(a, b)| common_prefix(a, b)).collect();
    let diverged = common.iter().zip(&reference.generated).filter(|(common, all)| **common < all.len());
    Row {
        variant,
        device,
        perplexity: (-mean).exp(),
        worst_logprob_difference: pairs().map(|(a, b)| (a.logprob - b.logprob).abs()).fold(0.0, f64::max),
        same_top_percent: percent(pairs().filter(|(a, b)| a.top == b.top).count(), said.predicted.len()),
        same_greedy_percent: percent(common.iter().sum(), reference.generated.iter().map(Vec::len).sum()),
        first_divergence: diverged.map(|(common, _)| *common).min(),
    }
}

fn common_prefix(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn table(report: &QualityReport) -> String {
    let QualityReport { model, text, tokens, prompts, max_new_tokens, .. } = report;
    let mut lines = format!(
        "{model} on {text}: {tokens} tokens predicted, {prompts} prompts continued by {max_new_tokens}\n\
         {:20} {:>11} {:>14} {:>12} {:>12} {:>16}\n",
        "", "perplexity", "worst Δlogprob", "same top", "same greedy", "diverges at"
    );
    for row in &report.rows {
        let diverges = row.first_divergence.map_or("nowhere".into(), |place| place.to_string());
        lines += &format!(
            "{:20} {:>11.4} {:>14.1e} {:>11.2}% {:>11.2}% {:>16}\n",
            row.variant,
            row.perplexity,
            row.worst_logprob_difference,
            row.same_top_percent,
            row.same_greedy_percent,
            diverges
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_ends_where_the_first_token_differs() {
        let said = |generated: &[&[TokenId]], logprobs: &[f64]| Said {
            predicted: logprobs
                .iter()
                .map(|&logprob| Predicted { logprob, top: (logprob * -4.0) as TokenId })
                .collect(),
            generated: generated.iter().map(|ids| ids.to_vec()).collect(),
        };
        let reference = said(&[&[1, 2, 3, 4], &[5, 6, 7, 8]], &[-0.5, -1.5]);
        let same = row("same", String::new(), &reference, &reference);
        assert_eq!((same.same_greedy_percent, same.first_divergence, same.same_top_percent), (100.0, None, 100.0));
        assert!((same.perplexity - 1f64.exp()).abs() < 1e-12);
        // Tokens that are the same again after a difference do not count.
        let other = row("other", String::new(), &said(&[&[1, 9, 3, 4], &[5, 6, 7, 8]], &[-0.5, -1.0]), &reference);
        assert_eq!((other.same_greedy_percent, other.first_divergence, other.same_top_percent), (62.5, Some(1), 50.0));
        // Less probable by 0.75 is worse than more probable by 0.5.
        let other = row("other", String::new(), &said(&[&[], &[]], &[-1.25, -1.0]), &reference);
        assert_eq!(other.worst_logprob_difference, 0.75);
    }
}
