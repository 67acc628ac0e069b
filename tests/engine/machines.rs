//! What a test runs on: the CPU and every GPU found, a trial each.

use crate::gpu::{self, Gpu};
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::gpu::{GpuBackend, GpuOptions};
use libtest_mimic::{Failed, Trial};
use std::sync::Arc;

/// Opens backends of one kind.
pub trait Machine {
    type Backend: Backend;
    /// The same sums in the same order whatever else is in the batch: results are compared bit for bit.
    #[allow(dead_code, reason = "not every test that includes this file compares")]
    const EXACT: bool;
    fn open(&self) -> cb_lab::Result<Self::Backend>;
}

/// The CPU backend.
pub struct Cpu;

impl Machine for Cpu {
    type Backend = CpuBackend;
    const EXACT: bool = true;
    fn open(&self) -> cb_lab::Result<CpuBackend> {
        Ok(CpuBackend::default())
    }
}

impl Machine for Gpu {
    type Backend = GpuBackend;
    const EXACT: bool = false;
    fn open(&self) -> cb_lab::Result<GpuBackend> {
        self.open(GpuOptions::default())
    }
}

/// A test that is the same on every machine.
pub trait Check: Clone + Send + 'static {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed>;
}

/// The machines of this run.
pub struct Machines {
    gpus: Vec<Arc<Gpu>>,
    missing: &'static str,
}

impl Machines {
    /// What is there, and a trial that fails if `CB_LAB_GPU` asks for more.
    pub fn find() -> (Self, Option<Trial>) {
        let (gpus, missing, required) = gpu::wanted();
        (Self { gpus, missing }, required)
    }

    /// A trial on the CPU.
    pub fn cpu(&self, name: &str, check: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Vec<Trial> {
        vec![Trial::test(format!("{name} [cpu]"), check)]
    }

    /// A trial on each GPU.
    #[allow(dead_code, reason = "not every test that includes this file has one")]
    pub fn gpus(&self, name: &str, check: fn(&Gpu) -> Result<(), Failed>) -> Vec<Trial> {
        self.each_gpu(name, check)
    }

    /// The same for a check that knows more than its name says.
    #[allow(dead_code, reason = "not every test that includes this file has one")]
    pub fn each_gpu(
        &self,
        name: &str,
        check: impl Fn(&Gpu) -> Result<(), Failed> + Clone + Send + 'static,
    ) -> Vec<Trial> {
        gpu::on_each(&self.gpus, self.missing, name, move |gpu| check(gpu).map_err(message))
    }

    /// A trial on the CPU and one on each GPU.
    pub fn all(&self, name: &str, check: impl Check) -> Vec<Trial> {
        let on_cpu = check.clone();
        let mut trials = self.cpu(name, move || on_cpu.run(&Cpu));
        trials.extend(gpu::on_each(&self.gpus, self.missing, name, move |gpu| check.run(gpu).map_err(message)));
        trials
    }
}

fn message(failed: Failed) -> String {
    failed.message().unwrap_or("failed").to_string()
}

/// Fails with a message unless something holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)+) => {
        if !$holds {
            return Err(format!($($message)+).into());
        }
    };
}
pub(crate) use ensure;
