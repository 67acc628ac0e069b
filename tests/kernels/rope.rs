//! `rope`: head widths from one thread per head upwards, positions in no order.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::{Backend, params::RopeParams};

struct Rope {
    tokens: usize,
    heads: usize,
    head_dim: usize,
    max_workgroups: Option<u32>,
}

const USUAL: Rope = Rope { tokens: 5, heads: 3, head_dim: 32, max_workgroups: None };
const MAX_MODEL_LEN: usize = 50;

pub fn cases() -> Cases {
    let widths = [8, 16, 24, 64, 80, 96, 128, 256].map(|head_dim| Rope { head_dim, ..USUAL });
    let tokens = [1, 16, 65].map(|tokens| Rope { tokens, ..USUAL });
    let heads = [1, 7, 32].map(|heads| Rope { heads, ..USUAL });
    let grid = Rope { tokens: 40, max_workgroups: Some(4), ..USUAL };
    boxed([USUAL, grid].into_iter().chain(widths).chain(tokens).chain(heads))
}

impl Rope {
    /// positions, table, x
    fn inputs(&self) -> (Vec<u32>, Vec<f32>, Vec<f32>) {
        let mut rng = Rng::new(&self.name());
        let positions = (0..self.tokens).map(|_| rng.below(MAX_MODEL_LEN) as u32).collect();
        let half = self.head_dim / 2;
        let angle = |position: usize, i: usize| position as f64 * 10_000f64.powf(-(i as f64) / half as f64);
        let row = |position| {
            let cosines = (0..half).map(move |i| angle(position, i).cos() as f32);
            cosines.chain((0..half).map(move |i| angle(position, i).sin() as f32))
        };
        let table = (0..MAX_MODEL_LEN).flat_map(row).collect();
        (positions, table, rng.f32s(self.tokens * self.heads * self.head_dim, 4.0))
    }
}

impl Case for Rope {
    fn name(&self) -> String {
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        format!("tokens={},heads={},head_dim={}{grid}", self.tokens, self.heads, self.head_dim)
    }

    /// Two products and a sum of numbers below 4, each rounded once or, fused, not at all; they may cancel, so the
    /// error is absolute: 3 roundings of at most 8.
    fn tolerance(&self) -> Tolerance {
        Tolerance { atol: 3.0 * 8.0 * ROUNDING, rtol: 0.0 }
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let (positions, table, x) = self.inputs();
        let len = x.len();
        let step = lab.words(&[vec![3], positions].concat())?;
        let (table, mut x) = (lab.input(&table)?, lab.in_place(&x)?);
        let (num_tokens, num_heads, head_dim) = (self.tokens as u32, self.heads as u32, self.head_dim as u32);
        let p = RopeParams { num_tokens, num_heads, head_dim, positions_offset: 1 };
        lab.0.rope(p, &step, &table, &mut x);
        Ok(vec![lab.read("x", &x, len)?])
    }

    const HAS_ORACLE: bool = true;

    fn oracle(&self) -> Vec<Vec<f64>> {
        let (positions, table, x) = self.inputs();
        let half = self.head_dim / 2;
        let rotated = (0..x.len()).map(|at| {
            let (head, i) = (at / self.head_dim, at % self.head_dim);
            let table = &table[positions[head / self.heads] as usize * self.head_dim..];
            let (cos, sin) = (f64::from(table[i % half]), f64::from(table[half + i % half]));
            let own = f64::from(x[at]);
            if i < half { own * cos - f64::from(x[at + half]) * sin } else { own * cos + f64::from(x[at - half]) * sin }
        });
        vec![rotated.collect()]
    }
}
