//! What a bench found: a table for people, JSON for programs.

use super::measure::Timing;
use super::throughput::Served;
use crate::backend::Backend;
use crate::backend::calibration::Calibration;
use crate::backend::gpu::KernelSet;
use crate::backend::ledger::MemoryUse;
use crate::cli::memory::peak_text;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::memory_plan::PlannedMemory;
use std::io::Write;
use std::path::Path;

/// Everything that one run of a bench found.
#[derive(serde::Serialize)]
pub struct Report {
    bench: &'static str,
    version: &'static str,
    device: String,
    /// On a GPU.
    kernels: Option<String>,
    repeats: usize,
    calibration: Calibration,
    cases: Vec<Case>,
    /// What was compared before anything was timed.
    checks: Vec<String>,
    /// What an engine took, where one ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    /// What an option costs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prices: Vec<String>,
    /// How requests were served, for `throughput`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    served: Vec<Served>,
}

/// What an engine took of its backend's memory.
#[derive(serde::Serialize)]
struct Memory {
    planned: PlannedMemory,
    used: MemoryUse,
}

/// One line of the table.
#[derive(serde::Serialize)]
pub struct Case {
    /// What was timed.
    pub name: String,
    /// How long it took.
    #[serde(flatten)]
    pub timing: Timing,
    /// Bytes that it cannot do without: weights, K and V, inputs and outputs, each counted once.
    pub bytes: f64,
    /// Multiplications and additions that it cannot do without.
    pub flop: f64,
    /// What it produces, and how much of it: tokens, for a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<f64>,
}

impl Report {
    /// Nothing found yet.
    pub fn new(
        bench: &'static str,
        device: String,
        kernels: Option<KernelSet>,
        repeats: usize,
        calibration: Calibration,
    ) -> Self {
        Self {
            bench,
            version: env!("CARGO_PKG_VERSION"),
            device,
            kernels: kernels.map(|kernels| format!("{kernels:?}").to_lowercase()),
            repeats,
            calibration,
            cases: Vec::new(),
            checks: Vec::new(),
            prices: Vec::new(),
            memory: None,
            served: Vec::new(),
        }
    }

    /// Adds a line.
    pub fn push(&mut self, case: Case) {
        self.cases.push(case);
    }

    /// Adds how requests were served.
    pub fn served(&mut self, served: Served) {
        self.served.push(served);
    }

    /// Notes what an engine has taken of its backend's memory.
    pub fn memory<B: Backend>(&mut self, engine: &Engine<B>) {
        self.memory = Some(Memory { planned: engine.planned_memory(), used: engine.memory() });
    }

    /// Adds what was compared, and found to be the same.
    pub fn checked(&mut self, what: String) {
        self.checks.push(what);
    }

    /// Says how much longer each case takes than the one of that name in `usual`.
    pub fn price_against(&mut self, usual: &Report, what: &str) {
        let price = |case: &Case| {
            let other = usual.cases.iter().find(|other| other.name == case.name)?;
            let ratio = case.timing.median_us / other.timing.median_us;
            Some(format!("{what}: {} takes {ratio:.2} times as long as without", case.name))
        };
        self.prices = self.cases.iter().filter_map(price).collect();
    }

    /// Prints the table, and writes the JSON where it is wanted.
    ///
    /// # Errors
    /// [`Error::WriteOutput`] or [`Error::WriteFile`] if either cannot be written.
    pub fn finish(&self, json: Option<&Path>) -> Result<()> {
        std::io::stdout().write_all(self.table().as_bytes()).map_err(Error::WriteOutput)?;
        let Some(path) = json else { return Ok(()) };
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::WriteOutput(error.into()))? + "\n";
        std::fs::write(path, text).map_err(|source| Error::WriteFile { path: path.to_owned(), source })
    }

    fn table(&self) -> String {
        let best = &self.calibration;
        let kernels = self.kernels.as_ref().map_or(String::new(), |kernels| format!(", {kernels} kernels"));
        let mut text = format!("{}{kernels}\n", self.device);
        text += &format!(
            "at best: reads {:.1} GB/s, copies {:.1} GB/s, {:.0} GFLOP/s, {:.1} µs a kernel call\n",
            best.read_gb_per_s, best.copy_gb_per_s, best.gflop_per_s, best.dispatch_us
        );
        if let Some(Memory { planned, used }) = &self.memory {
            text += &format!("{}\n", peak_text(used, planned));
        }
        for check in &self.checks {
            text += &format!("checked: {check}\n");
        }
        if !self.cases.is_empty() {
            text += &self.cases_table();
        }
        for price in &self.prices {
            text += &format!("{price}\n");
        }
        if !self.served.is_empty() {
            text += &served_table(&self.served);
        }
        text
    }

    fn cases_table(&self) -> String {
        let mut text = String::new();
        let width = self.cases.iter().map(|case| case.name.chars().count()).max().unwrap_or_default();
        let tokens = self.cases.iter().any(|case| case.tokens.is_some());
        let per_second = if tokens { "tokens/s" } else { "" };
        text += &format!(
            "{:width$} {:>12} {:>9} {:>8} {:>8} {:>10} {per_second:>9}\n",
            "", "median µs", "±", "GB/s", "GFLOP/s", "of limit"
        );
        for case in &self.cases {
            let Timing { median_us, low_us, high_us } = case.timing;
            let (gb, gflop) = (case.bytes / median_us / 1e3, case.flop / median_us / 1e3);
            let rate = case.tokens.map_or(String::new(), |tokens| format!("{:.2}", 1e6 * tokens / median_us));
            text += &format!(
                "{:width$} {median_us:>12.1} {:>8.1}% {gb:>8.2} {gflop:>8.2} {:>10} {rate:>9}\n",
                case.name,
                50.0 * (high_us - low_us) / median_us,
                self.share(gb, gflop),
            );
        }
        text
    }

    /// How much of what limits it a case uses: memory or arithmetic, whichever it keeps busier.
    fn share(&self, gb: f64, gflop: f64) -> String {
        let of_memory = gb / self.calibration.read_gb_per_s;
        let of_arithmetic = gflop / self.calibration.gflop_per_s;
        let (share, what) = if of_memory > of_arithmetic { (of_memory, "mem") } else { (of_arithmetic, "math") };
        format!("{:.0}% {what}", 100.0 * share)
    }
}

fn served_table(served: &[Served]) -> String {
    let mut text = format!(
        "{:12} {:>8} {:>6} {:>7} {:>9}   {:>26}   {:>26}\n",
        "batching", "seconds", "steps", "tokens", "tokens/s", "first token ms 50/95/99 %", "token gap ms 50/95/99 %"
    );
    for served in served {
        let three = |[a, b, c]: [f64; 3]| format!("{a:.1} / {b:.1} / {c:.1}");
        text += &format!(
            "{:12} {:>8.2} {:>6} {:>7} {:>9.1}   {:>26}   {:>26}\n",
            served.batching,
            served.seconds,
            served.steps,
            served.tokens,
            served.tokens_per_second,
            three(served.first_token_ms),
            three(served.token_gap_ms),
        );
    }
    text
}
