//! What the tests of the two attention kernels share: a batch of sequences over a shuffled, mostly NaN KV pool.
//!
//! ```text
//! sequence   K and V of seq_len tokens, as one would write them down         -> dense_attention, the oracle
//! pool       the same rows, scattered over blocks in random order, the rest NaN  -> the kernels and their twin
//! ```

use crate::harness::*;
use cb_lab::backend::attention_metadata::{AttentionMetadata, AttentionShape, DecodeRows, PagedWork};
use cb_lab::backend::cpu::dense_attention::{CausalMask, dense_attention};
use cb_lab::backend::element_type::ElementType;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::kernel_set::KernelSet;
use cb_lab::backend::params::{AttentionParams, MergeSplitsParams};
use cb_lab::backend::splits::partial_len;
use cb_lab::backend::{Backend, KvPool};
use cb_lab::config::KvDtype;
use cb_lab::core::batch_builder::RaggedBatch;
use ndarray::{ArrayView3, Axis, Slice};
use std::collections::BTreeSet;

/// Which scores the inputs make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Logits {
    /// Standard deviation 2.
    Usual,
    /// Up to 1e4 of either sign. The inputs of this and the next two are whole numbers and the scale is a power of two
    /// (head_dim 16, 64, 256), so that scores are exact: at 1e4 a rounding would be seen in the weights.
    Wide,
    /// All about 1e4.
    High,
    /// All about -1e4.
    Low,
}

/// A batch of sequences and a model's shapes.
#[derive(Clone, Debug)]
pub struct Attention {
    /// (context_len, query_len) of each sequence.
    pub seqs: Vec<(usize, usize)>,
    pub group: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub block_size: usize,
    pub window: Option<usize>,
    pub logits: Logits,
    pub kv_dtype: KvDtype,
    /// Run sequences with one query row through `ragged_attention` too, and `paged_attention` not at all.
    pub ragged_only: bool,
    pub max_workgroup_bytes: Option<u32>,
    pub max_workgroups: Option<u32>,
    pub kernels: KernelSet,
}

impl Attention {
    /// A small model over these sequences.
    pub fn of(seqs: &[(usize, usize)]) -> Self {
        Self {
            seqs: seqs.to_vec(),
            group: 4,
            kv_heads: 2,
            head_dim: 16,
            block_size: 16,
            window: None,
            logits: Logits::Usual,
            kv_dtype: KvDtype::F32,
            ragged_only: false,
            max_workgroup_bytes: None,
            max_workgroups: None,
            kernels: KernelSet::Naive,
        }
    }

    fn heads(&self) -> usize {
        self.group * self.kv_heads
    }

    fn window_or_all(&self) -> u32 {
        self.window.map_or(u32::MAX, |window| window as u32)
    }
}

