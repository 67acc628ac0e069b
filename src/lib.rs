//! cb-lab: a continuous-batching LLM inference engine that runs on any GPU, small enough to read in a weekend.
//!
//! The way of a token, and the modules in reading order:
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

pub mod backend;
pub mod model;
pub mod text;

pub mod engine;

pub mod workloads;

#[cfg(feature = "cli")]
pub mod cli;

pub use config::EngineConfig;
pub use error::{Error, Result};
pub use ids::{BlockId, RequestId, TokenId};
