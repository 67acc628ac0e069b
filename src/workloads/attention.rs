//! Attention of one batch: queries, K and V in blocks, and the tables that find them.

use crate::backend::attention_metadata::{AttentionMetadata, AttentionShape, DecodeRows, PagedWork};
use crate::backend::element_type::ElementType;
use crate::backend::params::{AttentionParams, MergeSplitsParams};
use crate::backend::splits::{partial_len, splits};
use crate::backend::{Backend, KvPool};
use crate::config::KvDtype;
use crate::core::batch_builder::RaggedBatch;
use crate::engine::philox::uniform;
use crate::error::Result;
use std::fmt;

/// What is attended to by whom: sequences of one length, of which the last tokens are queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Sequences.
    pub batch: u32,
    /// Tokens of each.
    pub seq_len: u32,
    /// Queries of each.
    pub query_len: u32,
    /// Query heads.
    pub num_heads: u32,
    /// KV heads.
    pub num_kv_heads: u32,
    /// Width of a head.
    pub head_dim: u32,
    /// How K and V are kept.
    pub kv_dtype: KvDtype,
}

/// Where K and V lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All tokens of a sequence one after the other: what paging is held against. To the kernel these are blocks of 256
    /// whose numbers count up, so that nothing differs but where data lies and how often the table is looked at.
    Contiguous,
    /// Blocks of so many tokens in an order of chance, as an allocator leaves them after a while.
    Paged(u32),
    /// The same, and decode attention takes each sequence in one piece: what splits are held against.
    Unsplit(u32),
}

impl Layout {
    /// Tokens per block, for the kernel.
    pub fn block_size(self) -> u32 {
        match self {
            Self::Contiguous => 256,
            Self::Paged(block_size) | Self::Unsplit(block_size) => block_size,
        }
    }

    /// Which blocks hold the tokens of the sequences, one sequence after the other.
    fn block_table(self, shape: &Shape) -> Vec<u32> {
        let mut blocks: Vec<u32> = (0..shape.batch * shape.seq_len.div_ceil(self.block_size())).collect();
        if self != Self::Contiguous {
            // Fisher and Yates, by a fixed seed.
            for last in (1..blocks.len()).rev() {
                let other = (uniform(11, last as u64) * (last + 1) as f64) as usize;
                blocks.swap(last, other);
            }
        }
        blocks
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, seq_len, query_len, .. } = self;
        match query_len {
            1 => write!(f, "decode {batch} x {seq_len}"),
            _ => write!(f, "prefill {batch} x {query_len} of {seq_len}"),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paged(block_size) => write!(f, "blocks of {block_size}"),
            Self::Unsplit(block_size) => write!(f, "{block_size}, unsplit"),
            Self::Contiguous => f.write_str("contiguous"),
        }
    }
}

impl Shape {
    /// K and V of each KV head once, queries and results once.
    pub fn bytes(&self) -> f64 {
        let kv = f64::from(self.batch) * f64::from(self.seq_len) * f64::from(2 * self.num_kv_heads);
        let q = f64::from(self.batch) * f64::from(self.query_len) * f64::from(2 * self.num_heads);
        f64::from(self.head_dim) * (self.kv_dtype.bytes() as f64 * kv + 4.0 * q)
    }

    /// What K and V take at most: as whole blocks of the largest size.
    pub fn pool_bytes(&self) -> f64 {
        let tokens = f64::from(self.batch) * f64::from(self.seq_len.next_multiple_of(256));
        f64::from(self.head_dim) * self.kv_dtype.bytes() as f64 * tokens * f64::from(2 * self.num_kv_heads)
    }

    /// Two for each of q·k and p·v, over the tokens that each query sees.
    pub fn flop(&self) -> f64 {
        let unseen = f64::from(self.query_len - 1) / 2.0;
        let seen = f64::from(self.query_len) * (f64::from(self.seq_len) - unseen);
        4.0 * f64::from(self.batch) * f64::from(self.num_heads) * f64::from(self.head_dim) * seen
    }

    /// Whether decode attention cuts its sequences into splits.
    pub fn is_split(&self) -> bool {
        self.query_len == 1 && splits(0..self.seq_len).len() > 1
    }

