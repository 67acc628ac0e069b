//! `cb-lab bench model`: the two figures that people compare engines by.

mod sides;

use super::measure::{Timing, median_ratio};
use super::report::Report;
use super::{CommonArgs, RepeatArgs, in_range, report_on, so_many_tokens};
use crate::backend::Backend;
use crate::backend::gpu::Tuning;
use crate::backend::kernel_set::KernelSet;
use crate::cli::choose_backend::{BackendArgs, Chosen};
use crate::cli::engine_args::open_model;
use crate::cli::numbers::count;
use crate::cli::start::start;
use crate::cli::wording::{tell, value_text};
use crate::config::{KvDtype, WeightDtype};
use crate::engine::limits::LimitOptions;
use crate::engine::loaded_folder::LoadedFolder;
use crate::error::{Error, Result};
use crate::model::ModelConfig;
use crate::model::TensorTable;
use crate::model::weights::{matrix_size, weights_size};
use sides::Side;
use std::path::PathBuf;

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
    /// Tokens of the prompts whose prefill is timed, such as 256,2048,8192
    #[arg(long, value_name = "N", value_parser = count::<usize>, value_delimiter = ',', default_value = "256")]
    prompt_len: Vec<usize>,
    /// Sequences that decode together
    #[arg(long, value_name = "N", value_parser = count::<usize>, value_delimiter = ',', default_value = "1,8")]
    batch: Vec<usize>,
    /// Tokens of each sequence before decodes are timed
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 1)]
    decode_from: usize,
    /// Decodes in a row in a round; more are a longer time for other programs to come between
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 4)]
    decode_steps: usize,
    /// How K and V are kept
    #[arg(long, value_enum, default_value_t)]
    kv_dtype: KvDtype,
    /// How weights are kept
    #[arg(long, value_enum, default_value_t)]
    weight_dtype: WeightDtype,
    /// Also run these kernels, in turns, and say how much faster each case is
    #[arg(long, value_enum, value_name = "KERNELS")]
    against: Option<KernelSet>,
}

/// Runs the bench. With `--deterministic` it runs without, too, in turns, and says what that costs.
///
/// # Errors
/// A model that cannot be run, a prompt that does not fit, nothing to compare with, a device that fails.
pub async fn run(args: &ModelArgs) -> Result<()> {
    args.prompt_len.iter().try_for_each(|&len| in_range("prompt_len", len, 1 << 20))?;
    args.batch.iter().try_for_each(|&batch| in_range("batch", batch, 65_536))?;
    in_range("decode_from", args.decode_from, 1 << 20)?;
    in_range("decode_steps", args.decode_steps, 1 << 20)?;
    let model = open_model(args.model.as_deref())?;
    let folder = LoadedFolder::open(&model).await?;
    let options = args.limits();
    let own = start(&args.common.backend, &options, &folder, |line| tell(line)).await?;
    let (mut labels, mut others) = (Vec::new(), Vec::new());
    for Other { label, backend, against } in args.others() {
        let other = start(&backend, &options, &folder, |_| ()).await?;
        if own.backend.is_gpu() != other.backend.is_gpu() {
            return Err(Error::Device(format!("it could be opened once, but not again to run {label}")));
        }
        if let Some(against) = against {
            check_kernels(against, &own.backend, &other.backend)?;
        }
        labels.push(label);
        others.push(other);
    }
    let (backend, report) = report_on(own.backend, &args.common.backend, "model").await?;
    let bytes = weight_bytes(&folder, &backend, args.weight_dtype)?;
    let mut sides = vec![Side::new(backend, folder, own.config).await?];
    for other in others {
        sides.push(Side::new(other.backend, LoadedFolder::open(&model).await?, other.config).await?);
    }
    let mut report = report.repeated(args.repeats.repeats);
    bench(args, &mut sides, &labels, bytes, &mut report).await?;
    report.finish(args.common.json.as_deref())
}

/// What the model is run with besides, to be compared with.
struct Other {
    label: String,
    backend: BackendArgs,
    /// Kernels that have to run there, and nowhere else.
    against: Option<KernelSet>,
}

