//! The control plane: pure and deterministic. No GPU, no I/O, no clock, no threads, no randomness.

pub mod batch_builder;
pub mod kv_cache;
pub mod request;
pub mod scheduler;
