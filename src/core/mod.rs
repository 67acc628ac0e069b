//! The control plane: pure and deterministic. No GPU, no I/O, no clock, no threads, no randomness.

pub mod request;

pub mod kv_cache;
pub mod sequence;

pub mod step_plan;

pub mod scheduler;
pub mod skipped;

pub mod batch_builder;
pub mod ragged_mask;

pub mod timestamp;
pub mod wording;
