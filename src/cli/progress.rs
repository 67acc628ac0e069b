//! What `generate` tells on stderr while it runs and at its end.

use super::live::Live;
use super::loading;
use super::memory::peak_resident_bytes;
use super::wording::{bytes_text, count_text, tell};
use crate::config::EngineConfig;
use crate::engine::StepReport;
use crate::files::Reading;
use crate::ids::RequestId;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;
use web_time::Instant;

/// How much to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// A status line on a terminal, and a summary.
    Normal,
    /// A line a step.
    Steps,
}

/// Watches a run.
pub struct Progress {
    verbosity: Verbosity,
    live: Live,
    begin: Instant,
    /// What the run took, once it has ended.
    time: Duration,
    num_steps: usize,
    /// Tokens that somebody got: one that ends a request is sampled, too, and is none of its output.
    num_generated: usize,
    num_computed: usize,
    /// Since the run began, of each request that has a token.
    first_tokens: BTreeMap<RequestId, Duration>,
}

impl Progress {
    /// Begins to watch.
    pub fn new(verbosity: Verbosity) -> Self {
        let (live, begin, first_tokens) = (Live::hidden(), Instant::now(), BTreeMap::new());
        Self {
            verbosity,
            live,
            begin,
            time: Duration::ZERO,
            num_steps: 0,
            num_generated: 0,
            num_computed: 0,
            first_tokens,
        }
    }

    /// A line for people.
    pub fn say(&self, line: &str) {
        if self.verbosity != Verbosity::Quiet {
            self.live.suspend(|| tell(line));
        }
    }

    /// Waits for the model, whose files are read.
    pub async fn loading<T>(&self, reading: Reading, load: impl Future<Output = T>) -> T {
        if self.verbosity == Verbosity::Quiet { load.await } else { loading::shown(reading, load).await }
    }

    /// The first step is about to run: time counts from here. On a terminal there is a row for each title, unless the
    /// only text (`is_alone`) is itself written to the terminal as it comes.
    pub fn begin(&mut self, titles: &[String], is_alone: bool) {
        let text_is_seen = is_alone && std::io::stdout().is_terminal();
        if self.verbosity == Verbosity::Normal && std::io::stderr().is_terminal() && !text_is_seen {
            self.live = Live::on_stderr(titles);
        }
        self.begin = Instant::now();
    }

    /// A step was computed.
    pub fn step(&mut self, report: &StepReport) {
        let plan = &report.plan;
        self.num_steps += 1;
        self.num_computed += plan.num_tokens();
        if self.verbosity == Verbosity::Steps {
            tell(step_line(self.num_steps, report));
        }
        self.live.draw(format!(
            "  step {}: decode {}, prefill {}, waiting {}, free blocks {}, {:.0} tokens/s",
            self.num_steps,
            plan.num_decodes(),
            plan.num_tokens() - plan.num_decodes(),
            report.plan.num_waiting,
            report.plan.num_free_blocks,
            self.num_generated as f64 / self.begin.elapsed().as_secs_f64(),
        ));
    }

    /// A request got a token.
    pub fn token(&mut self, row_idx: usize, id: RequestId, text: &str) {
        self.num_generated += 1;
        self.first_tokens.entry(id).or_insert_with(|| self.begin.elapsed());
        self.live.text(row_idx, text);
    }

    /// A request has ended; `write` writes its results.
    pub fn finish<T>(&mut self, row_idx: usize, rest: &str, write: impl FnOnce() -> T) -> T {
        self.live.text(row_idx, rest);
        self.live.finish(row_idx);
        self.live.suspend(write)
    }

    /// The same requests were computed again, each alone.
    pub fn one_at_a_time(&self, num_steps: usize, time: Duration) {
        let (together, alone) = (self.time.as_secs_f64(), time.as_secs_f64());
        self.say(&format!(
            "one request at a time: {} in {alone:.2} s; together {:.1} times fewer steps and {:.1} times the speed",
            count_text(num_steps, "step"),
            num_steps as f64 / self.num_steps.max(1) as f64,
            alone / together,
        ));
    }

    /// The run has ended, with this many blocks that nobody holds.
    pub fn summary(&mut self, num_finished: usize, num_free_blocks: usize, config: &EngineConfig) {
        self.live.clear();
        self.time = self.begin.elapsed().max(Duration::from_millis(1));
        let seconds = self.time.as_secs_f64();
        self.say(&format!(
            "{}, {} in {seconds:.2} s: {:.1} tokens/s, {} of {:.1} rows",
            count_text(num_finished, "request"),
            count_text(self.num_generated, "token"),
            self.num_generated as f64 / seconds,
            count_text(self.num_steps, "step"),
            self.num_computed as f64 / self.num_steps.max(1) as f64,
        ));
        let longest = self.first_tokens.values().max().copied().unwrap_or_default();
        let mean = self.first_tokens.values().sum::<Duration>() / (self.first_tokens.len() as u32).max(1);
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        self.say(&format!("time to first token: {:.1} ms on average, {:.1} ms at most", ms(mean), ms(longest)));
        if self.verbosity == Verbosity::Steps {
            self.say(&format!("KV blocks free at the end: {num_free_blocks} of {}", config.num_kv_blocks));
            let peak = peak_resident_bytes().map_or("unknown on this system".into(), bytes_text);
            self.say(&format!("peak resident memory: {peak}"));
        }
    }
}

/// `step=12 decode=3 prefill=5 active=4 waiting=2 free_blocks=57 decode_ids=[0,1,2] prefill=[(3,5)]`: counts are tokens
/// for decode and prefill, sequences for active and waiting.
fn step_line(step: usize, report: &StepReport) -> String {
    let plan = &report.plan;
    let join = |parts: Vec<String>| parts.join(",");
    let decodes = plan.rows.iter().filter(|row| row.is_decode());
    let prefills = || plan.rows.iter().filter(|row| !row.is_decode());
    format!(
        "step={step} decode={} prefill={} active={} waiting={} free_blocks={} decode_ids=[{}] prefill=[{}]",
        plan.num_decodes(),
        prefills().map(|row| row.query_len).sum::<usize>(),
        report.plan.num_running,
        report.plan.num_waiting,
        report.plan.num_free_blocks,
        join(decodes.map(|row| row.id.to_string()).collect()),
        join(prefills().map(|row| format!("({},{})", row.id, row.query_len)).collect()),
    )
}
