//! Names for things that have an identity. A newtype each, so that a block can never be passed where a request is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A request, numbered in order of arrival. The number never changes, also not when the request is preempted:
/// a smaller id is an older request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// A physical block of the KV pool: `0..num_kv_blocks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockId(pub u32);

/// An entry of the tokenizer's vocabulary. Tokens are data that reaches the GPU, so this is a plain `u32`.
pub type TokenId = u32;

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
