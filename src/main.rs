//! The `cb-lab` binary.
fn main() {}
