//! `cb-lab generate`: prompts in, text out, all prompts batched together.

use super::choose_backend::{BackendArgs, Chosen};
use super::engine_args::{LimitArgs, SamplingArgs, open_model};
use super::idle::{lines_text, options_text};
use super::memory::peak_text;
use super::output::{Format, OutputWriter};
use super::progress::{Progress, Verbosity};
use super::prompts::{self, PromptJob};
use super::record::{OpenRecords, RecordArgs, RecordFile};
use super::spelling::spelled;
use super::start::start;
use super::wording::complain;
use crate::backend::Backend;
use crate::config::EngineConfig;
use crate::core::request::SamplingParams;
use crate::engine::admission;
use crate::engine::loaded_folder::LoadedFolder;
use crate::engine::{DeviceEngine, Engine, Update};
use crate::error::Result;
use crate::ids::TokenId;
use crate::model::ModelFolder;
use std::io::{StdoutLock, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use web_time::Instant;

/// Tokens per prompt if nothing is said about it.
const DEFAULT_MAX_NEW_TOKENS: usize = 64;
/// The same for the built-in prompts: enough for a story of the embedded model to end by itself.
const BUILT_IN_MAX_NEW_TOKENS: usize = 250;

/// Options of `generate`.
#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct GenerateArgs {
    /// Prompts; without any, a few built-in ones
    #[arg(value_name = "PROMPT")]
    prompts: Vec<String>,
    /// A Hugging Face model folder; without one, the embedded model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// More prompts: a file with a JSON object per line, - for stdin
    #[arg(long = "prompts", value_name = "FILE.jsonl")]
    prompts_file: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArgs,
    /// How to write results
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print a line per step, and the peak memory at the end
    #[arg(long)]
    log_steps: bool,
    #[command(flatten)]
    record: RecordArgs,
    /// Print results and errors only
    #[arg(long, conflicts_with = "log_steps")]
    quiet: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Runs the command.
///
/// # Errors
/// Whatever keeps the engine from starting or going on. Bad lines, refused requests and those that fail are reported and
/// others still run; then the exit code is 1.
pub async fn run(args: GenerateArgs) -> Result<ExitCode> {
    let verbosity = match (args.quiet, args.log_steps) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Steps,
        _ => Verbosity::Normal,
    };
    args.backend.check()?;
    let progress = Progress::new(verbosity);
    let defaults = args.sampling.params(if args.is_bare() { BUILT_IN_MAX_NEW_TOKENS } else { DEFAULT_MAX_NEW_TOKENS });
    defaults.validate()?;
    let model = open_model(args.model.as_deref())?;
    // What cannot be written is known before anything takes long.
    let records = args.record.open()?;

    let (jobs, complaints) = args.jobs(&defaults)?;
    complain_of_lines(&complaints);
    if jobs.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    let options_matter = jobs.iter().any(|job| job.params.temperature > 0.0);
    let idle_options = options_text(&defaults).filter(|_| !options_matter);
    idle_options.into_iter().chain(lines_text(&jobs)).for_each(|line| progress.say(&line));
    let folder = LoadedFolder::open(&model).await?;
    let options = args.limits.options();
    // Timing costs a little, and only a trace shows it.
    let backend = BackendArgs { time_kernels: args.record.trace.is_some(), ..args.backend.clone() };
    let started = start(&backend, &options, &folder, |line| progress.say(line)).await?;
    let config = started.config;
    let writer = OutputWriter::new(std::io::stdout().lock(), args.format, &jobs, jobs.len() + complaints.len());
    let run = Generation { model: &model, args: &args, jobs: &jobs, records, writer, progress };
    let all_finished = match started.backend {
        Chosen::Gpu(backend) => generate(*backend, folder, config, run).await?,
        Chosen::Cpu(backend) => generate(backend, folder, config, run).await?,
    };
    Ok(ExitCode::from(u8::from(!(all_finished && complaints.is_empty()))))
}

/// Tells the first few: a file of another kind has a wrong line for each of its lines.
fn complain_of_lines(complaints: &[String]) {
    const SHOWN: usize = 20;
    complaints.iter().take(SHOWN).for_each(complain);
    if complaints.len() > SHOWN {
        complain(format_args!("and {} more lines that cannot be used", complaints.len() - SHOWN));
    }
}

/// A run that has all it needs but a backend.
struct Generation<'a> {
    model: &'a ModelFolder,
    args: &'a GenerateArgs,
    jobs: &'a [PromptJob],
    records: OpenRecords,
    writer: OutputWriter<'a, StdoutLock<'static>>,
    progress: Progress,
}