/// Q, K and V of one sequence by position: `[seq_len, heads, head_dim]`.
struct Sequence {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Sequence {
    /// The same data for a sequence of this index, however it is cut into context and query, blocks and batches.
    fn new(case: &Attention, seq: usize) -> Self {
        let len = case.seqs[seq].0 + case.seqs[seq].1;
        let mut rng = Rng::new(&format!("sequence {seq}"));
        let (kv_width, q_width) = (case.kv_heads * case.head_dim, case.heads() * case.head_dim);
        let mut whole = |len: usize, middle: f32, spread: f32| -> Vec<f32> {
            (0..len).map(|_| (middle + rng.f32(spread)).trunc()).collect()
        };
        // Dot products over head_dim are divided by its root: about `root` times a product of two middles.
        let root = (case.head_dim as f32).sqrt();
        let (k, q) = match case.logits {
            Logits::Usual => (rng.f32s(len * kv_width, 1.0), rng.f32s(len * q_width, 6.0)),
            Logits::Wide => (whole(len * kv_width, 0.0, 100.0), whole(len * q_width, 0.0, 100.0)),
            Logits::High => (whole(len * kv_width, 100.0, 3.0), whole(len * q_width, 1e2 / root, 3.0)),
            Logits::Low => (whole(len * kv_width, 100.0, 3.0), whole(len * q_width, -1e2 / root, 3.0)),
        };
        // What the pools hold is what everybody is to compute with.
        let stored = |values: Vec<f32>| match case.kv_dtype {
            KvDtype::F32 => values,
            KvDtype::F16 => ElementType::F16.rounded(&values, values.len()),
        };
        Self { q, k: stored(k), v: stored(rng.f32s(len * kv_width, 1.0)) }
    }
}

struct Inputs {
    sequences: Vec<Sequence>,
    table: AttentionMetadata,
    q: Vec<f32>,
    k_pool: Vec<f32>,
    v_pool: Vec<f32>,
    num_tokens: usize,
}

impl Inputs {
    fn new(case: &Attention) -> Self {
        let sequences: Vec<Sequence> = (0..case.seqs.len()).map(|seq| Sequence::new(case, seq)).collect();
        let num_blocks: usize =
            case.seqs.iter().map(|(context, query)| (context + query).div_ceil(case.block_size)).sum();
        // Two blocks more than needed, which nobody owns.
        let mut free = Rng::new(&case.name()).permutation(num_blocks + 2).into_iter();
        let pool_len = (num_blocks + 2) * case.block_size * case.kv_heads * case.head_dim;
        let (mut k_pool, mut v_pool) = (vec![f32::NAN; pool_len], vec![f32::NAN; pool_len]);
        let mut q = Vec::new();
        let mut batch = RaggedBatch { block_size: case.block_size as u32, ..RaggedBatch::default() };
        batch.cu_seqlens_q.push(0);
        batch.block_table_offsets.push(0);
        for (sequence, &(context_len, query_len)) in sequences.iter().zip(&case.seqs) {
            let seq_len = context_len + query_len;
            let blocks: Vec<u32> = free.by_ref().take(seq_len.div_ceil(case.block_size)).collect();
            let slot =
                |token: usize| blocks[token / case.block_size] as usize * case.block_size + token % case.block_size;
            for (token, kv_head) in (0..seq_len).flat_map(|token| (0..case.kv_heads).map(move |head| (token, head))) {
                let (block, offset) = (slot(token) / case.block_size, slot(token) % case.block_size);
                let to = ((block * case.kv_heads + kv_head) * case.block_size + offset) * case.head_dim;
                let from = (token * case.kv_heads + kv_head) * case.head_dim;
                k_pool[to..][..case.head_dim].copy_from_slice(&sequence.k[from..][..case.head_dim]);
                v_pool[to..][..case.head_dim].copy_from_slice(&sequence.v[from..][..case.head_dim]);
            }
            q.extend_from_slice(&sequence.q[context_len * case.heads() * case.head_dim..]);
            batch.token_ids.extend((context_len..seq_len).map(|position| position as u32));
            batch.positions.extend((context_len..seq_len).map(|position| position as u32));
            batch.slot_mapping.extend((context_len..seq_len).map(|token| slot(token) as u32));
            batch.cu_seqlens_q.push(batch.positions.len() as u32);
            batch.context_lens.push(context_len as u32);
            batch.block_table.extend(blocks);
            batch.block_table_offsets.push(batch.block_table.len() as u32);
            batch.logit_indices.push(batch.positions.len() as u32 - 1);
        }
        let mut table = AttentionMetadata::default();
        let decode = if case.ragged_only { DecodeRows::Ragged } else { DecodeRows::Paged };
        let windows = vec![case.window_or_all()];
        table.pack(&batch, &AttentionShape { group: case.group, head_dim: case.head_dim, windows }, decode);
        Self { sequences, table, q, k_pool, v_pool, num_tokens: batch.token_ids.len() }
    }
}

impl Case for Attention {
    fn name(&self) -> String {
        let Self { seqs, group, kv_heads, head_dim, block_size, .. } = self;
        let longest = seqs.iter().map(|(context, query)| context + query).max().unwrap_or_default();
        let tokens: usize = seqs.iter().map(|(_, query)| query).sum();
        let shape = format!("head_dim={head_dim},group={group},kv_heads={kv_heads},block_size={block_size}");
        let mut name = format!("{shape},seqs={},tokens={tokens},longest={longest}", seqs.len());
        if let Some(window) = self.window {
            name += &format!(",window={window}");
        }
        if self.logits != Logits::Usual {
            name += &format!(",logits={:?}", self.logits).to_lowercase();
        }
        if self.kv_dtype != KvDtype::F32 {
            name += ",kv=f16";
        }
        if self.ragged_only {
            name += ",ragged_only";
        }
        if let Some(most) = self.max_workgroup_bytes {
            name += &format!(",max_workgroup_bytes={most}");
        }
        if let Some(most) = self.max_workgroups {
            name += &format!(",max_workgroups={most}");
        }
        name
    }

