//! `gather_rows`: rows picked in any order, also twice.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::{Backend, params::GatherRowsParams};

struct GatherRows {
    tokens: usize,
    rows: usize,
    width: usize,
    max_workgroups: Option<u32>,
}

const USUAL: GatherRows = GatherRows { tokens: 9, rows: 5, width: 72, max_workgroups: None };

pub fn cases() -> Cases {
    let rows = [1, 3, 64, 65].map(|rows| GatherRows { rows, tokens: 70, ..USUAL });
    let widths = [4, 252, 256, 260, 4096].map(|width| GatherRows { width, ..USUAL });
    let grid = GatherRows { rows: 40, max_workgroups: Some(4), ..USUAL };
    boxed([USUAL, grid].into_iter().chain(rows).chain(widths))
}

impl Case for GatherRows {
    fn name(&self) -> String {
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        format!("tokens={},rows={},width={}{grid}", self.tokens, self.rows, self.width)
    }

    /// It moves words.
    fn tolerance(&self) -> Tolerance {
        Tolerance::EXACT
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let mut rng = Rng::new(&self.name());
        // Two words of something else stand before the indices in the attention metadata.
        let mut step = vec![1, 0];
        step.extend((0..self.rows).map(|_| rng.below(self.tokens) as u32));
        step[2] = self.tokens as u32 - 1;
        let step = lab.words(&step)?;
        let x = lab.input(&rng.f32s(self.tokens * self.width, 1.0))?;
        let mut out = lab.output(self.rows * self.width)?;
        let p = GatherRowsParams { num_rows: self.rows as u32, width: self.width as u32, indices_offset: 2 };
        lab.0.gather_rows(p, &step, &x, &mut out);
        Ok(vec![lab.read("out", &out, self.rows * self.width)?])
    }
}
