//! `silu_mul`: lengths around a workgroup, gates from 0 to far past where exp overflows.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::{Backend, params::SiluMulParams};

struct SiluMul {
    len: usize,
    /// Gates lie in `-range..range`.
    range: f32,
    max_workgroups: Option<u32>,
}

const USUAL: SiluMul = SiluMul { len: 300, range: 12.0, max_workgroups: None };

pub fn cases() -> Cases {
    let lens = [4, 252, 256, 260, 4864 * 3].map(|len| SiluMul { len, ..USUAL });
    let ranges = [1.0, 30.0, 80.0, 1e4].map(|range| SiluMul { range, ..USUAL });
    let grid = SiluMul { len: 4 * 64 * 9 + 8, max_workgroups: Some(4), ..USUAL };
    boxed([USUAL, grid].into_iter().chain(lens).chain(ranges))
}

impl SiluMul {
    /// gate, up
    fn inputs(&self) -> (Vec<f32>, Vec<f32>) {
        let mut rng = Rng::new(&self.name());
        let mut gate = rng.f32s(self.len, self.range);
        gate[..4].copy_from_slice(&[0.0, -0.0, self.range, -self.range]);
        (gate, rng.f32s(self.len, 2.0))
    }
}

impl Case for SiluMul {
    fn name(&self) -> String {
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        format!("len={},range={}{grid}", self.len, self.range)
    }

    /// exp(x) may be off by 3 + 2|x| ulp (Vulkan), the division by 2.5, a sum and a product by half an ulp each; the
    /// exponent is never above 80. An ulp is two roundings. Results below 1e-30 may be flushed to zero.
    fn tolerance(&self) -> Tolerance {
        let exponent = f64::from(self.range.min(80.0));
        Tolerance { atol: 1e-30, rtol: 2.0 * (3.0 + 2.0 * exponent + 2.5 + 1.0) * ROUNDING }
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let (gate, up) = self.inputs();
        let (gate, up) = (lab.input(&gate)?, lab.input(&up)?);
        let mut out = lab.output(self.len)?;
        lab.0.silu_mul(SiluMulParams { len: self.len as u32 }, &gate, &up, &mut out);
        Ok(vec![lab.read("out", &out, self.len)?])
    }

    const HAS_ORACLE: bool = true;

    fn oracle(&self) -> Vec<Vec<f64>> {
        let (gate, up) = self.inputs();
        // Below -80 kernel and twin stop at exp(80): a result under 1e-30 either way.
        let silu = |x: f64| x / (1.0 + (-x).min(80.0).exp());
        vec![gate.iter().zip(&up).map(|(&gate, &up)| silu(gate.into()) * f64::from(up)).collect()]
    }
}
