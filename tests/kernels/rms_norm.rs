//! `rms_norm`: widths around one vec4 per thread, rows of every magnitude so that eps matters.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::{Backend, params::RmsNormParams};

struct RmsNorm {
    rows: usize,
    width: usize,
    eps: f32,
    /// Size of the elements of `x`: at 1e-3 an eps of 1e-6 is as large as the mean square.
    magnitude: f32,
    max_workgroups: Option<u32>,
}

const USUAL: RmsNorm = RmsNorm { rows: 3, width: 64, eps: 1e-6, magnitude: 1e-3, max_workgroups: None };

pub fn cases() -> Cases {
    let widths = [4, 8, 252, 256, 260, 896, 1100, 4096].map(|width| RmsNorm { width, ..USUAL });
    let rows = [1, 2, 70].map(|rows| RmsNorm { rows, width: 96, eps: 1e-5, magnitude: 1.0, ..USUAL });
    let tiny = RmsNorm { magnitude: 1e-6, ..USUAL };
    let huge = RmsNorm { magnitude: 1e6, ..USUAL };
    let grid = RmsNorm { rows: 11, max_workgroups: Some(4), ..USUAL };
    boxed([USUAL, tiny, huge, grid].into_iter().chain(rows).chain(widths))
}

impl RmsNorm {
    /// x, weight
    fn inputs(&self) -> (Vec<f32>, Vec<f32>) {
        let mut rng = Rng::new(&self.name());
        (rng.f32s(self.rows * self.width, self.magnitude), rng.f32s(self.width, 2.0))
    }
}

impl Case for RmsNorm {
    fn name(&self) -> String {
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        format!("width={},rows={},eps={:e},magnitude={:e}{grid}", self.width, self.rows, self.eps, self.magnitude)
    }

    /// Every term is positive, so the error is relative. The twin adds width / 16 squares in a row, the kernel
    /// width / 256; the root halves that error. Then, in ulp by WGSL's table: two divisions 2.5 each, a root that may be
    /// 1 / inversesqrt 4.5, two products 0.5 each: 10.5, of two roundings each.
    fn tolerance(&self) -> Tolerance {
        Tolerance { atol: 0.0, rtol: (21.0 + self.width as f64 / 32.0) * ROUNDING }
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let (x, weight) = self.inputs();
        let (x, weight) = (lab.input(&x)?, lab.input(&weight)?);
        let mut out = lab.output(self.rows * self.width)?;
        let p = RmsNormParams { num_rows: self.rows as u32, width: self.width as u32, eps: self.eps };
        lab.0.rms_norm(p, &x, &weight, &mut out);
        Ok(vec![lab.read("out", &out, self.rows * self.width)?])
    }

    const HAS_ORACLE: bool = true;

    fn oracle(&self) -> Vec<Vec<f64>> {
        let (x, weight) = self.inputs();
        let row = |x: &[f32]| {
            let squares: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum();
            let root = (squares / x.len() as f64 + f64::from(self.eps)).sqrt();
            x.iter().zip(&weight).map(|(&x, &weight)| f64::from(x) * f64::from(weight) / root).collect::<Vec<_>>()
        };
        vec![x.chunks_exact(self.width).flat_map(row).collect()]
    }
}
