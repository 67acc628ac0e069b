//! `linear` and its faster versions: every row tile, columns around a workgroup's 256, bias or none, matrices in one piece
//! and in several.

use crate::harness::*;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::element_type::ElementType;
use cb_lab::backend::gpu::{GpuOptions, Tuning};
use cb_lab::backend::kernel_set::KernelSet;
use cb_lab::backend::quantized::GROUP;
use cb_lab::backend::{Backend, params::LinearParams};
use libtest_mimic::Trial;

#[derive(Clone, Copy)]
struct Linear {
    rows: usize,
    in_features: usize,
    out_features: usize,
    bias: bool,
    /// Whether the output holds values before, which are added to.
    adds: bool,
    elements: ElementType,
    /// Whole numbers: every sum is exact, in any order.
    exact: bool,
    /// A smaller binding than the matrix, which is split by rows then.
    max_binding_bytes: Option<u64>,
    kernels: KernelSet,
    tuning: Tuning,
    /// Whatever the rows, the version for many runs.
    deterministic: bool,
}

const USUAL: Linear = Linear {
    rows: 5,
    in_features: 72,
    out_features: 70,
    bias: true,
    adds: false,
    elements: ElementType::F32,
    exact: false,
    max_binding_bytes: None,
    kernels: KernelSet::Naive,
    tuning: Tuning::Auto,
    deterministic: false,
};

/// Cases of `linear`.
pub fn cases() -> Cases {
    // 288 bytes a row of the matrix: pieces of 30, 30 and 10 rows.
    let split = [1, 3, 17].map(|rows| Linear { rows, max_binding_bytes: Some(8700), ..USUAL });
    let rows = [1, 2, 3, 4, 7, 8, 9, 17, 33].map(|rows| Linear { rows, exact: rows % 2 == 0, ..USUAL });
    let columns = [1, 3, 64, 65, 192, 255, 256, 257, 513].map(|out_features| Linear { out_features, ..USUAL });
    let depths = [4, 8, 64, 896, 4864].map(|in_features| Linear { in_features, bias: false, ..USUAL });
    let exact = Linear { exact: true, ..USUAL };
    let adding = adding(USUAL, 8700);
    // 144 bytes a row of the matrix: pieces of 30, 30 and 10 rows again; 68 is no multiple of 8, so it is stored as f32.
    let halves = [ElementType::F16, ElementType::Bf16].into_iter().flat_map(|elements| {
        let rows = [1, 3, 9].map(|rows| Linear { rows, elements, ..USUAL });
        let split = Linear { elements, max_binding_bytes: Some(4350), ..USUAL };
        let deep = Linear { elements, in_features: 896, out_features: 257, ..USUAL };
        let exact = Linear { elements, exact: true, ..USUAL };
        rows.into_iter().chain([split, deep, exact, Linear { elements, in_features: 68, ..USUAL }])
    });
    let cases = [USUAL, exact].into_iter().chain(adding).chain(rows).chain(split).chain(columns);
    boxed(cases.chain(depths).chain(halves).chain(quantized(USUAL, [1, 3, 9])))
}

/// Weights of 8 and 4 bits, in three groups of 32. Eight rows of 96 bytes, or of 48, lie together: pieces of 40 rows, or of 88.
/// Rows of 72 columns are stored as f32.
fn quantized(usual: Linear, rows: [usize; 3]) -> impl Iterator<Item = Linear> {
    [ElementType::Int8, ElementType::Int4].into_iter().flat_map(move |elements| {
        let usual = Linear { elements, in_features: 96, ..usual };
        let split = Linear { rows: usual.rows.min(5), out_features: 140, max_binding_bytes: Some(4350), ..usual };
        let odd = Linear { in_features: 32, out_features: 7, exact: true, ..usual };
        let deep = Linear { in_features: 896, out_features: 257, bias: false, ..usual };
        let cases = [Linear { exact: true, ..usual }, split, odd, deep, Linear { in_features: 72, ..usual }];
        rows.map(|rows| Linear { rows, ..usual }).into_iter().chain(cases)
    })
}

/// Outputs that are added to: exact, with no bias, in one row, and where the matrix is split.
fn adding(usual: Linear, split_bytes: u64) -> [Linear; 4] {
    let exact = Linear { exact: true, adds: true, ..usual };
    let plain = Linear { bias: false, adds: true, ..usual };
    let one_row = Linear { rows: 1, adds: true, ..usual };
    [exact, plain, one_row, Linear { rows: 9, adds: true, max_binding_bytes: Some(split_bytes), ..usual }]
}