impl ModelArgs {
    fn limits(&self) -> LimitOptions {
        let most = self.batch.iter().copied().max().unwrap_or(1);
        let longest = self.prompt_len.iter().copied().max().unwrap_or(1);
        let block_size = 16;
        // For the prompt and for the longest decode; a hundredth stays free at admission.
        let decode_len = self.decode_from + self.decode_steps + 2;
        let num_blocks = (longest + 1).div_ceil(block_size) + most * decode_len.div_ceil(block_size);
        LimitOptions {
            block_size: Some(block_size),
            num_kv_blocks: Some(num_blocks + num_blocks / 99 + 1),
            max_tokens_per_step: Some(longest.max(most * self.decode_from)),
            prefill_chunk_size: Some(longest.max(self.decode_from)),
            max_num_seqs: Some(most),
            max_model_len: None,
            kv_dtype: self.kv_dtype,
            weight_dtype: self.weight_dtype,
        }
    }

    fn others(&self) -> Vec<Other> {
        let own = &self.common.backend;
        let usual = own.deterministic.then(|| Other {
            label: "without --deterministic".into(),
            backend: BackendArgs { deterministic: false, ..own.clone() },
            against: None,
        });
        let against = self.against.map(|kernels| Other {
            label: format!("with {} kernels", value_text(kernels)),
            backend: BackendArgs { kernels, tuning: Tuning::Auto, ..own.clone() },
            against: Some(kernels),
        });
        usual.into_iter().chain(against).collect()
    }
}

/// Kernels that are compared with themselves would be found to be as fast.
fn check_kernels(against: KernelSet, own: &Chosen, other: &Chosen) -> Result<()> {
    let reason = if other.kernel_set() != against {
        "this GPU cannot run these kernels"
    } else if own.kernel_set() == against {
        "these kernels are what is measured; name the others"
    } else {
        return Ok(());
    };
    Err(Error::InvalidOption { option: "against", value: value_text(against), reason: reason.into() })
}

async fn bench(args: &ModelArgs, sides: &mut [Side], labels: &[String], bytes: f64, report: &mut Report) -> Result<()> {
    let repeats = args.repeats.repeats;
    let model = sides[0].model().clone();
    for &len in &args.prompt_len {
        let us = in_turns(sides, repeats, async |side: &mut Side| prefill(side, len).await).await?;
        // Its last row's logits are part of it.
        let flop = flop(&model, len, 1) + attention_flop(&model, len as f64 * (len + 1) as f64 / 2.0);
        report_case(report, labels, &format!("prefill of {len} tokens"), &us, [bytes, flop], len);
    }
    for &batch in &args.batch {
        let us = in_turns(sides, repeats, async |side: &mut Side| decode(side, batch, args).await).await?;
        let (from, name) = (args.decode_from, format!("decode, batch {batch}"));
        let name = if from == 1 { name } else { format!("{name}, from {from} tokens") };
        // Tokens whose K and V a step reads, in the mean.
        let read = batch as f64 * (from as f64 + args.decode_steps as f64 / 2.0);
        let bytes = bytes + read * kv_bytes(&model, args.kv_dtype);
        let flop = flop(&model, batch, batch) + attention_flop(&model, read);
        report_case(report, labels, &name, &us, [bytes, flop], batch);
    }
    sides[0].note_memory(report);
    Ok(())
}

/// Microseconds of each side, by round. In a round each does the work once, so that what drifts (other programs, clocks)
/// drifts for all of them, and is left idle: steps overlap, and what one had in flight would run in another's time.
async fn in_turns(
    sides: &mut [Side],
    rounds: usize,
    work: impl AsyncFn(&mut Side) -> Result<f64>,
) -> Result<Vec<Vec<f64>>> {
    // Pipelines are made.
    for side in &mut *sides {
        work(side).await?;
    }
    let mut us = vec![Vec::with_capacity(rounds); sides.len()];
    for _ in 0..rounds {
        for (side, us) in sides.iter_mut().zip(&mut us) {
            us.push(work(side).await?);
        }
    }
    Ok(us)
}

