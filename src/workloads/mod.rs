//! Kernel calls to measure, with all that they read: what `cb-lab bench` and the benches in benches/ have in common.

pub mod attention;
pub mod linear;
