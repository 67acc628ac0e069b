//! `cb-lab bench linear`.

use super::measure::measure;
use super::report::{Case, Report};
use super::{CommonArgs, in_range, open};
use crate::backend::Backend;
use crate::backend::element_type::ElementType;
use crate::backend::params::LinearParams;
use crate::cli::choose_backend::Chosen;
use crate::error::{Error, Result};

/// Options of `bench linear`.
#[derive(clap::Args)]
pub struct LinearArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Shapes of the weight
    #[arg(long, value_name = "IN×OUT", value_delimiter = ',', default_value = "896x1152,896x9728,4864x896")]
    shapes: Vec<String>,
    /// Rows of x
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,8,64")]
    rows: Vec<u32>,
    /// How the weight is stored
    #[arg(long, value_enum, value_delimiter = ',', default_value = "f32,f16,bf16")]
    elements: Vec<ElementType>,
}

/// Runs the bench.
///
/// # Errors
/// A shape that makes no sense; a device that fails.
pub async fn run(args: &LinearArgs) -> Result<()> {
    args.rows.iter().try_for_each(|&rows| in_range("rows", rows as usize, 65_536))?;
    let shapes = args.shapes.iter().map(|text| shape(text)).collect::<Result<Vec<_>>>()?;
    let (backend, report) = open(&args.common, "linear").await?;
    let report = match backend {
        Chosen::Gpu(backend) => bench(*backend, args, &shapes, report).await?,
        Chosen::Cpu(backend) => bench(backend, args, &shapes, report).await?,
    };
    report.finish(args.common.json.as_deref())
}

/// `896x4864`: columns and rows of a weight.
fn shape(text: &str) -> Result<[u32; 2]> {
    let parse = || {
        let (in_features, out_features) = text.split_once(['x', '×'])?;
        let shape = [in_features.parse().ok()?, out_features.parse().ok()?];
        (shape[0] % 4 == 0 && shape.iter().all(|side| (1..=1 << 20).contains(side))).then_some(shape)
    };
    parse().ok_or_else(|| Error::InvalidOption {
        option: "shapes",
        value: text.into(),
        reason: "write it as 896x4864, a multiple of 4 and any number, both at most a million".into(),
    })
}

async fn bench<B: Backend>(
    mut backend: B,
    args: &LinearArgs,
    shapes: &[[u32; 2]],
    mut report: Report,
) -> Result<Report> {
    for &[in_features, out_features] in shapes {
        for &elements in &args.elements {
            let (rows, cols) = (out_features as usize, in_features as usize);
            let mut weight = backend.alloc_matrix("weight", rows, cols, elements)?;
            let values: Vec<f32> = (0..rows * cols).map(|i| (i % 7) as f32 - 3.0).collect();
            backend.upload_rows(&mut weight, 0, &values);
            for &num_rows in &args.rows {
                let x = backend.alloc("x", num_rows as usize * cols)?;
                let mut out = backend.alloc("out", num_rows as usize * rows)?;
                let p = LinearParams::of_shape(num_rows, in_features, out_features);
                let record = |backend: &mut B| backend.linear(p, &x, &weight, None, &mut out);
                let timing = measure(&mut backend, args.common.repeats, record).await?;
                let weights = f64::from(in_features) * f64::from(out_features);
                let words = f64::from(num_rows) * (f64::from(in_features) + f64::from(out_features));
                report.push(Case {
                    name: format!("{in_features}x{out_features} {elements:?}, rows {num_rows}").to_lowercase(),
                    timing,
                    bytes: weights * backend.element_bytes(elements) as f64 + 4.0 * words,
                    flop: 2.0 * weights * f64::from(num_rows),
                    tokens: None,
                });
            }
        }
    }
    Ok(report)
}
