//! `merge_splits`: rows of 2 to 64 splits, between rows that are not its own.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::splits::partial_len;
use cb_lab::backend::{Backend, params::MergeSplitsParams};

#[derive(Clone, Copy)]
struct MergeSplits {
    /// Splits of each row to be merged; every second row of the batch is one.
    splits: &'static [usize],
    heads: usize,
    head_dim: usize,
    maxima: Maxima,
    max_workgroups: Option<u32>,
}

/// The largest scores of splits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Maxima {
    /// From -4 to 4.
    Usual,
    /// Whole numbers up to 1e4 of either sign: exp of most differences is 0, of all of them without the maximum infinite.
    Wide,
    /// All the same.
    Level,
}

const USUAL: MergeSplits =
    MergeSplits { splits: &[2, 5, 3], heads: 8, head_dim: 16, maxima: Maxima::Usual, max_workgroups: None };

pub fn cases() -> Cases {
    let counts = [&[2][..], &[64, 2], &[1, 33]].map(|splits| MergeSplits { splits, ..USUAL });
    let maxima = [Maxima::Wide, Maxima::Level].map(|maxima| MergeSplits { maxima, ..USUAL });
    let heads = [(1, 8), (14, 64), (3, 80), (6, 96), (9, 128), (2, 256)].map(|(heads, head_dim)| MergeSplits {
        heads,
        head_dim,
        ..USUAL
    });
    let grid = MergeSplits { heads: 14, head_dim: 64, max_workgroups: Some(2), ..USUAL };
    boxed([USUAL, grid].into_iter().chain(maxima).chain(counts).chain(heads))
}

/// What stands before the work items in the attention metadata.
const ITEMS_OFFSET: usize = 3;

impl MergeSplits {
    fn num_rows(&self) -> usize {
        2 * self.splits.len() + 1
    }

    /// Row, first split and end split of each item: odd rows, the last first.
    fn items(&self) -> Vec<[usize; 3]> {
        let mut first = 0;
        let item = |(i, &num_splits): (usize, &usize)| {
            let item = [2 * (self.splits.len() - i) - 1, first, first + num_splits];
            first += num_splits;
            item
        };
        self.splits.iter().enumerate().map(item).collect()
    }

    /// Every second row of `out`, from row `first` on.
    fn rows_of(&self, out: Output, first: usize) -> Output {
        let width = self.heads * self.head_dim;
        let rows = out.words.chunks_exact(width).skip(first).step_by(2).flatten().copied().collect();
        out.with_words(rows)
    }

    /// `[num_splits, heads, head_dim + 4]`. The sums are totals times a mean below 1; what nobody is to read is NaN.
    fn partials(&self) -> Vec<f32> {
        let mut rng = Rng::new(&self.name());
        let mut partials = Vec::new();
        for _ in 0..self.splits.iter().sum::<usize>() * self.heads {
            let maximum = match self.maxima {
                Maxima::Usual => rng.f32(4.0),
                Maxima::Wide => rng.f32(1e4).trunc(),
                Maxima::Level => 1e4,
            };
            let total = 1.0 + 511.0 * rng.f32(1.0).abs();
            partials.extend(rng.f32s(self.head_dim, 1.0).into_iter().map(|mean| total * mean));
            partials.extend([maximum, total, f32::NAN, f32::NAN]);
        }
        partials
    }
}

impl Case for MergeSplits {
    fn name(&self) -> String {
        let Self { splits, heads, head_dim, maxima, .. } = self;
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        format!("splits={splits:?},heads={heads},head_dim={head_dim},maxima={maxima:?}{grid}")
    }

    /// The output is a mean of numbers below 1, so its error is that of the weights, at most twice. exp(-d) with d up to 8
    /// is off by 3 + 2d ulp, 19, of two roundings each; beyond, its weight exp(-d) makes it less. Two products, and two sums
    /// over splits: one rounding for each split. The division: 2.5 ulp.
    fn tolerance(&self) -> Tolerance {
        let most = self.splits.iter().copied().max().unwrap_or_default() as f64;
        Tolerance { atol: (2.0 * 38.0 + 4.0 + 2.0 * most + 5.0) * ROUNDING, rtol: 0.0 }
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let mut step = vec![7; ITEMS_OFFSET];
        step.extend(self.items().iter().flatten().map(|&word| word as u32));
        // Whoever merges one row more writes row 0.
        step.extend([0, 0, 2]);
        let step = lab.words(&step)?;
        let partials = lab.input(&self.partials())?;
        let len = self.num_rows() * self.heads * self.head_dim;
        let mut out = lab.output(len)?;
        let p = MergeSplitsParams {
            num_items: self.splits.len() as u32,
            num_heads: self.heads as u32,
            head_dim: self.head_dim as u32,
            items_offset: ITEMS_OFFSET as u32,
        };
        lab.0.merge_splits(p, &step, &partials, &mut out);
        let merged = self.rows_of(lab.read("out", &out, len)?, 1);
        // These stay poison on either side.
        let others = self.rows_of(lab.read("rows of others", &out, len)?, 0);
        Ok(vec![merged, others.partial().exact()])
    }

    const HAS_ORACLE: bool = true;

    fn oracle(&self) -> Vec<Vec<f64>> {
        let (head_dim, partial_len) = (self.head_dim, partial_len(self.head_dim));
        let partials = self.partials();
        let mut out = vec![0.0; self.splits.len() * self.heads * head_dim];
        for [row, first, end] in self.items() {
            for head in 0..self.heads {
                let partial = |split: usize| &partials[(split * self.heads + head) * partial_len..][..partial_len];
                let largest = (first..end).map(|split| partial(split)[head_dim]).fold(f32::MIN, f32::max);
                let share = |split: usize| (f64::from(partial(split)[head_dim]) - f64::from(largest)).exp();
                let total: f64 = (first..end).map(|split| share(split) * f64::from(partial(split)[head_dim + 1])).sum();
                for i in 0..head_dim {
                    let sum: f64 = (first..end).map(|split| share(split) * f64::from(partial(split)[i])).sum();
                    out[(row / 2 * self.heads + head) * head_dim + i] = sum / total;
                }
            }
        }
        vec![out]
    }
}
