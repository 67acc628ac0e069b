//! One line of a report: what was timed, and what it is held against.

use super::measure::Timing;
use crate::config::KvDtype;
use crate::workloads::attention::{Layout, Shape};

/// What work is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// Bytes read in a second.
    Memory,
    /// Multiplications and additions in a second, without memory.
    Math,
}

/// One line of the table.
#[derive(serde::Serialize)]
pub struct Case {
    /// What was timed.
    pub name: String,
    /// How long it took.
    #[serde(flatten)]
    pub timing: Timing,
    /// Bytes that it cannot do without: weights, K and V, inputs and outputs, each counted once.
    pub bytes: f64,
    /// Multiplications and additions that it cannot do without.
    pub flop: f64,
    /// Of those bytes in a second, in 10⁹.
    pub gb_per_s: f64,
    /// Of those multiplications and additions in a second, in 10⁹.
    pub gflop_per_s: f64,
    /// What it is limited by.
    pub limit: Limit,
    /// What the machine could do of that at best when it was last measured, in 10⁹ a second.
    pub best: f64,
    /// How much of that limit it reaches.
    pub share: f64,
    /// What it produces, and how much of it: tokens, for a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<f64>,
    /// Where its K and V lie, for attention.
    #[serde(flatten)]
    pub attention: Option<AttentionCase>,
}

/// What was attended to by whom, and where K and V lay.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct AttentionCase {
    /// Sequences.
    pub(super) batch: u32,
    /// Tokens of each.
    pub(super) context: u32,
    /// Queries of each.
    pub(super) queries: u32,
    pub(super) heads: u32,
    pub(super) kv_heads: u32,
    pub(super) head_dim: u32,
    pub(super) kv_dtype: KvDtype,
    /// Tokens per block; none where K and V are contiguous.
    pub(super) block_size: Option<u32>,
    /// A long sequence is taken in one piece.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) unsplit: bool,
    #[serde(skip)]
    pub(super) layout: Layout,
    /// Whether caches could hold K and V from the call before.
    pub cache: Cache,
    /// How much longer it takes than contiguous K and V in the same round, in the median of all rounds.
    pub page_tax_percent: Option<f64>,
}

/// What caches hold when a call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cache {
    /// K and V of the call before, as far as they fit: they were the same.
    Warm,
    /// Not the K and V that are wanted: those of other calls came since.
    Cold,
}

impl AttentionCase {
    /// Of a layout that takes so much longer.
    pub fn new(shape: &Shape, layout: Layout, cache: Cache, page_tax_percent: Option<f64>) -> Self {
        let &Shape { batch, seq_len: context, query_len: queries, num_heads, num_kv_heads, head_dim, kv_dtype } = shape;
        let block_size = match layout {
            Layout::Contiguous => None,
            Layout::Paged(block_size) | Layout::Unsplit(block_size) => Some(block_size),
        };
        let unsplit = matches!(layout, Layout::Unsplit(_));
        let (heads, kv_heads) = (num_heads, num_kv_heads);
        Self {
            batch,
            context,
            queries,
            heads,
            kv_heads,
            head_dim,
            kv_dtype,
            block_size,
            unsplit,
            layout,
            cache,
            page_tax_percent,
        }
    }

    /// `decode 8 x 1024, 8 heads on 2 of 128`
    pub fn title(&self) -> String {
        let Self { batch, context: seq_len, queries: query_len, heads, kv_heads, head_dim, kv_dtype, .. } = *self;
        let shape = Shape { batch, seq_len, query_len, num_heads: heads, num_kv_heads: kv_heads, head_dim, kv_dtype };
        format!("{shape}, {heads} heads on {kv_heads} of {head_dim}")
    }
}