    fn q_len(&self) -> usize {
        (self.batch * self.query_len * self.num_heads * self.head_dim) as usize
    }
}

/// K and V of a shape, several times over. All layouts use the same ones, so that the place that a driver gave a buffer
/// favours none of them.
pub struct Pools<B: Backend> {
    shape: Shape,
    pools: Vec<KvPool<B::Buffer>>,
}

impl<B: Backend> Pools<B> {
    /// So many pools, with room for every layout and nothing in them.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device has no memory for it.
    pub fn new(backend: &mut B, shape: Shape, num_pools: usize) -> Result<Self> {
        let words = (shape.pool_bytes() / 8.0) as usize; // of K, and of V
        let mut pools = Vec::with_capacity(num_pools);
        for _ in 0..num_pools {
            let (k, v) = (backend.alloc("k_pool", words)?, backend.alloc("v_pool", words)?);
            pools.push(KvPool { k, v, elements: shape.kv_dtype });
        }
        Ok(Self { shape, pools })
    }

    /// How many pools there are.
    pub fn count(&self) -> usize {
        self.pools.len()
    }

    /// Writes the keys and values of the shape's sequences into all of them, in a layout.
    pub fn fill(&mut self, backend: &mut B, layout: Layout) {
        let Shape { batch, seq_len, num_kv_heads, head_dim, kv_dtype, .. } = self.shape;
        let block_size = layout.block_size();
        let block_table = layout.block_table(&self.shape);
        let len = block_table.len() * (num_kv_heads * block_size * head_dim) as usize;
        let mut kv = [vec![0.0; len], vec![0.0; len]];
        for seq in 0..batch {
            for token in 0..seq_len {
                let block = block_table[(seq * seq_len.div_ceil(block_size) + token / block_size) as usize];
                for kv_head in 0..num_kv_heads {
                    let slot = (block * num_kv_heads + kv_head) * block_size + token % block_size;
                    let from = ((seq * seq_len + token) * num_kv_heads + kv_head) * head_dim;
                    for (which, pool) in kv.iter_mut().enumerate() {
                        let to = (slot * head_dim) as usize;
                        for (i, value) in pool[to..to + head_dim as usize].iter_mut().enumerate() {
                            *value = value_at(which as u32, from + i as u32);
                        }
                    }
                }
            }
        }
        let elements = match kv_dtype {
            KvDtype::F32 => ElementType::F32,
            KvDtype::F16 => ElementType::F16,
        };
        let [k, v] = kv.map(|values| elements.pack(&values, values.len()).words);
        for pool in &mut self.pools {
            backend.upload(&mut pool.k, 0, &k);
            backend.upload(&mut pool.v, 0, &v);
        }
    }
}

/// Attention that is ready to be recorded again and again: a call, or two where long decodes are split.
pub struct Workload<B: Backend> {
    shape: Shape,
    params: AttentionParams,
    merge: MergeSplitsParams,
    step: B::Buffer,
    q: B::Buffer,
    out: B::Buffer,
    partials: B::Buffer,
}

