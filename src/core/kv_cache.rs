//! A sequence, its blocks, and the pool.
