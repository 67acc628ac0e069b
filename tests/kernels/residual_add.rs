//! `residual_add`: lengths around a workgroup, and a grid of several rows of workgroups.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::{Backend, params::ResidualAddParams};

struct ResidualAdd {
    len: usize,
    max_workgroups: Option<u32>,
}

pub fn cases() -> Cases {
    let lens = [300, 4, 252, 256, 260, 896 * 7].map(|len| ResidualAdd { len, max_workgroups: None });
    let grid = ResidualAdd { len: 4 * 64 * 9 + 8, max_workgroups: Some(4) };
    boxed(lens.into_iter().chain([grid]))
}

impl Case for ResidualAdd {
    fn name(&self) -> String {
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        format!("len={}{grid}", self.len)
    }

    /// One addition, rounded correctly everywhere.
    fn tolerance(&self) -> Tolerance {
        Tolerance::EXACT
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let mut rng = Rng::new(&self.name());
        let y = lab.input(&rng.f32s(self.len, 1.0))?;
        let mut x = lab.in_place(&rng.f32s(self.len, 3.0))?;
        lab.0.residual_add(ResidualAddParams { len: self.len as u32 }, &y, &mut x);
        Ok(vec![lab.read("x", &x, self.len)?])
    }
}
