//! Which backend a command runs on, and one line that says why.

use crate::backend::Backend;
use crate::backend::cpu::{CpuBackend, CpuOptions, InstructionSet};
use crate::backend::gpu::{Adapters, GpuBackend, GpuOptions, Kernel, Tuning};
use crate::backend::kernel_set::KernelSet;
use crate::cli::custom_shaders;
use crate::cli::wording::value_text;
use crate::error::{Error, Result};
use std::path::PathBuf;

/// `--backend`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendChoice {
    /// The best hardware GPU, else the CPU.
    #[default]
    Auto,
    /// The best GPU, software drivers included.
    Gpu,
    /// The CPU.
    Cpu,
}

/// Options of every command that computes.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct BackendArgs {
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub backend: BackendChoice,
    /// Which kernels run; results are the same, on a GPU but for rounding
    #[arg(long, value_enum, default_value_t)]
    pub kernels: KernelSet,
    /// What the fast kernels are tuned for; results are the same but for rounding
    #[arg(long, value_enum, default_value_t)]
    pub tuning: Tuning,
    /// Vector instructions that the CPU computes with; results are the same bit for bit
    #[arg(long, value_enum, default_value_t)]
    pub instruction_set: InstructionSet,
    /// Give each request the same bits whatever else is in its batch; the CPU does it always
    #[arg(long)]
    pub deterministic: bool,
    /// Take kernels from the WGSL files in this folder, which looks like shaders/; what it lacks is built in
    #[arg(long, value_name = "DIR")]
    pub shaders: Option<PathBuf>,
    /// Time every kernel call, where the device can.
    #[arg(skip)]
    pub time_kernels: bool,
}

impl BackendArgs {
    /// What needs no device and no model to be told.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for what is of no use to a CPU that was asked for.
    pub fn check(&self) -> Result<()> {
        let of_a_gpu = [
            ("shaders", self.shaders.as_ref().map(|dir| dir.display().to_string()), "only a GPU runs shaders"),
            (
                "tuning",
                (self.tuning != Tuning::Auto).then(|| value_text(self.tuning)),
                "only kernels of a GPU are tuned",
            ),
        ];
        let given = of_a_gpu.into_iter().find_map(|(option, value, why)| Some((option, value?, why)));
        match given {
            Some((option, value, why)) if self.backend == BackendChoice::Cpu => {
                let reason = format!("{why}, and --backend cpu was asked for; leave it out, or take --backend gpu");
                Err(Error::InvalidOption { option, value, reason })
            }
            _ => Ok(()),
        }
    }
}

impl From<BackendChoice> for BackendArgs {
    fn from(backend: BackendChoice) -> Self {
        Self { backend, ..Self::default() }
    }
}

/// The backend that was taken.
pub enum Chosen {
    /// A GPU.
    Gpu(Box<GpuBackend>),
    /// The CPU.
    Cpu(CpuBackend),
}

impl Chosen {
    /// The most words one buffer may have.
    pub fn max_buffer_words(&self) -> usize {
        match self {
            Self::Gpu(backend) => backend.max_buffer_words(),
            Self::Cpu(backend) => backend.max_buffer_words(),
        }
    }

    /// Which kernels run.
    pub fn kernel_set(&self) -> KernelSet {
        match self {
            Self::Gpu(backend) => backend.kernel_set(),
            Self::Cpu(backend) => backend.kernel_set(),
        }
    }

    /// Whether it is a GPU, if only one of software.
    pub fn is_gpu(&self) -> bool {
        matches!(self, Self::Gpu(_))
    }
}

/// Takes a backend; the second value is a line for people that says which, and why.
///
/// # Errors
/// [`Error::NoGpu`] if a GPU was asked for and there is none; [`Error::InvalidOption`] if nothing is there to be tuned or
/// to run shaders; those of [`custom_shaders::read`].
pub async fn choose_backend(args: &BackendArgs) -> Result<(Chosen, String)> {
    let custom = args.shaders.as_deref().map(custom_shaders::read).transpose()?;
    let (wgsl, shaders) = custom.map(|custom| (custom.kernels, custom.line)).unzip();
    let (backend, line) = backend_of(args, wgsl.unwrap_or_default()).await?;
    if args.tuning != Tuning::Auto && !(backend.is_gpu() && backend.kernel_set() == KernelSet::Fast) {
        return Err(Error::InvalidOption {
            option: "tuning",
            value: value_text(args.tuning),
            reason: format!(
                "only the fast kernels of a GPU are tuned, which is not what runs here ({line}); leave it out"
            ),
        });
    }
    if let Some(dir) = &args.shaders
        && !backend.is_gpu()
    {
        return Err(Error::InvalidOption {
            option: "shaders",
            value: dir.display().to_string(),
            reason: format!("only a GPU runs shaders, which is not what computes here ({line}); add --backend gpu"),
        });
    }
    if args.instruction_set != InstructionSet::Auto && backend.is_gpu() {
        return Err(Error::InvalidOption {
            option: "instruction_set",
            value: value_text(args.instruction_set),
            reason: format!("only the CPU has one, and it does not compute here ({line}); add --backend cpu"),
        });
    }
    let line = shaders.map_or(line.clone(), |shaders| format!("{line}, {shaders}"));
    Ok((backend, line))
}

async fn backend_of(args: &BackendArgs, wgsl: Vec<(Kernel, String)>) -> Result<(Chosen, String)> {
    let options = GpuOptions {
        kernels: args.kernels,
        tuning: args.tuning,
        deterministic: args.deterministic,
        time_kernels: args.time_kernels,
        wgsl,
        ..GpuOptions::default()
    };
    let gpu = match args.backend {
        BackendChoice::Cpu => return cpu(args, ""),
        BackendChoice::Gpu => GpuBackend::new(Adapters::find().await.any()?, options).await?,
        BackendChoice::Auto => {
            let adapters = Adapters::find().await;
            let Some(adapter) = adapters.hardware() else {
                let why = match adapters.any() {
                    Ok(_) => ": faster than the software GPU driver found here",
                    Err(_) => ": no GPU found",
                };
                return cpu(args, why);
            };
            match GpuBackend::new(adapter, options).await {
                Ok(gpu) => gpu,
                // A driver may list a device and refuse it, for instance to a container.
                Err(error) => return cpu(args, &format!(": {error}")),
            }
        }
    };
    let line = format!("running on {}", gpu.name());
    Ok((Chosen::Gpu(Box::new(gpu)), line))
}

fn cpu(args: &BackendArgs, why: &str) -> Result<(Chosen, String)> {
    let cpu = CpuBackend::new(CpuOptions { kernels: args.kernels, instruction_set: args.instruction_set })?;
    let line = format!("running on the {}{why}", cpu.name());
    Ok((Chosen::Cpu(cpu), line))
}
