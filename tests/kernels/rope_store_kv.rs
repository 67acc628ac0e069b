//! `rope_store_kv`: head widths from one thread per head upwards, with norms of the heads and without, positions in no
//! order, every row to its slot and no other slot touched.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::{Backend, HeadTables, KvPool, params::RopeStoreKvParams};
use cb_lab::config::KvDtype;

struct RopeStoreKv {
    tokens: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    block_size: usize,
    norms: bool,
    /// Size of the elements of qkv: at 1e-3 the eps is as large as the mean square.
    magnitude: f32,
    max_workgroups: Option<u32>,
    kv_dtype: KvDtype,
}

const USUAL: RopeStoreKv = RopeStoreKv {
    tokens: 9,
    heads: 6,
    kv_heads: 2,
    head_dim: 24,
    block_size: 16,
    norms: false,
    magnitude: 4.0,
    max_workgroups: None,
    kv_dtype: KvDtype::F32,
};
const NORMED: RopeStoreKv = RopeStoreKv { norms: true, magnitude: 1e-3, ..USUAL };
const EPS: f32 = 1e-6;
const MAX_MODEL_LEN: usize = 50;

pub fn cases() -> Cases {
    let widths = [8, 16, 32, 64, 80, 96, 128, 256].into_iter();
    let widths = widths.flat_map(|head_dim| [USUAL, NORMED].map(|usual| RopeStoreKv { head_dim, ..usual }));
    let blocks = [1, 2, 8, 256].map(|block_size| RopeStoreKv { block_size, ..USUAL });
    let heads = [(1, 1), (7, 1), (32, 8), (3, 3)];
    let heads = heads.into_iter().flat_map(|(heads, kv_heads)| {
        [USUAL, NORMED].map(|usual| RopeStoreKv { heads, kv_heads, head_dim: 32, ..usual })
    });
    let tokens = [1, 16, 65].map(|tokens| RopeStoreKv { tokens, ..NORMED });
    let magnitudes = [1e-6, 1.0, 1e4].map(|magnitude| RopeStoreKv { magnitude, ..NORMED });
    let grid = RopeStoreKv { tokens: 40, max_workgroups: Some(4), ..NORMED };
    // Beyond what a half holds, around it, and below the smallest that is not subnormal.
    let halves = [1e6, 4.0, 1e-5].map(|magnitude| RopeStoreKv { kv_dtype: KvDtype::F16, magnitude, ..USUAL });
    let halves = halves.into_iter().chain([RopeStoreKv { kv_dtype: KvDtype::F16, head_dim: 128, ..NORMED }]);
    boxed(
        [USUAL, NORMED, grid]
            .into_iter()
            .chain(widths)
            .chain(blocks)
            .chain(heads)
            .chain(tokens)
            .chain(magnitudes)
            .chain(halves),
    )
}

struct Inputs {
    positions: Vec<u32>,
    slots: Vec<u32>,
    table: Vec<f32>,
    norms: Vec<f32>,
    qkv: Vec<f32>,
}

impl RopeStoreKv {
    fn inputs(&self) -> Inputs {
        let mut rng = Rng::new(&self.name());
        let half = self.head_dim / 2;
        let angle = |position: usize, i: usize| position as f64 * 10_000f64.powf(-(i as f64) / half as f64);
        let row = |position| {
            let cosines = (0..half).map(move |i| angle(position, i).cos() as f32);
            cosines.chain((0..half).map(move |i| angle(position, i).sin() as f32))
        };
        let mut slots = rng.permutation(self.num_blocks() * self.block_size);
        slots.truncate(self.tokens);
        Inputs {
            positions: (0..self.tokens).map(|_| rng.below(MAX_MODEL_LEN) as u32).collect(),
            slots,
            table: (0..MAX_MODEL_LEN).flat_map(row).collect(),
            norms: rng.f32s(2 * self.head_dim, 2.0),
            qkv: rng.f32s(self.tokens * self.heads_of_row() * self.head_dim, self.magnitude),
        }
    }

    fn num_blocks(&self) -> usize {
        self.tokens.div_ceil(self.block_size) + 2
    }

    fn heads_of_row(&self) -> usize {
        self.heads + 2 * self.kv_heads
    }

    fn pool_len(&self) -> usize {
        self.num_blocks() * self.block_size * self.kv_heads * self.head_dim
    }