/// Cases of `linear_interleaved`, which takes rows of a multiple of 32, and up to 4 of x. Where the device's subgroups are
/// too small for it, they are cases of `linear`.
pub fn few_rows_cases() -> Cases {
    boxed(fast_cases([1, 2, 3, 4]))
}

/// The same of `linear_split`, which takes up to 32: in tiles of 1, 4 and 8.
pub fn split_cases() -> Cases {
    let more = [5, 8, 9, 16, 32].map(|rows| Linear { rows, exact: rows == 9, ..FAST });
    // Fewer eights of k than slices, as many, and more, of which the last round has a few.
    let depths = [640, 1024, 1056].map(|in_features| Linear { in_features, rows: 1, ..FAST });
    let cases = fast_cases([1, 2, 3, 4]).chain(more).chain(depths);
    boxed(cases.map(|case| Linear { tuning: Tuning::Gpu, ..case }))
}

/// The same of `linear_tiles`, which takes more rows: in tiles of 8, or of 16. Tuned for hardware it takes those of more than
/// 32, or any where the rows must not matter.
pub fn many_rows_cases() -> Cases {
    let software = fast_cases([5, 9, 17, 8]).chain([7, 16, 33].map(|rows| Linear { rows, ..FAST }));
    let many = [33, 40, 65].map(|rows| Linear { rows, ..FAST });
    let hardware = many.into_iter().chain([1, 8, 17].map(|rows| Linear { rows, deterministic: true, ..FAST }));
    boxed(software.chain(hardware.map(|case| Linear { tuning: Tuning::Gpu, ..case })))
}

const FAST: Linear = Linear { in_features: 96, kernels: KernelSet::Fast, tuning: Tuning::Software, ..USUAL };

fn fast_cases(rows: [usize; 4]) -> impl Iterator<Item = Linear> {
    let usual = Linear { rows: rows[2], ..FAST };
    let all_rows = rows.map(|rows| Linear { rows, exact: rows % 2 == 0, ..FAST });
    // 384 bytes a row of the matrix, 8 rows together: pieces of 16, 16, 16, 16 and 6 rows.
    let split = rows.map(|rows| Linear { rows, max_binding_bytes: Some(8700), ..FAST });
    let columns = [1, 3, 8, 9, 64, 65, 127, 128, 255, 256, 257, 511, 513];
    let columns = columns.map(|out_features| Linear { out_features, ..usual });
    let depths = [32, 64, 896, 4864].map(|in_features| Linear { in_features, bias: false, ..usual });
    let halves = [ElementType::F16, ElementType::Bf16].into_iter().flat_map(move |elements| {
        let rows = rows.map(|rows| Linear { rows, elements, ..FAST });
        let split = Linear { rows: usual.rows.min(9), elements, max_binding_bytes: Some(4350), ..usual };
        let deep = Linear { elements, in_features: 896, out_features: 257, ..usual };
        rows.into_iter().chain([split, deep, Linear { elements, exact: true, ..usual }])
    });
    // Outputs that are added to, too.
    let exact = Linear { exact: true, adds: true, ..usual };
    let plain = Linear { bias: false, adds: true, ..usual };
    let adding = [exact, plain, Linear { adds: true, max_binding_bytes: Some(8700), ..usual }];
    let all = [usual, Linear { exact: true, ..usual }].into_iter().chain(adding).chain(all_rows);
    let all = all.chain(split).chain(columns).chain(depths).chain(halves);
    all.chain(quantized(usual, [rows[0], rows[1], rows[3]]))
}

struct Inputs {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    /// What the output holds before.
    before: Vec<f32>,
}

impl Linear {
    fn inputs(&self) -> Inputs {
        // The same inputs, whatever the number of rows: more rows only add to x.
        let mut rng = Rng::new(&format!("linear {} {}", self.in_features, self.out_features));
        let mut values = |len: usize| {
            let mut values = rng.f32s(len, if self.exact { 9.0 } else { 1.0 });
            values.iter_mut().for_each(|value| *value = if self.exact { value.trunc() } else { *value });
            values
        };
        let mut weight = values(self.out_features * self.in_features);
        // Where each group has a 127, or a -8, int8 and int4 have scales of 1.
        let largest = if self.elements == ElementType::Int8 { 127.0 } else { -8.0 };
        for group in weight.chunks_mut(GROUP).filter(|_| self.exact && self.elements.is_quantized()) {
            group.iter_mut().for_each(|value| *value = value.clamp(-8.0, 7.0));
            group[0] = largest;
        }
        let bias = values(self.out_features);
        let x = values(self.rows * self.in_features);
        Inputs { x, weight, bias, before: values(self.rows * self.out_features) }
    }
}