impl<B: Backend> Workload<B> {
    /// The same queries for every layout.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device has no memory for it.
    pub fn new(backend: &mut B, shape: Shape, layout: Layout) -> Result<Self> {
        let Shape { batch, seq_len, query_len, num_heads, num_kv_heads, head_dim, .. } = shape;
        let block_size = layout.block_size();
        let blocks_per_seq = seq_len.div_ceil(block_size);
        let upload = |backend: &mut B, label, words: &[u32]| -> Result<B::Buffer> {
            let mut buffer = backend.alloc(label, words.len())?;
            backend.upload(&mut buffer, 0, words);
            Ok(buffer)
        };
        let q: Vec<f32> = (0..shape.q_len() as u32).map(|i| value_at(2, i)).collect();
        let q = upload(backend, "q", bytemuck::cast_slice(&q))?;
        let out = backend.alloc("out", shape.q_len())?;

        let mut table = AttentionMetadata::default();
        let ragged = RaggedBatch {
            block_size,
            cu_seqlens_q: (0..=batch).map(|seq| seq * query_len).collect(),
            context_lens: vec![seq_len - query_len; batch as usize],
            block_table_offsets: (0..=batch).map(|seq| seq * blocks_per_seq).collect(),
            block_table: layout.block_table(&shape),
            ..RaggedBatch::default()
        };
        let attention_shape = AttentionShape {
            group: (num_heads / num_kv_heads) as usize,
            head_dim: head_dim as usize,
            windows: vec![u32::MAX],
        };
        table.pack(&ragged, &attention_shape, DecodeRows::Paged);
        let mut work = table.paged(u32::MAX);
        if let Layout::Unsplit(_) = layout {
            work.items = table.words.len() as u32;
            (work.num_items, work.num_whole, work.num_merges) = (batch, batch, 0);
            table.words.extend((0..batch).flat_map(|seq| [seq, 0, seq_len]));
        }
        let mut step = backend.alloc("attention metadata", table.words.len())?;
        backend.upload(&mut step, 0, &table.words);
        let PagedWork { items, num_items, num_whole, merges, num_merges, .. } = work;
        let num_splits = (num_items - num_whole) as usize;
        let partials =
            backend.alloc("partials", num_splits * num_heads as usize * partial_len(attention_shape.head_dim))?;
        let merge = MergeSplitsParams { num_items: num_merges, num_heads, head_dim, items_offset: merges };
        let (num_items, items_offset) = match query_len {
            1 => (num_items, items),
            _ => (table.num_ragged_items, table.ragged_items),
        };
        let params = AttentionParams {
            num_items,
            num_whole,
            num_heads,
            num_kv_heads,
            head_dim,
            block_size,
            window: u32::MAX,
            scale: 1.0 / (head_dim as f32).sqrt(),
            items_offset,
            ..table.attention_params()
        };
        Ok(Self { shape, params, merge, step, q, out, partials })
    }

    /// Records it on the pool of this number; they are gone through again and again. The time does not depend on what
    /// is in the pool.
    pub fn record(&mut self, backend: &mut B, pools: &Pools<B>, pool: usize) {
        let Self { params, merge, step, q, out, partials, .. } = self;
        let kv = &pools.pools[pool % pools.count()];
        match self.shape.query_len {
            1 => backend.paged_attention(*params, step, q, kv.as_ref(), out, partials),
            _ => backend.ragged_attention(*params, step, q, kv.as_ref(), out),
        }
        if merge.num_items > 0 {
            backend.merge_splits(*merge, step, partials, out);
        }
    }

    /// What it wrote.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device was lost.
    pub async fn attended(&self, backend: &mut B) -> Result<Vec<f32>> {
        let words = backend.download(&self.out, self.shape.q_len()).await?;
        Ok(bytemuck::cast_slice(&words).to_vec())
    }
}

/// A number from -1 to 1 that follows from where it stands, and is cheap: there are millions.
fn value_at(which: u32, i: u32) -> f32 {
    let mixed = (i ^ which << 30).wrapping_mul(0x9e37_79b1).rotate_left(15).wrapping_mul(0x85eb_ca6b);
    (mixed >> 8) as f32 / (1 << 23) as f32 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::CpuBackend;

    #[test]
    fn only_long_decodes_are_split_and_only_where_they_may_be() {
        let work = |query_len, seq_len, layout| {
            let (num_heads, num_kv_heads, head_dim, kv_dtype) = (2, 1, 8, KvDtype::F32);
            let shape = Shape { batch: 3, seq_len, query_len, num_heads, num_kv_heads, head_dim, kv_dtype };
            let workload = Workload::new(&mut CpuBackend::default(), shape, layout).expect("a CPU has memory for it");
            let AttentionParams { num_items, num_whole, .. } = workload.params;
            assert_eq!(shape.is_split(), query_len == 1 && seq_len > 512);
            (num_items, num_whole, workload.merge.num_items)
        };
        assert_eq!(work(1, 512, Layout::Paged(16)), (3, 3, 0));
        assert_eq!(work(1, 1025, Layout::Paged(16)), (9, 0, 3));
        assert_eq!(work(1, 1025, Layout::Unsplit(16)), (3, 3, 0));
    }
}
