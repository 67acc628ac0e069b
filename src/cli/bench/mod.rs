//! `cb-lab bench`: how fast the kernels and the engine are, against what this machine can do at best.

mod attention;
mod case;
mod linear;
mod measure;
mod model;
mod plot;
mod quality;
mod report;
mod served;
mod throughput;

use super::choose_backend::{BackendArgs, Chosen, choose_backend};
use super::open_file::OpenFile;
use super::start::start;
use super::wording::tell;
use crate::backend::Backend;
use crate::backend::calibration::Calibrate;
use crate::backend::element_type::ElementType;
use crate::cli::numbers::count;
use crate::config::EngineConfig;
use crate::core::request::SamplingParams;
use crate::engine::limits::LimitOptions;
use crate::engine::loaded_folder::LoadedFolder;
use crate::error::{Error, Result};
use crate::workloads::linear as workloads;
use measure::measure;
use report::{Calibrated, Report};
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `bench`.
#[derive(clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// What this machine can do at best: bytes read and copied, multiplications and additions alone and in the engine's
    /// own matrix multiplication, the cost of a kernel call
    Calibrate(CommonArgs),
    /// The two attention kernels over batch, context and block size, with K and V in order as the zero line
    Attention(attention::AttentionArgs),
    /// Linear layers over rows and element types
    Linear(linear::LinearArgs),
    /// A model's prefill of 256 tokens, and its decode at several batch sizes
    Model(model::ModelArgs),
    /// What ways to compute cost in what a model says: perplexity over a text, the same greedy tokens
    Quality(quality::QualityArgs),
    /// Requests that arrive over time: continuous batching against static batching
    Throughput(throughput::ThroughputArgs),
}

impl What {
    /// Where it runs, unless that is what it compares.
    fn backend(&self) -> Option<&BackendArgs> {
        match self {
            Self::Calibrate(common) => Some(&common.backend),
            Self::Attention(args) => Some(&args.common.backend),
            Self::Linear(args) => Some(&args.common.backend),
            Self::Model(args) => Some(&args.common.backend),
            Self::Quality(_) => None,
            Self::Throughput(args) => Some(&args.common.backend),
        }
    }

    /// What is to be written: `--json`, `--plot`.
    fn files(&self) -> [Option<&PathBuf>; 2] {
        match self {
            Self::Calibrate(common) => [common.json.as_ref(), None],
            Self::Attention(args) => [args.common.json.as_ref(), args.plot.plot.as_ref()],
            Self::Linear(args) => [args.common.json.as_ref(), args.plot.plot.as_ref()],
            Self::Model(args) => [args.common.json.as_ref(), None],
            Self::Quality(args) => [args.json.as_ref(), None],
            Self::Throughput(args) => [args.common.json.as_ref(), args.plot.plot.as_ref()],
        }
    }

    /// How often each case is measured, where somebody may choose.
    fn repeats(&self) -> Option<usize> {
        match self {
            Self::Attention(args) => Some(args.repeats.repeats),
            Self::Linear(args) => Some(args.repeats.repeats),
            Self::Model(args) => Some(args.repeats.repeats),
            Self::Calibrate(_) | Self::Quality(_) | Self::Throughput(_) => None,
        }
    }
}

/// Options of every bench.
#[derive(clap::Args)]
struct CommonArgs {
    #[command(flatten)]
    backend: BackendArgs,
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,
}

/// How often a bench of several cases measures each.
#[derive(clap::Args, Clone, Copy)]
struct RepeatArgs {
    /// Measurements of each case; the median counts
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 7)]
    repeats: usize,
}

/// Runs the command.
///
/// # Errors
/// An option that cannot work, a device that fails, a report that cannot be written.
pub async fn run(args: BenchArgs) -> Result<ExitCode> {
    args.what.backend().map_or(Ok(()), BackendArgs::check)?;
    // Whoever measures for minutes does not want to hear of it afterwards. The files stay as they are until then.
    for (option, path) in ["json", "plot"].into_iter().zip(args.what.files()) {
        path.map(|path| OpenFile::new(option, path)).transpose()?;
    }
    if let Some(repeats) = args.what.repeats() {
        in_range("repeats", repeats, 10_000)?;
    }
    match args.what {
        What::Calibrate(args) => calibrate(&args).await?,
        What::Attention(args) => attention::run(&args).await?,
        What::Linear(args) => linear::run(&args).await?,
        What::Model(args) => model::run(&args).await?,
        What::Quality(args) => quality::run(&args).await?,
        What::Throughput(args) => throughput::run(&args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn calibrate(args: &CommonArgs) -> Result<()> {
    open(args, "calibrate").await?.1.finish(args.json.as_deref())
}

/// The backend, and a report that begins with what it can do at best.
async fn open(args: &CommonArgs, bench: &'static str) -> Result<(Chosen, Report)> {
    let (backend, line) = choose_backend(&args.backend).await?;
    tell(line);
    report_on(backend, &args.backend, bench).await
}

/// The same for a backend that runs a model within limits that were checked.
async fn open_for_model(
    args: &CommonArgs,
    bench: &'static str,
    limits: &LimitOptions,
    folder: &LoadedFolder,
) -> Result<(Chosen, EngineConfig, Report)> {
    let started = start(&args.backend, limits, folder, |line| tell(line)).await?;
    let (backend, report) = report_on(started.backend, &args.backend, bench).await?;
    Ok((backend, started.config, report))
}

/// Limits, and beside them what the engine's own matrix multiplication reaches of the arithmetic.
async fn calibrated<B: Backend + Calibrate>(backend: &mut B) -> Result<Calibrated> {
    let limits = backend.calibrate()?;
    // As large as keeps a device busy that is so fast, or so slow: 0.13 or 69 GFLOP.
    let side = if limits.gflop_per_s < 1000.0 { 512 } else { 4096 };
    let shape = workloads::Shape { num_rows: side / 2, in_features: side, out_features: side };
    let timing = {
        let weight = workloads::weight(backend, [side, side], ElementType::F32)?;
        let mut workload = workloads::Workload::new(backend, shape, ElementType::F32, &weight)?;
        measure(backend, 5, |backend| workload.record(backend)).await?
    };
    backend.forget_peak();
    Ok(Calibrated { limits, matmul_gflop_per_s: shape.flop() / timing.low_us / 1e3 })
}

/// Refuses a count of 0, and one that is more than anybody can mean.
fn in_range(option: &'static str, value: usize, most: usize) -> Result<()> {
    let reason = format!("it must be at least 1, and at most {most}");
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(Error::InvalidOption { option, value: value.to_string(), reason })
    }
}

/// A request that gets exactly so many tokens.
fn so_many_tokens(max_new_tokens: usize) -> SamplingParams {
    SamplingParams { max_new_tokens, ignore_eos: true, ..SamplingParams::default() }
}

async fn report_on(mut backend: Chosen, args: &BackendArgs, bench: &'static str) -> Result<(Chosen, Report)> {
    let kernels = backend.kernel_set();
    let (device, tuning, calibration) = match &mut backend {
        Chosen::Gpu(gpu) => (gpu.name(), Some(gpu.tuning()), calibrated(&mut **gpu).await?),
        Chosen::Cpu(cpu) => (cpu.name(), None, calibrated(cpu).await?),
    };
    let report = Report::new(bench, device, kernels, tuning, calibration);
    let is_gpu = matches!(backend, Chosen::Gpu(_));
    Ok((backend, if is_gpu { report.on_request(args) } else { report }))
}
