//! `cb-lab bench throughput`: the same requests, arriving at the same times, served in two ways.

use super::measure::quantile;
use super::plot::{Line, Panel, PlotArgs};
use super::report::Report;
use super::served::Served;
use super::{CommonArgs, in_range, open_for_model, so_many_tokens};
use crate::backend::Backend;
use crate::cli::choose_backend::Chosen;
use crate::cli::engine_args::{LimitArgs, open_model};
use crate::cli::numbers::{count, decimal, from_zero};
use crate::cli::wording::tell;
use crate::config::EngineConfig;
use crate::engine::loaded_folder::LoadedFolder;
use crate::engine::philox::uniform;
use crate::engine::{DeviceEngine, Engine, Update};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;
use web_time::Instant;

/// Options of `bench throughput`.
#[derive(clap::Args)]
pub struct ThroughputArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// A Hugging Face model folder; without one, the embedded model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Requests
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 32)]
    requests: usize,
    /// Requests that arrive per second, at times of chance (a Poisson process)
    #[arg(long, value_name = "R", value_parser = decimal::<f64>, default_value_t = 20.0)]
    rate: f64,
    /// Longest prompt; lengths are spread evenly from a quarter of it
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 64)]
    prompt_len: usize,
    /// Longest output; lengths are spread evenly from an eighth of it
    #[arg(long, value_name = "N", value_parser = count::<usize>, default_value_t = 128)]
    output_len: usize,
    /// Of arrivals and lengths
    #[arg(long, value_name = "S", value_parser = from_zero::<u64>, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    pub(super) plot: PlotArgs,
}

/// Who may join a batch that is running. The static side is given what it can be given: a batch begins as soon as anybody
/// has come, a request gets its tokens as they are made, and one that has ended costs nothing more. (Older servers waited
/// for a full batch, answered when all had ended, and computed padding until then.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Batching {
    /// Whoever has arrived, in every step.
    Continuous,
    /// Nobody: the next batch begins when the last of this one has ended.
    Static,
}

struct Arrival {
    seconds: f64,
    prompt: Vec<u32>,
    output_len: usize,
}

/// Runs the bench.
///
/// # Errors
/// An option that cannot work, a model that cannot be run, a device that fails.
pub async fn run(args: &ThroughputArgs) -> Result<()> {
    args.validate()?;
    let folder = LoadedFolder::open(&open_model(args.model.as_deref())?).await?;
    let options = args.limits.options();
    let (backend, config, report) = open_for_model(&args.common, "throughput", &options, &folder).await?;
    let report = match backend {
        Chosen::Gpu(backend) => bench(*backend, args, folder, config, report).await?,
        Chosen::Cpu(backend) => bench(backend, args, folder, config, report).await?,
    };
    report.finish(args.common.json.as_deref())?;
    args.plot.draw("Static and continuous batching", report.device(), &panels(report.all_served()))
}

/// How long one waits: a panel for first tokens, one for the gaps between tokens.
fn panels(served: &[Served]) -> [Panel; 2] {
    let panel = |which: usize, title: &str| {
        let line = |served: &Served| {
            let sorted = &served.sorted_ms[which];
            let point = |(i, &ms): (usize, &f64)| (100.0 * (i + 1) as f64 / sorted.len() as f64, ms);
            Line { name: served.batching.into(), points: sorted.iter().enumerate().map(point).collect(), level: None }
        };
        let lines = served.iter().map(line).collect();
        Panel { title: title.into(), x: "% wait no longer", y: "ms", x_is_log2: false, lines }
    };
    [panel(0, "Arrival to first token"), panel(1, "One token to the next")]
}

async fn bench<B: Backend>(
    backend: B,
    args: &ThroughputArgs,
    folder: LoadedFolder,
    config: EngineConfig,
    mut report: Report,
) -> Result<Report> {
    let vocab_size = folder.config.vocab_size;
    let mut engine = Engine::new(backend, folder, config.clone()).await?;
    let arrivals = args.arrivals(vocab_size);
    // Pipelines are made before anything counts: for one row, for a few, for up to eight and for more.
    for batch in [1, 3, 6, 9] {
        for arrival in arrivals.iter().cycle().take(batch) {
            engine.submit(arrival.prompt.clone(), so_many_tokens(2))?;
        }
        engine.run_until_idle().await?;
    }
    for batching in [Batching::Static, Batching::Continuous] {
        tell(format_args!("{} requests, {batching:?} batching", arrivals.len()).to_string().to_lowercase());
        let served = serve(&mut engine, &arrivals, batching, config.max_num_seqs).await?;
        report.served(served);
    }
    report.memory(&engine);
    Ok(report)
}