    /// The output is a mean of numbers below 1, so its error is that of the weights. A score is a sum of head_dim terms
    /// that stays below 4 sqrt(head_dim) before and below 16 after scaling: by random walk an error of 16 sqrt(head_dim)
    /// roundings at most. exp(-d) is off by 3 + 2d ulp, which its weight exp(-d) makes 4 at most. The two sums over
    /// tokens: sqrt(seq_len) roundings each. The division by one of them: 2.5 ulp, and a product.
    fn tolerance(&self) -> Tolerance {
        let longest = self.seqs.iter().map(|(context, query)| context + query).max().unwrap_or_default();
        let scores = if self.logits == Logits::Usual { 16.0 * (self.head_dim as f64).sqrt() } else { 0.0 };
        Tolerance { atol: (scores + 8.0 + 2.0 * (longest as f64).sqrt()) * ROUNDING, rtol: 6.0 * ROUNDING }
    }

    fn options(&self) -> GpuOptions {
        let Self { max_workgroup_bytes, max_workgroups, kernels, .. } = *self;
        GpuOptions { max_workgroup_bytes, max_workgroups, kernels, ..GpuOptions::default() }
    }

    /// All three kernels on one batch, into the same `out`: each its own rows.
    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let inputs = Inputs::new(self);
        let table = &inputs.table;
        let step = lab.words(&table.words)?;
        let q = lab.input(&inputs.q)?;
        let elements = self.kv_dtype;
        let kv =
            KvPool { k: lab.kv_input(&inputs.k_pool, elements)?, v: lab.kv_input(&inputs.v_pool, elements)?, elements };
        let len = inputs.num_tokens * self.heads() * self.head_dim;
        let mut out = lab.output(len)?;
        let PagedWork { items, num_items, num_whole, merges, num_merges, .. } = table.paged(self.window_or_all());
        let num_splits = (num_items - num_whole) as usize;
        let partials_len = num_splits * self.heads() * partial_len(self.head_dim);
        let mut partials = lab.output(partials_len)?;
        let (num_heads, head_dim) = (self.heads() as u32, self.head_dim as u32);
        let params = |num_items, num_whole, items_offset| AttentionParams {
            num_items,
            num_whole,
            num_heads,
            num_kv_heads: self.kv_heads as u32,
            head_dim,
            block_size: self.block_size as u32,
            window: self.window_or_all(),
            scale: 1.0 / (self.head_dim as f32).sqrt(),
            items_offset,
            cu_seqlens_q_offset: table.cu_seqlens_q,
            context_lens_offset: table.context_lens,
            block_table_offsets_offset: table.block_table_offsets,
            block_table_offset: table.block_table,
        };
        let ragged = params(table.num_ragged_items, 0, table.ragged_items);
        lab.0.ragged_attention(ragged, &step, &q, kv.as_ref(), &mut out);
        let paged = params(num_items, num_whole, items);
        lab.0.paged_attention(paged, &step, &q, kv.as_ref(), &mut out, &mut partials);
        let merge = MergeSplitsParams { num_items: num_merges, num_heads, head_dim, items_offset: merges };
        lab.0.merge_splits(merge, &step, &partials, &mut out);
        let partials = lab.read("partials", &partials, partials_len)?;
        Ok(vec![lab.read("out", &out, len)?, comparable(partials, self.head_dim)])
    }

    const HAS_ORACLE: bool = true;

    fn oracle(&self) -> Vec<Vec<f64>> {
        let inputs = Inputs::new(self);
        let attend = |(sequence, &(context_len, query_len)): (&Sequence, &(usize, usize))| {
            let view = |values, heads| {
                ArrayView3::from_shape((context_len + query_len, heads, self.head_dim), values).expect("whole rows")
            };
            let (k, v) = (view(&sequence.k, self.kv_heads), view(&sequence.v, self.kv_heads));
            let q = view(&sequence.q, self.heads());
            let mask = CausalMask { context_len, window: self.window };
            dense_attention(q.slice_axis(Axis(0), Slice::from(context_len..)), k, v, mask)
                .into_iter()
                .collect::<Vec<_>>()
        };
        vec![inputs.sequences.iter().zip(&self.seqs).flat_map(attend).collect()]
    }
}

