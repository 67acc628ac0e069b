//! The GPU.
