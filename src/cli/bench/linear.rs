//! `cb-lab bench linear`.

use super::case::Case;
use super::measure::measure;
use super::plot::{Line, Panel, PlotArgs};
use super::report::Report;
use super::{CommonArgs, RepeatArgs, in_range, open};
use crate::backend::Backend;
use crate::backend::calibration::Calibrate;
use crate::backend::element_type::ElementType;
use crate::cli::choose_backend::Chosen;
use crate::cli::numbers::count;
use crate::error::{Error, Result};
use crate::workloads::linear::{self as workloads, Shape, Workload};

/// Options of `bench linear`.
#[derive(clap::Args)]
pub struct LinearArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(flatten)]
    pub(super) repeats: RepeatArgs,
    #[command(flatten)]
    pub(super) plot: PlotArgs,
    /// Shapes of the weight
    #[arg(long, value_name = "IN×OUT", value_delimiter = ',', default_value = "896x1152,896x9728,4864x896")]
    shapes: Vec<String>,
    /// Rows of x
    #[arg(long, value_name = "N", value_parser = count::<u32>, value_delimiter = ',', default_value = "1,8,64")]
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
    let report = report.repeated(args.repeats.repeats);
    let report = match backend {
        Chosen::Gpu(backend) => bench(*backend, args, &shapes, report).await?,
        Chosen::Cpu(backend) => bench(backend, args, &shapes, report).await?,
    };
    report.finish(args.common.json.as_deref())?;
    args.plot.draw("Linear layers by rows", report.device(), &panels(args, &shapes, report.cases()))
}

/// A panel for each shape, a line for each type. Cases are in the order in which they were measured.
fn panels(args: &LinearArgs, shapes: &[[u32; 2]], cases: &[Case]) -> Vec<Panel> {
    let mut cases = cases.iter();
    let mut line = |elements: &ElementType| {
        let points = args.rows.iter().zip(&mut cases).map(|(&rows, case)| (f64::from(rows).log2(), case.gflop_per_s));
        let mut points: Vec<_> = points.collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line { name: format!("{elements:?}").to_lowercase(), points, level: None }
    };
    let panel = |&[in_features, out_features]: &[u32; 2]| {
        let lines = args.elements.iter().map(&mut line).collect();
        Panel { title: format!("{in_features}x{out_features}"), x: "rows", y: "GFLOP/s", x_is_log2: true, lines }
    };
    shapes.iter().map(panel).collect()
}

/// `896x4864`: columns and rows of a weight.
fn shape(text: &str) -> Result<[u32; 2]> {
    let parse = || {
        let (in_features, out_features) = text.split_once(['x', '×'])?;
        let shape = [in_features.parse().ok()?, out_features.parse().ok()?];
        (shape[0] % 4 == 0 && shape.iter().all(|side| (1..=1_000_000).contains(side))).then_some(shape)
    };
    parse().ok_or_else(|| Error::InvalidOption {
        option: "shapes",
        value: text.into(),
        reason: "write it as 896x4864, a multiple of 4 and any number, both at most a million".into(),
    })
}

async fn bench<B: Backend + Calibrate>(
    mut backend: B,
    args: &LinearArgs,
    shapes: &[[u32; 2]],
    mut report: Report,
) -> Result<Report> {
    let mut compared = 0;
    for (number, &[in_features, out_features]) in shapes.iter().enumerate() {
        if number > 0 {
            report.recalibrate(&mut backend)?;
        }
        for &elements in &args.elements {
            let weight_bytes = backend.matrix_size(out_features as usize, in_features as usize, elements)?.bytes;
            let weight = workloads::weight(&mut backend, [out_features, in_features], elements)?;
            for &num_rows in &args.rows {
                let shape = Shape { num_rows, in_features, out_features };
                let name = format!("{in_features}x{out_features} {elements:?}, rows {num_rows}").to_lowercase();
                let mut workload = Workload::new(&mut backend, shape, elements, &weight)?;
                workload.record(&mut backend);
                if let Some(difference) = workload.difference(&mut backend).await? {
                    return Err(Error::Device(format!("linear {name}: {difference}")));
                }
                compared += 1;
                let timing = measure(&mut backend, args.repeats.repeats, |backend| workload.record(backend)).await?;
                report.push(name, timing, shape.bytes(weight_bytes), shape.flop());
            }
        }
    }
    report.checked(format!("all results match exactly, cases of whole numbers: {compared}"));
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::calibration::Calibration;
    use crate::backend::kernel_set::KernelSet;
    use crate::cli::bench::measure::Timing;
    use crate::cli::bench::report::Calibrated;
    use clap::Parser;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        linear: LinearArgs,
    }

    #[test]
    fn lines_are_rates_by_rows() {
        let args = Options::parse_from(["", "--rows", "8,1", "--elements", "f32,int8"]).linear;
        let best = Calibration {
            read_gb_per_s: 1.0,
            copy_gb_per_s: 1.0,
            gflop_per_s: 1.0,
            thread_gflop_per_s: None,
            dispatch_us: None,
        };
        let mut report = Report::new(
            "linear",
            String::new(),
            KernelSet::Fast,
            None,
            Calibrated { limits: best, matmul_gflop_per_s: 1.0 },
        );
        for gflop_per_s in [5.0, 4.0, 7.0, 6.0] {
            report.push(String::new(), Timing::of(&mut [2.0]), 1e3, 2e3 * gflop_per_s);
        }
        let panels = panels(&args, &[[64, 40]], report.cases());
        let lines: Vec<_> = panels[0].lines.iter().map(|line| (&line.name[..], &line.points[..])).collect();
        assert_eq!(lines, [("f32", &[(0.0, 4.0), (3.0, 5.0)][..]), ("int8", &[(0.0, 6.0), (3.0, 7.0)])]);
    }
}
