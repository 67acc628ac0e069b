//! `gated_linear` and its faster versions: every row tile, columns around a workgroup's, matrices in one piece and in
//! several, gates from 0 to far past where exp overflows.

use crate::harness::*;
use cb_lab::backend::element_type::ElementType;
use cb_lab::backend::gpu::{GpuOptions, Tuning};
use cb_lab::backend::kernel_set::KernelSet;
use cb_lab::backend::{Backend, params::GatedLinearParams};

#[derive(Clone, Copy)]
struct GatedLinear {
    rows: usize,
    in_features: usize,
    out_features: usize,
    elements: ElementType,
    /// Whole numbers up to this, which make every sum exact, in any order; else fractions below 1.
    whole: Option<f32>,
    /// A smaller binding than either matrix, which is split by rows then.
    max_binding_bytes: Option<u64>,
    kernels: KernelSet,
    tuning: Tuning,
}

const USUAL: GatedLinear = GatedLinear {
    rows: 5,
    in_features: 72,
    out_features: 70,
    elements: ElementType::F32,
    whole: None,
    max_binding_bytes: None,
    kernels: KernelSet::Naive,
    tuning: Tuning::Auto,
};

/// Cases of `gated_linear`. 288 bytes a row of a matrix: pieces of 30, 30 and 10 rows. 68 is no multiple of 8, so halves of
/// it are stored as f32.
pub fn cases() -> Cases {
    let odd = [4, 68].map(|in_features| GatedLinear { in_features, elements: ElementType::F16, ..USUAL });
    boxed(around(USUAL).into_iter().chain(odd))
}

/// Cases of `gated_linear_interleaved`, which takes rows of a multiple of 32, and up to 4 of x. 384 bytes a row of a matrix,
/// 8 rows together: pieces of 16, 16, 16, 16 and 6 rows.
pub fn few_rows_cases() -> Cases {
    boxed(fast_cases(3, Tuning::Software).filter(|case| case.rows <= 4))
}

/// The same of `gated_linear_split`, which takes up to 32 rows.
pub fn split_cases() -> Cases {
    let deeper = GatedLinear { rows: 1, in_features: 1056, ..hardware() };
    boxed(fast_cases(3, Tuning::Gpu).filter(|case| case.rows <= 32).chain([deeper]))
}

/// The same of `gated_linear_tiles`, which takes more rows: in tiles of 8, or of 16.
pub fn many_rows_cases() -> Cases {
    let hardware = [33, 65].map(|rows| GatedLinear { rows, ..hardware() });
    boxed(fast_cases(17, Tuning::Software).filter(|case| case.rows > 4).chain(hardware))
}

fn hardware() -> GatedLinear {
    GatedLinear { in_features: 96, kernels: KernelSet::Fast, tuning: Tuning::Gpu, ..USUAL }
}

fn fast_cases(rows: usize, tuning: Tuning) -> impl Iterator<Item = GatedLinear> {
    let usual = GatedLinear { rows, tuning, ..hardware() };
    around(usual).into_iter().chain([GatedLinear { in_features: 32, ..usual }])
}

fn around(usual: GatedLinear) -> Vec<GatedLinear> {
    // Sums of 9 by 9 are in the thousands; of 1 by 1 they are around 0, and many are 0.
    let exact = [9.0, 3.0, 2.0].map(|most| GatedLinear { whole: Some(most), ..usual });
    let split = [1, 3, 17].map(|rows| GatedLinear { rows, max_binding_bytes: Some(8700), ..usual });
    let rows = [1, 2, 3, 4, 5, 8, 9, 16, 33].map(|rows| GatedLinear { rows, ..usual });
    let columns = [1, 3, 8, 64, 65, 127, 128, 129, 255, 256, 257];
    let columns = columns.map(|out_features| GatedLinear { out_features, ..usual });
    let deep = GatedLinear { in_features: 896, ..usual };
    let halves = [ElementType::F16, ElementType::Bf16].into_iter().flat_map(|elements| {
        let rows = [1, 3, 9].map(|rows| GatedLinear { rows, elements, ..usual });
        let split = GatedLinear { rows: usual.rows.min(9), elements, max_binding_bytes: Some(4350), ..usual };
        let deep = GatedLinear { elements, in_features: 896, out_features: 257, ..usual };
        rows.into_iter().chain([split, deep, GatedLinear { elements, whole: Some(3.0), ..usual }])
    });
    let cases = [usual].into_iter().chain(exact).chain(rows).chain(split).chain(columns);
    let quantized = [ElementType::Int8, ElementType::Int4].into_iter().flat_map(|elements| {
        let usual = GatedLinear { elements, in_features: 96, ..usual };
        let rows = [1, 3, 9].map(|rows| GatedLinear { rows, ..usual });
        let split = GatedLinear { rows: usual.rows.min(5), out_features: 140, max_binding_bytes: Some(4350), ..usual };
        let odd = GatedLinear { in_features: 32, out_features: 7, ..usual };
        let deep = GatedLinear { in_features: 896, out_features: 257, ..usual };
        rows.into_iter().chain([split, odd, deep, GatedLinear { in_features: 72, ..usual }])
    });
    cases.chain([deep]).chain(halves).chain(quantized).collect()
}