/// What is kept of splits, as numbers that the tolerance of `out` holds for: not the sums of V but their mean, and of the
/// total the logarithm.
fn comparable(partials: Output, head_dim: usize) -> Output {
    let of_head = |partial: &[u32]| -> Vec<u32> {
        let total = f32::from_bits(partial[head_dim + 1]);
        let means = partial[..head_dim].iter().map(|&sum| (f32::from_bits(sum) / total).to_bits());
        let logarithm = total.ln().to_bits();
        means.chain([partial[head_dim], logarithm]).chain(partial[head_dim + 2..].iter().copied()).collect()
    };
    let comparable = partials.words.chunks_exact(partial_len(head_dim)).flat_map(of_head).collect();
    partials.with_words(comparable)
}

/// The same cases for a faster version, for heads of a multiple of 32 up to `widest`.
pub fn for_lanes(cases: Vec<Attention>, widest: usize) -> Vec<Attention> {
    let widen = |case: Attention| Attention {
        head_dim: if case.head_dim < 64 { 64 } else { case.head_dim.next_multiple_of(32).min(widest) },
        kernels: KernelSet::Fast,
        ..case
    };
    let mut names = BTreeSet::new();
    cases.into_iter().map(widen).filter(|case| names.insert(case.name())).collect()
}

/// head_dim and group of every kind, the batch being the same.
pub fn shapes(seqs: &[(usize, usize)]) -> Vec<Attention> {
    let mut all = Vec::new();
    for head_dim in [8, 16, 24, 32, 64, 80, 96, 128, 256] {
        for group in [1, 4, 7] {
            all.push(Attention { head_dim, group, ..Attention::of(seqs) });
        }
    }
    // More heads than one workgroup of paged_attention takes, and more than one query tile of ragged_attention.
    all.extend([16, 64, 128].map(|head_dim| Attention { head_dim, group: 32, kv_heads: 1, ..Attention::of(seqs) }));
    all
}

/// 20 heads share a KV head: a workgroup of `paged_attention` takes 16, the next the other 4; a query tile of
/// `ragged_attention` ends amid a query's heads.
pub fn uneven(seqs: &[(usize, usize)]) -> Attention {
    Attention { group: 20, ..Attention::of(seqs) }
}

/// Contexts around a block's edge, `query_lens` of each.
pub fn block_sizes(query_lens: &[usize]) -> Vec<Attention> {
    let case = |block_size: usize| {
        let contexts = [0, 1, block_size - 1, block_size, block_size + 1];
        let seqs: Vec<_> =
            contexts.into_iter().flat_map(|context| query_lens.iter().map(move |&q| (context, q))).collect();
        Attention { block_size, head_dim: 32, ..Attention::of(&seqs) }
    };
    [1, 2, 8, 16, 256].into_iter().map(case).collect()
}

/// Windows below, at and above the tiles, and one that never cuts.
pub fn windows(seqs: &[(usize, usize)]) -> Vec<Attention> {
    [1, 5, 16, 17, 64, 65, 1000]
        .into_iter()
        .map(|window| Attention { window: Some(window), ..Attention::of(seqs) })
        .collect()
}

/// K and V in halves: widths and blocks of every kind, in the naive version and in the faster one.
pub fn halves(seqs: &[(usize, usize)]) -> Vec<Attention> {
    let case = |head_dim, block_size, window| Attention {
        kv_dtype: KvDtype::F16,
        head_dim,
        block_size,
        window,
        ..Attention::of(seqs)
    };
    vec![
        case(64, 16, None),
        case(8, 1, None),
        case(32, 8, Some(5)),
        case(96, 256, None),
        case(80, 2, None),
        case(128, 1, None),
    ]
}

/// Scores far from zero.
pub fn extremes(seqs: &[(usize, usize)]) -> Vec<Attention> {
    let logits = [Logits::Wide, Logits::High, Logits::Low].into_iter();
    logits.flat_map(|logits| [16, 64].map(|head_dim| Attention { logits, head_dim, ..Attention::of(seqs) })).collect()
}