async fn serve<B: Backend>(
    engine: &mut DeviceEngine<B>,
    arrivals: &[Arrival],
    batching: Batching,
    most_at_a_time: usize,
) -> Result<Served> {
    let mut to_come: VecDeque<&Arrival> = arrivals.iter().collect();
    // When each running request arrived, and when its last token came.
    let mut running: BTreeMap<_, (f64, Option<f64>)> = BTreeMap::new();
    let (mut first_token_ms, mut inter_token_ms) = (Vec::new(), Vec::new());
    let (mut steps, mut tokens) = (0, 0);
    let begin = Instant::now();
    while !(to_come.is_empty() && engine.is_idle()) {
        let now = begin.elapsed().as_secs_f64();
        let open = batching == Batching::Continuous || engine.is_idle();
        while open
            && (batching == Batching::Continuous || running.len() < most_at_a_time)
            && to_come.front().is_some_and(|arrival| arrival.seconds <= now)
            && let Some(arrival) = to_come.pop_front()
        {
            let id = engine.submit(arrival.prompt.clone(), so_many_tokens(arrival.output_len))?;
            running.insert(id, (arrival.seconds, None));
        }
        if engine.is_idle() {
            let next = to_come.front().map_or(now, |arrival| arrival.seconds);
            std::thread::sleep(Duration::from_secs_f64((next - now).max(0.0)));
            continue;
        }
        let updates = engine.step().await?.updates;
        let now = begin.elapsed().as_secs_f64();
        steps += 1;
        for update in updates {
            match update {
                Update::Token { id, .. } => {
                    tokens += 1;
                    let Some((arrived, last)) = running.get_mut(&id) else { continue };
                    match last.replace(now) {
                        None => first_token_ms.push(1e3 * (now - *arrived)),
                        Some(last) => inter_token_ms.push(1e3 * (now - last)),
                    }
                }
                Update::Finished { output, .. } => drop(running.remove(&output.id)),
                Update::Failed { reason, .. } => return Err(Error::RequestFailed(reason)),
                Update::Preempted(_) => (),
            }
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let three = |values: &mut Vec<f64>| [0.5, 0.95, 0.99].map(|part| quantile(values, part));
    Ok(Served {
        batching: if batching == Batching::Static { "static" } else { "continuous" },
        seconds,
        steps,
        tokens,
        tokens_per_second: tokens as f64 / seconds,
        first_token_ms: three(&mut first_token_ms),
        inter_token_ms: three(&mut inter_token_ms),
        sorted_ms: [first_token_ms, inter_token_ms],
    })
}

impl ThroughputArgs {
    fn validate(&self) -> Result<()> {
        if !(1e-3..=1e9).contains(&self.rate) {
            let (value, reason) = (self.rate.to_string(), "use a number from 0.001 to a thousand million".into());
            return Err(Error::InvalidOption { option: "rate", value, reason });
        }
        in_range("requests", self.requests, 100_000)?;
        in_range("prompt_len", self.prompt_len, 1 << 20)?;
        in_range("output_len", self.output_len, 1 << 20)
    }

    /// Who arrives when with what; it follows from the seed.
    fn arrivals(&self, vocab_size: usize) -> Vec<Arrival> {
        let mut draws = (0u64..).map(|i| uniform(self.seed, i));
        let mut draw = || draws.next().unwrap_or_default();
        let mut seconds = 0.0;
        let mut arrivals = Vec::with_capacity(self.requests);
        for _ in 0..self.requests {
            let mut len =
                |longest: usize, shortest: usize| shortest + (draw() * (longest + 1 - shortest) as f64) as usize;
            let prompt_len = len(self.prompt_len, self.prompt_len.div_ceil(4));
            let output_len = len(self.output_len, self.output_len.div_ceil(8));
            let prompt = (0..prompt_len).map(|_| (draw() * vocab_size as f64) as u32).collect();
            arrivals.push(Arrival { seconds, prompt, output_len });
            seconds -= (1.0 - draw()).ln() / self.rate;
        }
        arrivals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_many_wait_how_long() {
        let served = Served {
            batching: "static",
            seconds: 1.0,
            steps: 1,
            tokens: 1,
            tokens_per_second: 1.0,
            first_token_ms: [0.0; 3],
            inter_token_ms: [0.0; 3],
            sorted_ms: [vec![1.0, 2.0], vec![3.0]],
        };
        let [first_token, gap] = panels(&[served]);
        assert_eq!(first_token.lines[0].points, [(50.0, 1.0), (100.0, 2.0)]);
        assert_eq!(gap.lines[0].points, [(100.0, 3.0)]);
    }
}