struct Inputs {
    x: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
}

impl GatedLinear {
    fn inputs(&self) -> Inputs {
        let mut rng = Rng::new(&self.name());
        let mut values = |len: usize| match self.whole {
            Some(most) => rng.f32s(len, most + 1.0).into_iter().map(f32::trunc).collect(),
            None => rng.f32s(len, 1.0),
        };
        let len = self.out_features * self.in_features;
        Inputs { gate: values(len), up: values(len), x: values(self.rows * self.in_features) }
    }
}

impl Case for GatedLinear {
    fn name(&self) -> String {
        let Self { rows, in_features, out_features, elements, .. } = self;
        let whole = self.whole.map_or(String::new(), |most| format!(",whole up to {most}"));
        let split = self.max_binding_bytes.map_or(String::new(), |most| format!(",max_binding_bytes={most}"));
        let tuned = if self.tuning == Tuning::Gpu { ",tuned for hardware" } else { "" };
        format!("rows={rows},in={in_features},out={out_features},{elements:?}{whole}{split}{tuned}")
    }

    /// Of silu and the product: exp(x) may be off by 3 + 2|x| ulp (Vulkan), the division by 2.5, a sum and a product by half
    /// an ulp each; the exponent is never above 80. An ulp is two roundings. Results below 1e-30 may be flushed to zero.
    ///
    /// Of the sums, where they are not exact: what `linear` may be off, 2 (in_features + 4) roundings. silu's slope is
    /// below 1.1, so the product is off by 2.1 times that times the larger sum, which stays below sqrt(in_features) as a
    /// random walk does: its standard deviation is a third of that.
    fn tolerance(&self) -> Tolerance {
        let walk = (self.in_features as f64).sqrt();
        let exponent = if self.whole.is_some() { 80.0 } else { walk.min(80.0) };
        let rtol = 2.0 * (3.0 + 2.0 * exponent + 2.5 + 1.0) * ROUNDING;
        let sums = if self.whole.is_some() { 0.0 } else { 2.0 * (self.in_features as f64 + 4.0) * ROUNDING };
        Tolerance { atol: 1e-30 + 2.1 * walk * sums, rtol }
    }

    fn options(&self) -> GpuOptions {
        let &Self { max_binding_bytes, kernels, tuning, .. } = self;
        GpuOptions { max_binding_bytes, kernels, tuning, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let Inputs { x, gate, up } = self.inputs();
        let gate = lab.matrix(self.out_features, self.in_features, self.elements, &gate)?;
        let up = lab.matrix(self.out_features, self.in_features, self.elements, &up)?;
        let x = lab.input(&x)?;
        let len = self.rows * self.out_features;
        let mut out = lab.output(len)?;
        let shape = [self.rows, self.in_features, self.out_features].map(|count| count as u32);
        let p = GatedLinearParams::of_shape(shape[0], shape[1], shape[2]);
        lab.0.gated_linear(p, &x, &gate, &up, &mut out);
        Ok(vec![lab.read("out", &out, len)?])
    }

    const HAS_ORACLE: bool = true;

    fn oracle(&self) -> Vec<Vec<f64>> {
        let Inputs { x, gate, up } = self.inputs();
        let [gate, up] = [gate, up].map(|weight| self.elements.rounded(&weight, self.in_features));
        let dot = |x: &[f32], weight: &[f32]| -> f64 {
            x.iter().zip(weight).map(|(&x, &weight)| f64::from(x) * f64::from(weight)).sum()
        };
        // Below -80 kernel and twin stop at exp(80): as good as 0 either way.
        let silu = |x: f64| x / (1.0 + (-x).min(80.0).exp());
        let row = |x| {
            let weights = gate.chunks_exact(self.in_features).zip(up.chunks_exact(self.in_features));
            weights.map(move |(gate, up)| silu(dot(x, gate)) * dot(x, up))
        };
        vec![x.chunks_exact(self.in_features).flat_map(row).collect()]
    }
}
