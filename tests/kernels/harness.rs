//! What all pair tests share: a case runs on any backend, and its output is held against that of the twin.
//!
//! * Inputs come from a seeded generator and are followed by NaN, which a kernel that reads too far takes in.
//! * Outputs are full of [`POISON`] before the kernel runs, so that a word it forgets is seen, and are followed by
//!   [`GUARD`] words, so that a word it writes too far is seen.
//! * A word passes if both backends have the same bits, or if both are finite and within the case's [`Tolerance`].

use cb_lab::backend::cpu::{CpuBackend, CpuOptions, InstructionSet};
use cb_lab::backend::element_type::{ElementType, unpack_f16};
use cb_lab::backend::gpu::{GpuBackend, GpuOptions};
use cb_lab::backend::kernel_set::KernelSet;
use cb_lab::backend::{Backend, UPLOAD_ROWS};
use cb_lab::config::KvDtype;
use std::sync::Arc;

pub use crate::gpu::Gpu;
pub use crate::rng::Rng;

/// A NaN that no kernel makes by itself.
pub const POISON: u32 = 0x7fc0_dead;
/// Follows every output.
const GUARD: u32 = 0xdead_beef;
/// Guard words after an output, and NaNs after an input.
const TAIL: usize = 64;

/// One kernel on one set of inputs.
pub trait Case: Send + Sync + 'static {
    /// Shapes and specialities: `width=64,rows=3`. Also seeds the inputs.
    fn name(&self) -> String;
    /// How far a GPU may be from the twin.
    fn tolerance(&self) -> Tolerance;
    /// Limits of the device to try the case under.
    fn options(&self) -> GpuOptions {
        GpuOptions::default()
    }
    /// Fills the inputs, runs the kernel, reads the outputs.
    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>>;
    /// Whether there is an oracle: kernels that only move words have none.
    const HAS_ORACLE: bool = false;
    /// The outputs by the formula in f64, the oracle. They judge the twin.
    fn oracle(&self) -> Vec<Vec<f64>> {
        Vec::new()
    }
}

/// `|gpu - twin| <= atol + rtol * |twin|`
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    pub atol: f64,
    pub rtol: f64,
}

impl Tolerance {
    /// For kernels that only move words, or whose arithmetic is exact.
    pub const EXACT: Self = Self { atol: 0.0, rtol: 0.0 };
}

/// Half an ulp of 1.0f32: the relative error of one rounding.
pub const ROUNDING: f64 = 1.0 / (1u64 << 24) as f64;

/// What a kernel wrote, and what stands behind it.
pub struct Output {
    pub name: &'static str,
    pub words: Vec<u32>,
    guards: Vec<u32>,
    /// Some words are not the kernel's to write and stay poison.
    partial: bool,
    /// The words are no floats, or only moved.
    exact: bool,
}

impl Output {
    /// Only some of the words are written.
    pub fn partial(self) -> Self {
        Self { partial: true, ..self }
    }

    /// The words must be the twin's, bit for bit.
    pub fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    /// The same output, of which other words are compared: some of its own, or what follows from them.
    pub fn with_words(self, words: Vec<u32>) -> Self {
        Self { words, ..self }
    }

    /// Halves, two in a word, become f32.
    pub fn widened(self, kv_dtype: KvDtype) -> Self {
        match kv_dtype {
            KvDtype::F32 => self,
            KvDtype::F16 => Self { words: bits(&unpack_f16(&self.words)), ..self },
        }
    }

    /// Splits pairs of (u32, f32 bits) into two outputs.
    pub fn split_pairs(self, names: [&'static str; 2]) -> [Self; 2] {
        let every_second = |first| self.words.iter().skip(first).step_by(2).copied().collect();
        let (firsts, seconds) = (every_second(0), every_second(1));
        let second = Self { name: names[1], words: seconds, guards: Vec::new(), partial: self.partial, exact: false };
        [Self { name: names[0], words: firsts, exact: true, ..self }, second]
    }
}

/// A backend with helpers to fill and read its buffers.
pub struct Lab<B: Backend>(pub B);

impl<B: Backend> Lab<B> {
    /// Index arrays.
    pub fn words(&mut self, words: &[u32]) -> cb_lab::Result<B::Buffer> {
        let mut buffer = self.0.alloc("words", words.len())?;
        self.0.upload(&mut buffer, 0, words);
        Ok(buffer)
    }

    /// An input, followed by NaN.
    pub fn input(&mut self, values: &[f32]) -> cb_lab::Result<B::Buffer> {
        self.filled(bits(values), f32::NAN.to_bits())
    }

