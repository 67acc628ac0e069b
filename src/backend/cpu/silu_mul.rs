//! Twin of `shaders/silu_mul.wgsl`.

use crate::backend::params::SiluMulParams;

/// `out[i] = silu(gate[i]) * up[i]`. The exponent is clamped where f32 would overflow: no infinity, and the same result.
pub(super) fn silu_mul(p: &SiluMulParams, gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up).take(p.len as usize) {
        *out = gate / (1.0 + (-gate).min(80.0).exp()) * up;
    }
}
