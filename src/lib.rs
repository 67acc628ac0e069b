//! cb-lab: a continuous-batching LLM inference engine on wgpu compute shaders, small enough to read.
//!
//! # Use it
//!
//! Load a model folder, submit prompts, step until they have ended. Requests may come at any time between two steps.
//!
//! ```
//! use cb_lab::{CpuBackend, Engine, LimitOptions, LoadedFolder, SamplingParams, Update, default_model};
//!
//! # async fn tell() -> cb_lab::Result<()> {
//! // The embedded model; `ModelFolder::open("path")` opens one from disk.
//! let folder = LoadedFolder::open(&default_model()).await?;
//! let backend = CpuBackend::default();
//! let config = LimitOptions::default().resolve(&folder.config, usize::MAX)?;
//! let mut engine = Engine::new(backend, folder, config).await?;
//!
//! let prompt = engine.tokenizer().encode("Once upon a time")?;
//! let id = engine.submit(prompt, SamplingParams { max_new_tokens: 8, ..Default::default() })?;
//! let mut story = String::new();
//! while !engine.is_idle() {
//!     for update in engine.step().await?.updates {
//!         match update {
//!             Update::Token { text, .. } => story += &text,
//!             Update::Finished { rest, output } => {
//!                 story += &rest;
//!                 assert_eq!((output.id, &output.text), (id, &story));
//!             }
//!             Update::Failed { reason, .. } => eprintln!("{reason}"),
//!             Update::Preempted(_) => {}
//!         }
//!     }
//! }
//! assert!(!story.is_empty());
//! # Ok(())
//! # }
//! # pollster::block_on(tell()).unwrap();
//! ```
//!
//! On a GPU the backend is `GpuBackend::new(Adapters::find().await.any()?, GpuOptions::default()).await?`, and limits are
//! resolved with its [`Backend::max_buffer_words`](backend::Backend::max_buffer_words).
//!
//! It needs no runtime: any executor will do, such as `pollster::block_on`. Natively [`Engine::step`] holds its thread until
//! the step is computed, so an async server gives the engine a thread of its own.
//!
//! # Features
//!
//! * `cli` (default): the program `cb-lab` and what only it needs. `default-features = false` leaves it out.
//! * `parallel` (default): CPU kernels on several threads.
//!
//! # What is stable
//!
//! What is exported at the root, below, is meant to be used. The modules are the inside of the engine: open for tests,
//! demos and the curious, and changed without notice.
//!
//! # The way of a token, and the modules in reading order
//!
//! ```text
//! text ── text::Tokenizer ──▶ Request ──▶ Scheduler.waiting
//! Engine::step():
//!   1 scheduler.schedule()       -> StepPlan: [(seq, context_len, query_len)]      core::scheduler
//!   2 RaggedBatch::build(plan)   -> the token table                                core::batch_builder
//!   3 model.forward(batch)       -> logits of the last row of each sequence        model, backend
//!   4 sampler                    -> one token id per sequence                      engine::sampler
//!   5 scheduler.commit(plan)     -> events: token, finished, preempted             core::scheduler
//!   6 stream                     -> incremental text                               text, engine
//! ```

pub mod config;
pub mod error;
pub mod ids;

pub mod core;

pub mod files;

pub mod backend;
pub mod model;
pub mod text;

pub mod engine;
pub mod observe;

pub mod workloads;

#[cfg(feature = "cli")]
pub mod cli;

pub use self::core::request::{FinishReason, SamplingParams};
pub use backend::cpu::CpuBackend;
pub use backend::gpu::{Adapters, GpuBackend, GpuOptions};
pub use config::{EngineConfig, KvDtype, WeightDtype};
pub use engine::limits::LimitOptions;
pub use engine::loaded_folder::LoadedFolder;
pub use engine::stream::Output;
pub use engine::{Engine, StepReport, Update};
pub use error::{Error, Result};
pub use ids::{BlockId, RequestId, TokenId};
pub use model::ModelFolder;
pub use model::embedded::default_model;
pub use text::{ChatTemplate, Message, Tokenizer};