impl Case for Linear {
    fn name(&self) -> String {
        let Self { rows, in_features, out_features, elements, .. } = self;
        let bias = if self.bias { ",bias" } else { "" };
        let adds = if self.adds { ",adds" } else { "" };
        let exact = if self.exact { ",exact" } else { "" };
        let split = self.max_binding_bytes.map_or(String::new(), |most| format!(",max_binding_bytes={most}"));
        let tuned = if self.tuning == Tuning::Gpu { ",tuned for hardware" } else { "" };
        let fixed = if self.deterministic { ",deterministic" } else { "" };
        format!("rows={rows},in={in_features},out={out_features},{elements:?}{bias}{adds}{exact}{split}{tuned}{fixed}")
    }

    /// Two roundings a term. Terms are below 1 with random signs, so partial sums stay below sqrt(in_features) and the
    /// roundings add up like a random walk of in_features steps: in_features roundings, times 2 for the bias, what is added to, and tails.
    fn tolerance(&self) -> Tolerance {
        if self.exact {
            return Tolerance::EXACT;
        }
        Tolerance { atol: 2.0 * (self.in_features as f64 + 4.0) * ROUNDING, rtol: 0.0 }
    }

    fn options(&self) -> GpuOptions {
        let &Self { max_binding_bytes, kernels, tuning, deterministic, .. } = self;
        GpuOptions { max_binding_bytes, kernels, tuning, deterministic, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let Inputs { x, weight, bias, before } = self.inputs();
        let weight = lab.matrix(self.out_features, self.in_features, self.elements, &weight)?;
        let (x, bias) = (lab.input(&x)?, lab.input(&bias)?);
        let len = self.rows * self.out_features;
        let mut out = if self.adds { lab.in_place(&before)? } else { lab.output(len)? };
        let [rows, in_features, out_features] =
            [self.rows, self.in_features, self.out_features].map(|count| count as u32);
        let p = LinearParams::of_shape(rows, in_features, out_features);
        let p = if self.adds { p.adding() } else { p };
        lab.0.linear(p, &x, &weight, self.bias.then_some(&bias), &mut out);
        Ok(vec![lab.read("out", &out, len)?])
    }

    const HAS_ORACLE: bool = true;

    fn oracle(&self) -> Vec<Vec<f64>> {
        let Inputs { x, weight, bias, before } = self.inputs();
        let weight = self.elements.rounded(&weight, self.in_features);
        let dot = |x: &[f32], weight: &[f32]| -> f64 {
            x.iter().zip(weight).map(|(&x, &weight)| f64::from(x) * f64::from(weight)).sum()
        };
        let row = |x| {
            let weights = weight.chunks_exact(self.in_features).zip(&bias);
            weights.map(move |(weight, &bias)| dot(x, weight) + if self.bias { f64::from(bias) } else { 0.0 })
        };
        let out = x.chunks_exact(self.in_features).flat_map(row);
        let before = before.into_iter().map(|value| if self.adds { f64::from(value) } else { 0.0 });
        vec![out.zip(before).map(|(value, before)| value + before).collect()]
    }
}

/// On the CPU a row's result has the same bits whatever rows stand beside it.
pub fn cpu_trials() -> Vec<Trial> {
    let invariant = || {
        let outputs = |rows| {
            let case = Linear { rows, in_features: 100, out_features: 131, ..USUAL };
            case.run(&mut Lab(CpuBackend::default())).map(|outputs| outputs[0].words.clone())
        };
        let most = outputs(33)?;
        for rows in 1..33 {
            let fewer = outputs(rows)?;
            if fewer[..] != most[..fewer.len()] {
                return Err(format!("{rows} rows and 33 rows differ").into());
            }
        }
        Ok(())
    };
    vec![Trial::test("linear/rows do not depend on their number [cpu]", invariant)]
}
