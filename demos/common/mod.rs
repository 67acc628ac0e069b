//! What the demos share: flags, the screen, and a run that is recorded.
#![allow(dead_code, reason = "each demo uses its part of it")]

pub mod scenario;

use cb_lab::backend::Backend;
use cb_lab::backend::cpu::{CpuBackend, threads};
use cb_lab::cli::choose_backend::{BackendChoice, Chosen, choose_backend};
use cb_lab::cli::spelling::spelled;
use cb_lab::core::request::SamplingParams;
use cb_lab::core::skipped::Skipped;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::engine::{DeviceEngine, Engine, Update};
use cb_lab::model::embedded::default_model;
use cb_lab::observe::{Entry, Recorder, Recording, Run, Step, VERSION};
use cb_lab::{Error, RequestId, TokenId};
use pollster::block_on;
use std::error;
use std::io::{self, IsTerminal, StdoutLock, Write};
use std::process::ExitCode;

pub type Outcome<T = ()> = Result<T, Box<dyn error::Error>>;

#[derive(clap::Args)]
pub struct Device {
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub backend: BackendChoice,
}

#[derive(Clone, clap::Args)]
pub struct Limits {
    /// Most tokens computed in a step: the budget
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub max_tokens_per_step: usize,
    /// Most prompt tokens of one request in a step
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub prefill_chunk_size: usize,
    /// Tokens per KV block, a power of two up to 256
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub block_size: usize,
    /// KV blocks shared by all requests [default: the demo's own choice]
    #[arg(long, value_name = "N")]
    pub num_kv_blocks: Option<usize>,
}

#[derive(clap::Args)]
pub struct Requests {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub requests: usize,
    /// Tokens of the longest prompt; others have a half, three quarters, a quarter of it
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub prompt_len: usize,
    /// Tokens to generate for each
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub max_new_tokens: usize,
}

#[derive(Clone, clap::Args)]
pub struct Sampling {
    /// 0 always takes the most probable token
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    pub temperature: f32,
    /// Another seed gives other tokens, where the temperature is not 0
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
}

impl Limits {
    /// The same, with a pool for so many tokens if none was asked for.
    pub fn with_pool_for(&self, num_tokens: usize) -> Self {
        let num_kv_blocks = self.num_kv_blocks.or(Some(num_tokens.div_ceil(self.block_size.max(1))));
        Self { num_kv_blocks, ..*self }
    }
}

impl Requests {
    /// An error if there is none: of no request there is nothing to print.
    pub fn at_least_one(&self) -> Outcome {
        let (option, value, reason) = ("requests", "0".to_owned(), "use at least 1".to_owned());
        if self.requests == 0 { Err(Error::InvalidOption { option, value, reason }.into()) } else { Ok(()) }
    }

    pub fn prompt_len(&self, nth: usize) -> usize {
        (self.prompt_len * [4, 2, 3, 1][nth % 4]).div_ceil(4)
    }
}

/// A demo, generic over the backend it runs on. Each call of `backends` opens one.
pub trait Demo {
    /// Says where it runs, before it does.
    fn announce(&self, device: &str, screen: &mut Screen) -> Outcome {
        Ok(writeln!(screen, "{device}\n")?)
    }

    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome;
}

pub fn main(device: &Device, demo: &impl Demo) -> ExitCode {
    threads::join_this_thread();
    let mut screen = Screen::new();
    let outcome = run(device.backend, demo, &mut screen);
    exit_code(outcome.and_then(|()| Ok(screen.flush()?)))
}

/// Says what went wrong.
pub fn exit_code(outcome: Outcome) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => {
            let ours = error.downcast_ref::<Error>();
            eprintln!("error: {}", ours.map_or_else(|| error.to_string(), spelled));
            ExitCode::from(if let Some(Error::InvalidOption { .. }) = ours { 2 } else { 1 })
        }
    }
}

fn run(choice: BackendChoice, demo: &impl Demo, screen: &mut Screen) -> Outcome {
    let (chosen, line) = block_on(choose_backend(&choice.into()))?;
    demo.announce(&line, screen)?;
    match chosen {
        Chosen::Cpu(_) => demo.run(|| Ok(CpuBackend::default()), screen),
        Chosen::Gpu(_) => demo.run(
            || match block_on(choose_backend(&choice.into()))?.0 {
                Chosen::Gpu(gpu) => Ok(*gpu),
                Chosen::Cpu(_) => Err("the GPU is gone".into()),
            },
            screen,
        ),
    }
}

/// Standard output, in colour if it is a terminal and NO_COLOR is not set.
pub struct Screen {
    out: StdoutLock<'static>,
    in_colour: bool,
}

