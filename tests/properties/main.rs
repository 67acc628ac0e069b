//! The control plane under random operations, against a model of everything around it.
//!
//! * `examples` are to be read: one idea each, with the plans written out.
//! * `random_operations` submits, steps, fails, aborts and finishes at random and checks all of `checks` after each.
//! * `same_tokens` runs the same requests under different limits and wants the same tokens.
//! * `recompute` does it for a model whose K and V are others in long sequences.
//! * `allocator` compares the block pool with a naive one.
//!
//! Everything is seeded: a red run is red again. `PROPTEST_CASES` sets how many cases are tried: 4 times as many.

mod allocator;
mod checks;
mod examples;
mod mirror;
mod model;
mod operations;
mod random_operations;
mod recompute;
mod same_tokens;
mod world;

use proptest::test_runner::{Config, RngSeed};

/// Proptest with a fixed seed, and no files of past failures: those become tests of their own.
fn seeded(seed: u64) -> Config {
    let config = Config::default();
    Config { cases: config.cases * 4, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..config }
}
