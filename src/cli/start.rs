//! How every command that runs an engine starts: what can be wrong is found before any device memory is taken.

use super::choose_backend::{BackendArgs, Chosen, choose_backend};
use super::memory::{check_fits, planned_text};
use super::wording::{bytes_text, count_text};
use crate::config::EngineConfig;
use crate::engine::limits::LimitOptions;
use crate::engine::loaded_folder::LoadedFolder;
use crate::error::Result;
use crate::model::memory_plan::MemoryPlan;

/// A backend, and limits that fit it and this machine.
pub struct Start {
    /// What will compute.
    pub backend: Chosen,
    /// What the engine is to run within.
    pub config: EngineConfig,
}

/// Chooses a backend and settles the limits. `say` is told which and why, a line at a time.
///
/// # Errors
/// [`crate::Error::InvalidOption`] if a limit cannot work or does not fit, [`crate::Error::NoGpu`] if a GPU was asked for
/// and there is none, [`crate::Error::Device`] if the weights alone are too large for this machine.
pub async fn start(
    backend: &BackendArgs,
    options: &LimitOptions,
    folder: &LoadedFolder,
    say: impl Fn(&str),
) -> Result<Start> {
    let model = &folder.config;
    // The device may allow less; what no device allows is told before one is opened.
    options.resolve(model, usize::MAX)?;
    let (backend, line) = choose_backend(backend).await?;
    say(&line);
    folder.notes.iter().for_each(|note| say(note));
    let max_buffer_words = backend.max_buffer_words();
    let config = options.resolve(model, max_buffer_words)?;
    let plan = MemoryPlan::new(model, &config, max_buffer_words)?;
    let planned = match &backend {
        Chosen::Gpu(gpu) => plan.on(&**gpu, model, &folder.files, &config)?,
        Chosen::Cpu(cpu) => plan.on(cpu, model, &folder.files, &config)?,
    };
    if let Chosen::Cpu(_) = backend {
        check_fits(&planned, &plan, &config)?;
    }
    say(&format!(
        "KV pool: {} of {}, {}; at most {} a sequence",
        count_text(config.num_kv_blocks, "block"),
        count_text(config.block_size, "token"),
        bytes_text(planned.kv_bytes),
        count_text(config.max_model_len, "token"),
    ));
    say(&format!("memory: {}", planned_text(&planned)));
    Ok(Start { backend, config })
}