/// True if every job was accepted and has finished.
async fn generate<B: Backend>(
    backend: B,
    folder: LoadedFolder,
    config: EngineConfig,
    generation: Generation<'_>,
) -> Result<bool> {
    let Generation { model, args, jobs, records, mut writer, mut progress } = generation;
    // All of it is checked before any device memory is taken.
    let mut accepted = Vec::new();
    for (job_idx, job) in jobs.iter().enumerate() {
        match admit(job, &folder, &config) {
            Ok(prompt_token_ids) => accepted.push((job_idx, prompt_token_ids)),
            Err(error) => {
                complain(format_args!("{}: {}", job.place, spelled(&error)));
                writer.refuse(job_idx)?;
            }
        }
    }
    if accepted.is_empty() {
        return Ok(false);
    }

    let mut engine = progress.loading(folder.files.reading(), Engine::new(backend, folder, config.clone())).await?;
    let mut record = RecordFile::create(records, model, &mut engine)?;
    progress.begin(&jobs.iter().map(|job| job.prompt.title()).collect::<Vec<_>>(), writer.is_alone());
    let served = serve(&mut engine, &accepted, jobs, &mut record, &mut writer, &mut progress).await;
    // Also of a run that failed: what had finished, and the trace. What went wrong first is told.
    let (written, recorded) = (writer.write_finished(), record.finish());
    let num_failed = served?;
    written.and(recorded)?;
    let num_finished = accepted.len() - num_failed;
    progress.summary(num_finished, engine.scheduler().num_free_blocks(), &config);
    progress.say(&peak_text(&engine.runner().memory(), &engine.runner().planned_memory()));
    // The built-in prompts are there to show what batching is good for.
    if args.is_bare() && !args.quiet {
        let begin = Instant::now();
        let num_steps = one_at_a_time(&mut engine, accepted, jobs).await?;
        progress.one_at_a_time(num_steps, begin.elapsed());
    }
    Ok(num_finished == jobs.len())
}

/// Computes all jobs that were accepted, and counts those that failed.
async fn serve<B: Backend>(
    engine: &mut DeviceEngine<B>,
    accepted: &[(usize, Vec<TokenId>)],
    jobs: &[PromptJob],
    record: &mut RecordFile,
    writer: &mut OutputWriter<'_, impl Write>,
    progress: &mut Progress,
) -> Result<usize> {
    let mut job_of_request = Vec::new();
    let mut num_failed = 0;
    for (job_idx, prompt_token_ids) in accepted {
        let id = engine.submit(prompt_token_ids.clone(), jobs[*job_idx].params.clone())?;
        record.submitted(engine, id)?;
        job_of_request.push(*job_idx);
    }
    while !engine.is_idle() {
        let report = engine.step().await?;
        let recorded = record.step(&report, engine);
        progress.step(&report);
        for update in report.updates {
            match update {
                Update::Token { id, text, .. } => {
                    progress.token(job_of_request[id.0 as usize], id, &text);
                    writer.text(&text)?;
                }
                Update::Finished { rest, output } => {
                    let job_idx = job_of_request[output.id.0 as usize];
                    progress.finish(job_idx, &rest, || writer.finish(job_idx, &rest, output))?;
                }
                Update::Failed { output, reason } => {
                    let job_idx = job_of_request[output.id.0 as usize];
                    num_failed += 1;
                    progress.finish(job_idx, "", || {
                        complain(format_args!("{}: {reason}", jobs[job_idx].place));
                        writer.fail(job_idx, output, &reason)
                    })?;
                }
                Update::Preempted(_) => (),
            }
        }
        // Not before what the step brought is written.
        recorded?;
    }
    Ok(num_failed)
}

/// Computes each request alone, as a server without batching would, and counts the steps.
async fn one_at_a_time<B: Backend>(
    engine: &mut DeviceEngine<B>,
    prompts: Vec<(usize, Vec<TokenId>)>,
    jobs: &[PromptJob],
) -> Result<usize> {
    let mut num_steps = 0;
    for (job_idx, prompt_token_ids) in prompts {
        engine.submit(prompt_token_ids, jobs[job_idx].params.clone())?;
        while !engine.is_idle() {
            engine.step().await?;
            num_steps += 1;
        }
    }
    Ok(num_steps)
}

/// A job's prompt as tokens, if the engine will accept it.
fn admit(job: &PromptJob, folder: &LoadedFolder, config: &EngineConfig) -> Result<Vec<TokenId>> {
    let prompt_token_ids = job.prompt.encode(folder)?;
    admission::check(&folder.config, config, &prompt_token_ids, &job.params)?;
    Ok(prompt_token_ids)
}

impl GenerateArgs {
    /// Nobody gave a prompt.
    fn is_bare(&self) -> bool {
        self.prompts.is_empty() && self.prompts_file.is_none()
    }

    /// All jobs in order, and a complaint for each bad line of the prompts file.
    fn jobs(&self, defaults: &SamplingParams) -> Result<(Vec<PromptJob>, Vec<String>)> {
        let mut jobs = prompts::from_arguments(&self.prompts, defaults);
        let Some(path) = &self.prompts_file else {
            let jobs = if jobs.is_empty() { prompts::built_in(defaults) } else { jobs };
            return Ok((jobs, Vec::new()));
        };
        let (more, complaints) = prompts::from_file(path, jobs.len(), defaults)?;
        jobs.extend(more);
        Ok((jobs, complaints))
    }
}
