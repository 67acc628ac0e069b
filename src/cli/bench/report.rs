//! What a bench found: a table for people, JSON for programs.

use super::attention::table::attention_table;
use super::case::{Case, Limit};
use super::measure::Timing;
use super::served::{Served, served_table};
use crate::backend::Backend;
use crate::backend::calibration::{Calibrate, Calibration};
use crate::backend::gpu::Tuning;
use crate::backend::kernel_set::KernelSet;
use crate::backend::memory_tracker::MemoryUse;
use crate::cli::choose_backend::BackendArgs;
use crate::cli::memory::peak_text;
use crate::cli::wording::value_text;
use crate::engine::DeviceEngine;
use crate::error::{Error, Result};
use crate::model::memory_plan::PlannedMemory;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Everything that one run of a bench found.
#[derive(serde::Serialize)]
pub struct Report {
    bench: &'static str,
    version: &'static str,
    device: String,
    kernels: KernelSet,
    /// Of fast kernels.
    #[serde(skip_serializing_if = "Option::is_none")]
    tuning: Option<Tuning>,
    /// Where kernels came from that differ from the program's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    shaders: Option<PathBuf>,
    /// Whether each row took one path on a GPU, whatever else was in its batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    deterministic: Option<bool>,
    /// Measurements of each case.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<usize>,
    calibration: Calibrated,
    /// The limits measured again in the course of a long run. A case is held against the last before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recalibrations: Vec<Calibration>,
    cases: Vec<Case>,
    /// Combinations of options that make no sense.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
    /// What was compared before anything was timed.
    checks: Vec<String>,
    /// What an engine took, where one ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    /// What ran in turns with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    compared: Vec<Compared>,
    /// How requests were served, for `throughput`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    served: Vec<Served>,
}

/// A case held against another way to compute it.
#[derive(serde::Serialize)]
struct Compared {
    /// Its name.
    case: String,
    /// The other way.
    against: String,
    /// How many times as long the case takes: the median of the ratios within each round.
    times_as_long: f64,
}

impl Compared {
    fn text(&self) -> String {
        let Self { case, against, times_as_long } = self;
        match *times_as_long < 1.0 {
            true => format!("{case}: {:.2} times as fast as {against}\n", 1.0 / times_as_long),
            false => format!("{case}: takes {times_as_long:.2} times as long as {against}\n"),
        }
    }
}

/// What an engine took of its backend's memory.
#[derive(serde::Serialize)]
struct Memory {
    planned: PlannedMemory,
    used: MemoryUse,
}

/// What the machine can do at best.
#[derive(Clone, Copy, serde::Serialize)]
pub struct Calibrated {
    /// Memory and arithmetic, each by itself, and on a device a kernel call.
    #[serde(flatten)]
    pub limits: Calibration,
    /// What the engine's own `linear` makes of f32, many rows and a square weight, in 10⁹ multiplications and additions.
    pub matmul_gflop_per_s: f64,
}

impl Report {
    /// Nothing found yet.
    pub fn new(
        bench: &'static str,
        device: String,
        kernels: KernelSet,
        tuning: Option<Tuning>,
        calibration: Calibrated,
    ) -> Self {
        Self {
            bench,
            version: env!("CARGO_PKG_VERSION"),
            device,
            kernels,
            tuning: tuning.filter(|_| kernels == KernelSet::Fast),
            shaders: None,
            deterministic: None,
            repeats: None,
            calibration,
            recalibrations: Vec::new(),
            cases: Vec::new(),
            left_out: Vec::new(),
            checks: Vec::new(),
            compared: Vec::new(),
            memory: None,
            served: Vec::new(),
        }
    }

    /// Notes what else the user said of the kernels of a GPU.
    pub fn on_request(self, args: &BackendArgs) -> Self {
        Self { shaders: args.shaders.clone(), deterministic: args.deterministic.then_some(true), ..self }
    }

    /// So many measurements of each case.
    pub fn repeated(self, repeats: usize) -> Self {
        Self { repeats: Some(repeats), ..self }
    }

    /// Measures again what the machine can do at best: cases after this are held against that.
    ///
    /// # Errors
    /// Those of [`Calibrate::calibrate`].
    pub fn recalibrate(&mut self, backend: &mut impl Calibrate) -> Result<()> {
        self.recalibrations.push(backend.calibrate()?);
        Ok(())
    }

    /// What keeps work that is so large from being faster.
    pub fn limit_of(&self, bytes: f64, flop: f64) -> Limit {
        let limits = self.limits();
        match bytes / limits.read_gb_per_s > flop / limits.gflop_per_s {
            true => Limit::Memory,
            false => Limit::Math,
        }
    }

    /// Adds a line: what was timed, and what that cannot do without. More can be added to it.
    pub fn push(&mut self, name: String, timing: Timing, bytes: f64, flop: f64) -> &mut Case {
        let [gb_per_s, gflop_per_s] = [bytes, flop].map(|amount| amount / timing.median_us / 1e3);
        let limit = self.limit_of(bytes, flop);
        let (reached, best) = match limit {
            Limit::Memory => (gb_per_s, self.limits().read_gb_per_s),
            Limit::Math => (gflop_per_s, self.limits().gflop_per_s),
        };
        let share = reached / best;
        let (tokens, attention) = (None, None);
        self.cases.push(Case {
            name,
            timing,
            bytes,
            flop,
            gb_per_s,
            gflop_per_s,
            limit,
            best,
            share,
            tokens,
            attention,
        });
        self.cases.last_mut().expect("a case was added")
    }

