//! `argmax`: widths up to a large vocabulary, ties, NaN.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::{Backend, params::ArgmaxParams};

#[derive(Clone, Copy, Debug)]
enum Logits {
    /// Any.
    Random,
    /// Five different values, so that every maximum is there often.
    Ties,
    /// All the same.
    Flat,
    /// All below -1e4.
    Low,
    /// NaN first, last and in between.
    WithNan,
    /// Nothing but NaN: index 0 by convention.
    OnlyNan,
}

struct Argmax {
    rows: usize,
    width: usize,
    logits: Logits,
    max_workgroups: Option<u32>,
}

const USUAL: Argmax = Argmax { rows: 3, width: 300, logits: Logits::Random, max_workgroups: None };

pub fn cases() -> Cases {
    let kinds = [Logits::Ties, Logits::Flat, Logits::Low, Logits::WithNan, Logits::OnlyNan];
    let kinds = kinds.map(|logits| Argmax { logits, ..USUAL });
    let widths = [1, 2, 3, 63, 64, 65, 1000, 32_000, 151_936, 200_000].map(|width| Argmax { width, ..USUAL });
    let rows = [1, 2, 65].map(|rows| Argmax { rows, width: 70, ..USUAL });
    let grid = Argmax { rows: 11, max_workgroups: Some(4), ..USUAL };
    boxed([USUAL, grid].into_iter().chain(kinds).chain(rows).chain(widths))
}

impl Argmax {
    fn x(&self) -> Vec<f32> {
        let mut rng = Rng::new(&self.name());
        let value = |i: usize| match self.logits {
            Logits::Random => rng.f32(10.0),
            Logits::Ties => rng.below(5) as f32,
            Logits::Flat => -2.5,
            Logits::Low => rng.f32(10.0) - 1e4,
            Logits::WithNan if i.is_multiple_of(7) || (i + 1).is_multiple_of(self.width) => f32::NAN,
            Logits::WithNan => rng.f32(10.0),
            Logits::OnlyNan => f32::NAN,
        };
        (0..self.rows * self.width).map(value).collect()
    }
}

impl Case for Argmax {
    fn name(&self) -> String {
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        format!("rows={},width={},{:?}{grid}", self.rows, self.width, self.logits).to_lowercase()
    }

    /// Of the log-probability; the index is exact. A thread adds width / 64 positive terms in a row, 6 more additions
    /// join the threads; exp of a number down to -20 is off by up to 43 ulp, log by 3. The log turns the relative error
    /// of the sum into an absolute one.
    fn tolerance(&self) -> Tolerance {
        let roundings = self.width as f64 / 64.0 + 6.0 + 2.0 * (43.0 + 3.0);
        Tolerance { atol: roundings * ROUNDING, rtol: 4.0 * ROUNDING }
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let x = lab.input(&self.x())?;
        let mut out = lab.output(2 * self.rows)?;
        lab.0.argmax(ArgmaxParams { num_rows: self.rows as u32, width: self.width as u32 }, &x, &mut out);
        let [indices, logprobs] = lab.read("out", &out, 2 * self.rows)?.split_pairs(["index", "logprob"]);
        // With a NaN among the logits there is no probability.
        let nan = matches!(self.logits, Logits::WithNan | Logits::OnlyNan);
        Ok(if nan { vec![indices] } else { vec![indices, logprobs] })
    }

    const HAS_ORACLE: bool = true;

    fn oracle(&self) -> Vec<Vec<f64>> {
        let x = self.x();
        let best = |row: &[f32]| {
            let numbers = || row.iter().enumerate().filter(|(_, x)| !x.is_nan());
            let max = numbers().fold(f32::NEG_INFINITY, |max, (_, &x)| max.max(x));
            let idx = numbers().find(|&(_, &x)| x == max).map_or(0, |(i, _)| i);
            let sum: f64 = row.iter().map(|&x| (f64::from(x) - f64::from(max)).exp()).sum();
            (idx as f64, -sum.ln())
        };
        let (indices, logprobs): (Vec<f64>, Vec<f64>) = x.chunks_exact(self.width).map(best).unzip();
        vec![indices, logprobs]
    }
}
