//! What `generate` tells on stderr while it runs and at its end.

use super::memory::peak_resident_bytes;
use super::wording::{bytes_text, count_text, tell};
use crate::config::EngineConfig;
use crate::engine::StepReport;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
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
    bar: ProgressBar,
    begin: Instant,
    num_steps: usize,
    num_generated: usize,
    num_computed: usize,
}

impl Progress {
    /// Begins to watch.
    pub fn new(verbosity: Verbosity) -> Self {
        let shown = verbosity == Verbosity::Normal && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { verbosity, bar, begin: Instant::now(), num_steps: 0, num_generated: 0, num_computed: 0 }
    }

    /// A line for people.
    pub fn say(&self, line: &str) {
        if self.verbosity != Verbosity::Quiet {
            self.bar.suspend(|| tell(line));
        }
    }

    /// The first step is about to run: time counts from here.
    pub fn begin(&mut self) {
        self.begin = Instant::now();
    }

    /// A step was computed.
    pub fn step(&mut self, report: &StepReport) {
        let plan = &report.plan;
        self.num_steps += 1;
        self.num_generated += plan.num_samples();
        self.num_computed += plan.num_tokens();
        if self.verbosity == Verbosity::Steps {
            tell(step_line(self.num_steps, report));
        }
        self.bar.set_message(format!(
            "step {}: {} running, {} waiting, {} tokens, {:.1} tokens/s",
            self.num_steps,
            report.num_running,
            report.num_waiting,
            self.num_generated,
            self.num_generated as f64 / self.begin.elapsed().as_secs_f64(),
        ));
        self.bar.tick();
    }

    /// The run has ended, with this many blocks that nobody holds.
    pub fn summary(&self, num_finished: usize, num_free_blocks: usize, limits: &EngineConfig) {
        self.bar.finish_and_clear();
        let seconds = self.begin.elapsed().max(Duration::from_millis(1)).as_secs_f64();
        self.say(&format!(
            "{}, {} in {seconds:.2} s: {:.1} tokens/s, {} of {:.1} rows",
            count_text(num_finished, "request"),
            count_text(self.num_generated, "token"),
            self.num_generated as f64 / seconds,
            count_text(self.num_steps, "step"),
            self.num_computed as f64 / self.num_steps.max(1) as f64,
        ));
        if self.verbosity == Verbosity::Steps {
            self.say(&format!("KV blocks free at the end: {num_free_blocks} of {}", limits.num_kv_blocks));
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
        report.num_running,
        report.num_waiting,
        report.num_free_blocks,
        join(decodes.map(|row| row.id.to_string()).collect()),
        join(prefills().map(|row| format!("({},{})", row.id, row.query_len)).collect()),
    )
}