/// Microseconds of a step that reads a prompt.
async fn prefill(side: &mut Side, len: usize) -> Result<f64> {
    side.submit(prompt(len, side.model()), so_many_tokens(1))?;
    match side.timed_step().await? {
        (us, 1) if side.is_idle() => Ok(us),
        _ => Err(Error::Device("the prompt took more than a step".into())),
    }
}

/// Microseconds of a step in which each of so many sequences gets a token, in the mean of several in a row. Each of them
/// begins a step as well, where steps overlap: so one comes before them, which reads the prompts, and one after.
async fn decode(side: &mut Side, batch: usize, args: &ModelArgs) -> Result<f64> {
    for _ in 0..batch {
        side.submit(prompt(args.decode_from, side.model()), so_many_tokens(args.decode_steps + 2))?;
    }
    side.timed_step().await?;
    let mut us = 0.0;
    for _ in 0..args.decode_steps {
        let (of_step, came) = side.timed_step().await?;
        if came != batch {
            return Err(Error::Device(format!("{came} tokens came of a step of {batch} sequences")));
        }
        us += of_step;
    }
    while !side.is_idle() {
        side.timed_step().await?;
    }
    Ok(us / args.decode_steps as f64)
}

/// The first side is the case; those with a label are what it is compared with.
fn report_case(
    report: &mut Report,
    labels: &[String],
    name: &str,
    us: &[Vec<f64>],
    [bytes, flop]: [f64; 2],
    num_tokens: usize,
) {
    let (own, others) = (&us[0], &us[1..]);
    report.push(name.into(), Timing::of(&mut own.clone()), bytes, flop).tokens = Some(num_tokens as f64);
    for (label, other) in labels.iter().zip(others) {
        report.compared(name, label, median_ratio(own, other));
    }
}

/// Bytes of the weights that a step has to read: all but an embedding table that only rows are looked up in.
fn weight_bytes(folder: &LoadedFolder, backend: &Chosen, weight_dtype: WeightDtype) -> Result<f64> {
    match backend {
        Chosen::Gpu(gpu) => bytes_on(&**gpu, folder, weight_dtype),
        Chosen::Cpu(cpu) => bytes_on(cpu, folder, weight_dtype),
    }
}

fn bytes_on<B: Backend>(backend: &B, folder: &LoadedFolder, weight_dtype: WeightDtype) -> Result<f64> {
    let LoadedFolder { config, files, .. } = folder;
    let table = TensorTable::new(config);
    let all = weights_size(backend, files, &table, weight_dtype)?.bytes;
    if config.tie_word_embeddings {
        return Ok(all as f64);
    }
    Ok((all - matrix_size(backend, files, &table.embed_tokens, weight_dtype)?.bytes) as f64)
}

/// A multiplication and an addition for every weight: of the layers for each row, of the head for each row that samples.
fn flop(model: &ModelConfig, num_rows: usize, num_samples: usize) -> f64 {
    let q = model.num_heads * model.head_dim;
    let kv = model.num_kv_heads * model.head_dim;
    let layer = model.hidden_size * (2 * q + 2 * kv + 3 * model.intermediate_size);
    let head = model.hidden_size * model.vocab_size;
    2.0 * (model.num_layers() * layer) as f64 * num_rows as f64 + 2.0 * head as f64 * num_samples as f64
}

/// Scores, and sums of V: of each row with those before it and with itself, so many pairs in all.
fn attention_flop(model: &ModelConfig, pairs: f64) -> f64 {
    4.0 * (model.num_layers() * model.num_heads * model.head_dim) as f64 * pairs
}

/// Bytes of K and V of a token, in all layers.
fn kv_bytes(model: &ModelConfig, kv_dtype: KvDtype) -> f64 {
    (2 * model.num_layers() * model.num_kv_heads * model.head_dim * kv_dtype.bytes()) as f64
}

fn prompt(len: usize, model: &ModelConfig) -> Vec<u32> {
    (0..len).map(|i| ((7 * i + 5) % model.vocab_size) as u32).collect()
}