    /// Largest absolute value of what is turned. A head of mean square 1 has no element above √head_dim; weights are
    /// below 2.
    fn largest(&self) -> f64 {
        if self.norms { 2.0 * (self.head_dim as f64).sqrt() } else { f64::from(self.magnitude) }
    }
}

impl Case for RopeStoreKv {
    fn name(&self) -> String {
        let Self { tokens, heads, kv_heads, head_dim, block_size, .. } = self;
        let norms = if self.norms { format!(",norms,magnitude={:e}", self.magnitude) } else { String::new() };
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        let halves =
            if self.kv_dtype == KvDtype::F16 { format!(",kv=f16,size={:e}", self.magnitude) } else { String::new() };
        format!("tokens={tokens},heads={heads}/{kv_heads}x{head_dim},block_size={block_size}{norms}{halves}{grid}")
    }

    /// Two products and a sum of numbers below `largest`, each rounded once or, fused, not at all; they may cancel, so the
    /// error is absolute: 3 roundings of at most twice that. A norm's error, relative as in `rms_norm`, comes in with both
    /// numbers of the pair.
    fn tolerance(&self) -> Tolerance {
        let norm = if self.norms { 21.0 + self.head_dim as f64 / 32.0 } else { 0.0 };
        let atol = (3.0 + norm) * 2.0 * self.largest() * ROUNDING;
        // That error may take an element of K across to the next half: 2^-10 of it, or one multiple of 2^-24.
        match self.kv_dtype {
            KvDtype::F32 => Tolerance { atol, rtol: 0.0 },
            KvDtype::F16 => Tolerance { atol: atol + ROUNDING, rtol: 1.0 / 1024.0 },
        }
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let Inputs { positions, slots, table, norms, qkv } = self.inputs();
        let p = RopeStoreKvParams {
            num_tokens: self.tokens as u32,
            num_heads: self.heads as u32,
            num_kv_heads: self.kv_heads as u32,
            head_dim: self.head_dim as u32,
            block_size: self.block_size as u32,
            positions_offset: 1,
            slot_mapping_offset: 3 + self.tokens as u32,
            has_norms: 0,
            eps: EPS,
        };
        let step = lab.words(&[vec![3], positions, vec![1, 2], slots].concat())?;
        let (table, norms, qkv) = (lab.input(&table)?, lab.input(&norms)?, lab.input(&qkv)?);
        let (q_len, pool_len) = (self.tokens * self.heads * self.head_dim, self.pool_len());
        let mut q = lab.output(q_len)?;
        let elements = self.kv_dtype;
        let pool_len = elements.words(pool_len);
        let mut kv = KvPool { k: lab.output(pool_len)?, v: lab.output(pool_len)?, elements };
        let tables = HeadTables { rope: &table, norms: self.norms.then_some(&norms) };
        lab.0.rope_store_kv(p, &step, tables, &qkv, &mut q, kv.as_mut());
        Ok(vec![
            lab.read("q", &q, q_len)?,
            lab.read("k_pool", &kv.k, pool_len)?.partial().widened(elements),
            // It is only moved, or rounded in one way.
            lab.read("v_pool", &kv.v, pool_len)?.partial().exact(),
        ])
    }

    const HAS_ORACLE: bool = true;

    /// Of Q alone: what the pools hold besides is poison. K is computed as Q is, and the layers of whole models are held
    /// against a dense model in f64.
    fn oracle(&self) -> Vec<Vec<f64>> {
        let Inputs { positions, table, norms, qkv, .. } = self.inputs();
        let (head_dim, half) = (self.head_dim, self.head_dim / 2);
        let turned = |(row, x): (usize, &[f32])| {
            let squares: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum();
            let root = (squares / head_dim as f64 + f64::from(EPS)).sqrt();
            let normed = |i: usize| f64::from(x[i]) * if self.norms { f64::from(norms[i]) / root } else { 1.0 };
            let angles = &table[positions[row] as usize * head_dim..][..head_dim];
            let one = |i: usize| {
                let (cos, sin) = (f64::from(angles[i % half]), f64::from(angles[half + i % half]));
                let other = if i < half { -normed(i + half) } else { normed(i - half) };
                normed(i) * cos + other * sin
            };
            (0..head_dim).map(one).collect::<Vec<_>>()
        };
        let rows = qkv.chunks_exact(self.heads_of_row() * head_dim).enumerate();
        let queries =
            rows.flat_map(|(row, x)| x[..self.heads * head_dim].chunks_exact(head_dim).map(move |x| (row, x)));
        vec![queries.flat_map(turned).collect()]
    }
}