    /// Elements of K or V, followed by NaN.
    pub fn kv_input(&mut self, values: &[f32], kv_dtype: KvDtype) -> cb_lab::Result<B::Buffer> {
        match kv_dtype {
            KvDtype::F32 => self.input(values),
            KvDtype::F16 => self.filled(ElementType::F16.pack(values, values.len()).words, 0x7e00_7e00),
        }
    }

    /// A weight matrix.
    pub fn matrix(
        &mut self,
        rows: usize,
        cols: usize,
        elements: ElementType,
        values: &[f32],
    ) -> cb_lab::Result<B::Matrix> {
        let mut matrix = self.0.alloc_matrix("matrix", rows, cols, elements)?;
        // In two parts, as a large one would be.
        let (first, rest) = values.split_at(values.len().min(UPLOAD_ROWS * cols));
        self.0.upload_rows(&mut matrix, 0, first);
        if !rest.is_empty() {
            self.0.upload_rows(&mut matrix, UPLOAD_ROWS, rest);
        }
        Ok(matrix)
    }

    /// An output, poisoned and guarded.
    pub fn output(&mut self, len: usize) -> cb_lab::Result<B::Buffer> {
        self.filled(vec![POISON; len], GUARD)
    }

    /// A buffer that a kernel changes in place, guarded.
    pub fn in_place(&mut self, values: &[f32]) -> cb_lab::Result<B::Buffer> {
        self.filled(bits(values), GUARD)
    }

    /// Runs what was recorded and reads an output of `len` words with its guards.
    pub fn read(&mut self, name: &'static str, buffer: &B::Buffer, len: usize) -> cb_lab::Result<Output> {
        let mut words = pollster::block_on(self.0.download(buffer, len + TAIL))?;
        let guards = words.split_off(len);
        Ok(Output { name, words, guards, partial: false, exact: false })
    }

    fn filled(&mut self, mut words: Vec<u32>, tail: u32) -> cb_lab::Result<B::Buffer> {
        words.resize(words.len() + TAIL, tail);
        self.words(&words)
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Why a case failed on a GPU. Only a mismatch kills a mutant.
#[derive(Debug)]
pub enum Failure {
    /// The device refused.
    Device(String),
    /// The device computed something else.
    Mismatch(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Device(message) | Failure::Mismatch(message) => f.write_str(message),
        }
    }
}

/// A [`Case`] of any kernel.
pub trait AnyCase: Send + Sync {
    fn title(&self) -> String;
    fn gpu_options(&self) -> GpuOptions;
    /// What a GPU makes of it.
    fn outputs(&self, gpu: &mut Lab<GpuBackend>) -> cb_lab::Result<Vec<Output>>;
    /// The fast kernels of the CPU against the twin, of which they have all bits.
    fn check_cpu(&self, instruction_set: InstructionSet) -> Result<(), Failure>;
    /// The GPU against the twin.
    fn check_gpu(&self, gpu: &mut Lab<GpuBackend>) -> Result<(), Failure>;
    /// Whether the twin can be held against an oracle.
    fn has_oracle(&self) -> bool;
    /// The twin against the oracle.
    fn check_twin(&self) -> Result<(), String>;
}

/// The cases of a kernel.
pub type Cases = Vec<Arc<dyn AnyCase>>;

/// Erases the type of some cases.
pub fn boxed<C: Case>(cases: impl IntoIterator<Item = C>) -> Cases {
    cases.into_iter().map(|case| Arc::new(case) as Arc<dyn AnyCase>).collect()
}

impl<C: Case> AnyCase for C {
    fn title(&self) -> String {
        self.name()
    }

    fn gpu_options(&self) -> GpuOptions {
        self.options()
    }

    fn outputs(&self, gpu: &mut Lab<GpuBackend>) -> cb_lab::Result<Vec<Output>> {
        self.run(gpu)
    }

    fn check_cpu(&self, instruction_set: InstructionSet) -> Result<(), Failure> {
        let options = CpuOptions { kernels: KernelSet::Fast, instruction_set };
        let fast = CpuBackend::new(options).and_then(|cpu| self.run(&mut Lab(cpu))).map_err(refused)?;
        let twin = self.run(&mut Lab(twin())).map_err(refused)?;
        compare_all(&twin, &fast, Tolerance::EXACT)?;
        Ok(())
    }

    fn check_gpu(&self, gpu: &mut Lab<GpuBackend>) -> Result<(), Failure> {
        let twin = self.run(&mut Lab(twin())).map_err(refused)?;
        let got = self.run(gpu).map_err(refused)?;
        let most = compare_all(&twin, &got, self.tolerance())?;
        if std::env::var_os("CB_LAB_MARGINS").is_some() {
            eprintln!("margin {most:.3} of {:?} on {} by {}", self.tolerance(), self.name(), gpu.0.name());
        }
        Ok(())
    }

    fn has_oracle(&self) -> bool {
        C::HAS_ORACLE
    }

