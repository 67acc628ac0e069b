//! What takes turns: engines that do the same in different ways, on whichever backend.

use crate::backend::cpu::CpuBackend;
use crate::backend::gpu::GpuBackend;
use crate::cli::bench::report::Report;
use crate::cli::choose_backend::Chosen;
use crate::config::EngineConfig;
use crate::core::request::SamplingParams;
use crate::engine::loaded_folder::LoadedFolder;
use crate::engine::{Engine, Update};
use crate::error::Result;
use crate::model::ModelConfig;
use web_time::Instant;

/// An engine, and what it is called beside others.
pub struct Side {
    label: String,
    model: ModelConfig,
    engine: AnyEngine,
}

enum AnyEngine {
    Gpu(Box<Engine<GpuBackend>>),
    Cpu(Box<Engine<CpuBackend>>),
}

/// The same for an engine of either kind.
macro_rules! on_engine {
    ($any:expr, $engine:ident => $do:expr) => {
        match $any {
            AnyEngine::Gpu($engine) => $do,
            AnyEngine::Cpu($engine) => $do,
        }
    };
}

impl Side {
    /// Loads the weights.
    ///
    /// # Errors
    /// Those of [`Engine::new`].
    pub async fn new(label: String, backend: Chosen, folder: LoadedFolder, limits: EngineConfig) -> Result<Self> {
        let model = folder.config.clone();
        let engine = match backend {
            Chosen::Gpu(gpu) => AnyEngine::Gpu(Box::new(Engine::new(*gpu, folder, limits).await?)),
            Chosen::Cpu(cpu) => AnyEngine::Cpu(Box::new(Engine::new(cpu, folder, limits).await?)),
        };
        Ok(Self { label, model, engine })
    }

    /// What sets it apart from the first.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What it runs.
    pub fn model(&self) -> &ModelConfig {
        &self.model
    }

    /// Queues a request.
    ///
    /// # Errors
    /// Those of [`Engine::submit`].
    pub fn submit(&mut self, prompt: Vec<u32>, sampling: SamplingParams) -> Result<()> {
        on_engine!(&mut self.engine, engine => engine.submit(prompt, sampling)).map(|_| ())
    }

    /// Whether no request is left.
    pub fn is_idle(&self) -> bool {
        on_engine!(&self.engine, engine => engine.is_idle())
    }

    /// Microseconds of a step, and how many tokens came of it.
    ///
    /// # Errors
    /// Those of [`Engine::step`].
    pub async fn timed_step(&mut self) -> Result<(f64, usize)> {
        let begin = Instant::now();
        let updates = on_engine!(&mut self.engine, engine => engine.step().await?.updates);
        let us = begin.elapsed().as_secs_f64() * 1e6;
        Ok((us, updates.iter().filter(|update| matches!(update, Update::Token { .. })).count()))
    }

    /// Puts into the report what the engine has taken of its backend's memory.
    pub fn note_memory(&self, report: &mut Report) {
        on_engine!(&self.engine, engine => report.memory(engine));
    }
}