impl Screen {
    fn new() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { out: io::stdout().lock(), in_colour: io::stdout().is_terminal() && !no_colour }
    }

    /// Text in the colour of a request.
    pub fn paint(&self, id: RequestId, text: &str) -> String {
        let colour = [36, 33, 35, 32, 34, 31][id.0 as usize % 6];
        if self.in_colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.into() }
    }

    pub fn bold(&self, text: &str) -> String {
        if self.in_colour { format!("\x1b[1m{text}\x1b[0m") } else { text.into() }
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// So much of it, in hundredths and rounded.
pub fn percent(part: usize, of: usize) -> usize {
    (100 * part + of / 2) / of.max(1)
}

/// A request's number in one character.
pub fn digit(id: RequestId) -> char {
    char::from_digit((id.0 % 36) as u32, 36).unwrap_or('?')
}

/// An engine with the default model, and the log of what it does.
pub struct Lab<B: Backend> {
    pub engine: DeviceEngine<B>,
    pub recording: Recording,
    recorder: Recorder,
}

impl<B: Backend> Lab<B> {
    pub fn new(backend: B, limits: &Limits) -> Outcome<Self> {
        let model = default_model();
        let folder = pollster::block_on(LoadedFolder::open(&model))?;
        let options = LimitOptions {
            block_size: Some(limits.block_size),
            num_kv_blocks: limits.with_pool_for(192).num_kv_blocks,
            max_tokens_per_step: Some(limits.max_tokens_per_step),
            prefill_chunk_size: Some(limits.prefill_chunk_size),
            ..LimitOptions::default()
        };
        let limits = options.resolve(&folder.config, backend.max_buffer_words())?;
        let run = Run {
            version: VERSION,
            model: model.path().display().to_string(),
            backend: backend.name(),
            config: limits.clone(),
        };
        let mut engine = block_on(Engine::new(backend, folder, limits))?;
        // Demos show how each step left things.
        engine.step_one_by_one();
        let recorder = Recorder::new(&run.config);
        Ok(Self { engine, recording: Recording::new(run), recorder })
    }

    /// Submits `len` tokens of a story, for which `max_new_tokens` are to be generated.
    pub fn submit(&mut self, len: usize, max_new_tokens: usize, sampling: Option<&Sampling>) -> Outcome<RequestId> {
        let prompt = self.prompt(len)?;
        let (temperature, seed) = sampling.map_or((0.0, 0), |sampling| (sampling.temperature, sampling.seed));
        let params = SamplingParams { max_new_tokens, temperature, seed, ..Default::default() };
        let id = self.engine.submit(prompt, params)?;
        self.recording.push(self.recorder.submitted(id, len, max_new_tokens, self.engine.now()));
        Ok(id)
    }

    /// Each prompt begins elsewhere in the story.
    fn prompt(&self, len: usize) -> Outcome<Vec<TokenId>> {
        let story = "Once upon a time there was a little red boat. It lived by the sea and wanted to see the world. ";
        let tokens = self.engine.tokenizer().encode_rendered(story)?;
        let first = 5 * self.recording.requests().count();
        Ok(tokens.into_iter().cycle().skip(first).take(len).collect())
    }

    /// Gives a request up, unless it has ended.
    pub fn abort(&mut self, id: RequestId) -> Outcome {
        if self.engine.abort(id)?.is_some() {
            self.recording.push(self.recorder.aborted(id, self.engine.now()));
        }
        Ok(())
    }

    /// Computes a step and records it.
    pub fn step(&mut self) -> Outcome<(Step, Vec<Update>)> {
        let report = block_on(self.engine.step())?;
        let entry = self.recorder.step(&report);
        let Entry::Step(step) = entry.clone() else { unreachable!("the recorder was shown a step") };
        self.recording.push(entry);
        Ok((step, report.updates))
    }

    /// Who got no row in the last step, and why: those that run, then those that wait.
    pub fn skipped(&self) -> Vec<(RequestId, Skipped)> {
        self.recording.skipped().pop().unwrap_or_default()
    }

    /// Lets the device prepare its kernels before time counts: a request 0 that is not recorded.
    pub fn warm_up(&mut self) -> Outcome {
        self.engine.submit(self.prompt(2)?, SamplingParams { max_new_tokens: 2, ..Default::default() })?;
        block_on(self.engine.run_until_idle())?;
        self.engine.runner_mut().restart_clock();
        Ok(())
    }

    /// Computes so many steps, or fewer if all requests end before.
    pub fn run_steps(&mut self, num_steps: usize) -> Outcome {
        for _ in 0..num_steps {
            if self.engine.is_idle() {
                break;
            }
            self.step()?;
        }
        Ok(())
    }
}