    /// How requests were served.
    pub fn all_served(&self) -> &[Served] {
        &self.served
    }

    /// What was measured.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// All lines so far.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Adds how requests were served.
    pub fn served(&mut self, served: Served) {
        self.served.push(served);
    }

    /// Notes what an engine has taken of its backend's memory.
    pub fn memory<B: Backend>(&mut self, engine: &DeviceEngine<B>) {
        self.memory = Some(Memory { planned: engine.runner().planned_memory(), used: engine.runner().memory() });
    }

    /// Notes what nobody measured though it was asked for.
    pub fn leave_out(&mut self, what: Vec<String>) {
        self.left_out = what;
    }

    /// Adds what was compared, and found to be the same.
    pub fn checked(&mut self, what: String) {
        self.checks.push(what);
    }

    /// Says how many times as long a case takes as another way to compute it.
    pub fn compared(&mut self, case: &str, against: &str, times_as_long: f64) {
        self.compared.push(Compared { case: case.into(), against: against.into(), times_as_long });
    }

    /// Prints the table, and writes the JSON where it is wanted.
    ///
    /// # Errors
    /// [`Error::WriteOutput`] or [`Error::WriteFile`] if either cannot be written.
    pub fn finish(&self, json: Option<&Path>) -> Result<()> {
        write_report(&self.table(), json, self)
    }

    fn limits(&self) -> &Calibration {
        self.recalibrations.last().unwrap_or(&self.calibration.limits)
    }

    fn table(&self) -> String {
        let Calibrated { limits: best, matmul_gflop_per_s } = &self.calibration;
        let mut text = format!("{}, {} kernels", self.device, value_text(self.kernels));
        if let Some(tuning) = self.tuning {
            text += &format!(" tuned for {}", value_text(tuning));
        }
        if let Some(dir) = &self.shaders {
            text += &format!(", shaders from {}", dir.display());
        }
        if self.deterministic == Some(true) {
            text += ", deterministic";
        }
        text += "\n";
        let of_thread =
            best.thread_gflop_per_s.map_or(String::new(), |gflop| format!(" ({gflop:.0} by a thread alone)"));
        let dispatch = best.dispatch_us.map_or(String::new(), |us| format!(", {us:.1} µs a kernel call"));
        text += &format!(
            "at best: reads {:.1} GB/s, copies {:.1} GB/s, {:.0} GFLOP/s{of_thread}{dispatch}; \
             linear {matmul_gflop_per_s:.0} GFLOP/s\n",
            best.read_gb_per_s, best.copy_gb_per_s, best.gflop_per_s
        );
        text += &recalibrated_text(best, &self.recalibrations);
        if let Some(Memory { planned, used }) = &self.memory {
            text += &format!("{}\n", peak_text(used, planned));
        }
        if !self.left_out.is_empty() {
            text += &format!("left out: {}\n", self.left_out.join(", "));
        }
        for check in &self.checks {
            text += &format!("checked: {check}\n");
        }
        if self.cases.iter().any(|case| case.attention.is_some()) {
            text += &attention_table(&self.cases);
        } else if !self.cases.is_empty() {
            text += &self.cases_table();
        }
        text += &self.compared.iter().map(Compared::text).collect::<String>();
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
            let (gb, gflop) = (case.gb_per_s, case.gflop_per_s);
            let limit = match case.limit {
                Limit::Memory => "mem",
                Limit::Math => "math",
            };
            let share = format!("{:.0}% {limit}", 100.0 * case.share);
            let rate = case.tokens.map_or(String::new(), |tokens| format!("{:.2}", 1e6 * tokens / median_us));
            text += &format!(
                "{:width$} {median_us:>12.1} {:>8.1}% {gb:>8.2} {gflop:>8.2} {share:>10} {rate:>9}\n",
                case.name,
                50.0 * (high_us - low_us) / median_us,
            );
        }
        text
    }
}

/// Prints a table, and writes the JSON of all that it is made of where it is wanted.
///
/// # Errors
/// [`Error::WriteOutput`] or [`Error::WriteFile`] if either cannot be written.
pub fn write_report(table: &str, json: Option<&Path>, report: &impl serde::Serialize) -> Result<()> {
    let table: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    std::io::stdout().write_all(table.as_bytes()).map_err(Error::WriteOutput)?;
    let Some(path) = json else { return Ok(()) };
    let text = serde_json::to_string_pretty(report).map_err(|error| Error::WriteOutput(error.into()))? + "\n";
    std::fs::write(path, text).map_err(|source| Error::WriteFile { path: path.to_owned(), source })
}

/// How far the limits moved in the course of the run.
fn recalibrated_text(first: &Calibration, later: &[Calibration]) -> String {
    if later.is_empty() {
        return String::new();
    }
    let range = |of: fn(&Calibration) -> f64| {
        let all = || std::iter::once(first).chain(later).map(of);
        (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max))
    };
    let (slow_read, fast_read) = range(|limits| limits.read_gb_per_s);
    let (slow_math, fast_math) = range(|limits| limits.gflop_per_s);
    format!(
        "in the course of the run: reads {slow_read:.1} to {fast_read:.1} GB/s, \
         {slow_math:.0} to {fast_math:.0} GFLOP/s\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_time_is_twice_as_fast() {
        let text = |times_as_long| Compared { case: "a".into(), against: "with b".into(), times_as_long }.text();
        assert_eq!(text(0.5), "a: 2.00 times as fast as with b\n");
        assert_eq!(text(2.0), "a: takes 2.00 times as long as with b\n");
    }
}
