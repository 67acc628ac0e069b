//! What takes turns: engines that do the same in different ways, on whichever backend.

use crate::backend::cpu::CpuBackend;
use crate::backend::gpu::GpuBackend;
use crate::cli::bench::report::Report;
use crate::cli::choose_backend::Chosen;
use crate::config::EngineConfig;
use crate::core::request::SamplingParams;
use crate::engine::loaded_folder::LoadedFolder;
use crate::engine::{DeviceEngine, Engine, Update};
use crate::error::Result;
use crate::model::ModelConfig;
use web_time::Instant;

/// An engine.
pub enum Side {
    /// On a GPU.
    Gpu(Box<DeviceEngine<GpuBackend>>),
    /// On the CPU.
    Cpu(Box<DeviceEngine<CpuBackend>>),
}

/// The same for an engine of either kind.
macro_rules! on_engine {
    ($any:expr, $engine:ident => $do:expr) => {
        match $any {
            Side::Gpu($engine) => $do,
            Side::Cpu($engine) => $do,
        }
    };
}

impl Side {
    /// Loads the weights.
    ///
    /// # Errors
    /// Those of [`Engine::new`].
    pub async fn new(backend: Chosen, folder: LoadedFolder, config: EngineConfig) -> Result<Self> {
        Ok(match backend {
            Chosen::Gpu(gpu) => Self::Gpu(Box::new(Engine::new(*gpu, folder, config).await?)),
            Chosen::Cpu(cpu) => Self::Cpu(Box::new(Engine::new(cpu, folder, config).await?)),
        })
    }

    /// What it runs.
    pub fn model(&self) -> &ModelConfig {
        on_engine!(self, engine => engine.model())
    }

    /// Queues a request.
    ///
    /// # Errors
    /// Those of [`Engine::submit`].
    pub fn submit(&mut self, prompt: Vec<u32>, sampling: SamplingParams) -> Result<()> {
        on_engine!(self, engine => engine.submit(prompt, sampling)).map(|_| ())
    }

    /// Whether no request is left.
    pub fn is_idle(&self) -> bool {
        on_engine!(self, engine => engine.is_idle())
    }

    /// Microseconds of a step, and how many tokens came of it.
    ///
    /// # Errors
    /// Those of [`Engine::step`].
    pub async fn timed_step(&mut self) -> Result<(f64, usize)> {
        let begin = Instant::now();
        let updates = on_engine!(self, engine => engine.step().await?.updates);
        let us = begin.elapsed().as_secs_f64() * 1e6;
        Ok((us, updates.iter().filter(|update| matches!(update, Update::Token { .. })).count()))
    }

    /// Puts into the report what the engine has taken of its backend's memory.
    pub fn note_memory(&self, report: &mut Report) {
        on_engine!(self, engine => report.memory(engine));
    }
}