    fn check_twin(&self) -> Result<(), String> {
        let oracle = self.oracle();
        let outputs = self.run(&mut Lab(twin())).map_err(|error| error.to_string())?;
        let tolerance = self.tolerance();
        let mut faults = Vec::new();
        for (output, oracle) in outputs.iter().zip(&oracle) {
            if output.words.len() != oracle.len() {
                return Err(format!("{} has {} words, its oracle {}", output.name, output.words.len(), oracle.len()));
            }
            for (i, (&word, &expected)) in output.words.iter().zip(oracle).enumerate() {
                let value = if output.exact { f64::from(word) } else { f64::from(f32::from_bits(word)) };
                // A NaN is not close to anything.
                let close = (value - expected).abs() <= tolerance.atol + tolerance.rtol * expected.abs();
                if !close && faults.len() < 5 {
                    faults.push(format!("{}[{i}]: oracle {expected:e}, twin {value:e}", output.name));
                }
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }
}

/// The kernels that define the others.
pub fn twin() -> CpuBackend {
    let options = CpuOptions { kernels: KernelSet::Naive, ..CpuOptions::default() };
    CpuBackend::new(options).expect("every CPU has some instructions")
}

fn refused(error: cb_lab::Error) -> Failure {
    Failure::Device(error.to_string())
}

fn compare_all(twin: &[Output], got: &[Output], tolerance: Tolerance) -> Result<f64, Failure> {
    if twin.len() != got.len() {
        return Err(Failure::Mismatch("another number of outputs".into()));
    }
    let mut most = 0.0f64;
    for (twin, got) in twin.iter().zip(got) {
        most = most.max(compare(twin, got, tolerance).map_err(Failure::Mismatch)?);
    }
    Ok(most)
}

/// How much of the tolerance the worst word used up, or the first faults.
pub fn compare(twin: &Output, got: &Output, tolerance: Tolerance) -> Result<f64, String> {
    let mut faults = Vec::new();
    for (side, output) in [("twin", twin), ("the other", got)] {
        if let Some(i) = output.guards.iter().position(|&word| word != GUARD) {
            faults.push(format!("{side} wrote {i} words past the end of {}", output.name));
        }
    }
    let mut most = 0.0f64;
    for (i, (&expected, &got)) in twin.words.iter().zip(&got.words).enumerate() {
        if expected == POISON && !twin.partial {
            faults.push(format!("{}[{i}]: the twin did not write it", twin.name));
        } else if expected != got {
            let (x, y) = (f64::from(f32::from_bits(expected)), f64::from(f32::from_bits(got)));
            let used = (x - y).abs() / (tolerance.atol + tolerance.rtol * x.abs()).max(f64::MIN_POSITIVE);
            // NaN and infinity on either side make `used` NaN or infinite.
            if twin.exact || !used.is_finite() || used > 1.0 {
                let unwritten = if got == POISON { ", which is poison: nobody wrote it" } else { "" };
                faults.push(format!("{}[{i}]: twin {x:e} ({expected:#x}), got {y:e} ({got:#x}){unwritten}", twin.name));
            }
            most = most.max(used);
        }
        if faults.len() == 5 {
            break;
        }
    }
    if twin.words.len() != got.words.len() {
        faults.push(format!("{} has another length", twin.name));
    }
    if faults.is_empty() { Ok(most) } else { Err(faults.join("\n")) }
}

/// Runs a case on a device that others have used, so that pipelines are made once. After a fault it is given up.
pub fn check(gpu: &Gpu, case: &dyn AnyCase) -> Result<(), Failure> {
    if case.gpu_options() != GpuOptions::default() {
        return case.check_gpu(&mut open(gpu, case.gpu_options())?);
    }
    let idle = gpu.idle.lock().ok().and_then(|mut idle| idle.pop());
    let mut lab = idle.map_or_else(|| open(gpu, GpuOptions::default()), |backend| Ok(Lab(backend)))?;
    case.check_gpu(&mut lab)?;
    if let Ok(mut idle) = gpu.idle.lock() {
        idle.push(lab.0);
    }
    Ok(())
}

/// A new device. Its kernels come from the folder `CB_LAB_SHADERS`, if there is one and the options bring none themselves.
pub fn open(gpu: &Gpu, mut options: GpuOptions) -> Result<Lab<GpuBackend>, Failure> {
    if let Some(dir) = std::env::var_os("CB_LAB_SHADERS").filter(|_| options.wgsl.is_empty()) {
        let custom = cb_lab::cli::custom_shaders::read(dir.as_ref());
        options.wgsl = custom.map_err(|error| Failure::Device(error.to_string()))?.kernels;
    }
    gpu.open(options).map(Lab).map_err(|error| Failure::Device(error.to_string()))
}
