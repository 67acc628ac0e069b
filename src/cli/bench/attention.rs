//! `cb-lab bench attention`.

pub mod table;

use super::case::{AttentionCase, Cache, Limit};
use super::measure::{Timing, measure_in_turns, median_ratio};
use super::plot::PlotArgs;
use super::report::Report;
use super::{CommonArgs, RepeatArgs, in_range, open};
use crate::backend::Backend;
use crate::backend::calibration::Calibrate;
use crate::cli::choose_backend::Chosen;
use crate::cli::numbers::count;
use crate::cli::wording::tell;
use crate::config::KvDtype;
use crate::error::{Error, Result};
use crate::workloads::attention::{Layout, Pools, Shape, Workload};
use table::panels;

/// How far two layouts of the same K and V may differ. They are the same numbers, in the same order of additions but where
/// splits are held against none; it is the tolerance of the pair tests for a thousand tokens and values below 1.
const SAME: f32 = 2e-5;

/// Options of `bench attention`.
#[derive(clap::Args)]
pub struct AttentionArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    #[command(flatten)]
    pub(super) repeats: RepeatArgs,
    #[command(flatten)]
    pub(super) plot: PlotArgs,
    /// Sequences
    #[arg(long, value_name = "N", value_parser = count::<u32>, value_delimiter = ',', default_value = "1,8")]
    batch: Vec<u32>,
    /// Tokens of each sequence that its queries see
    #[arg(long, value_name = "N", value_parser = count::<u32>, value_delimiter = ',', default_value = "1024")]
    context: Vec<u32>,
    /// Queries of each sequence: 1 is decode, more is prefill of the last of its tokens
    #[arg(long, value_name = "N", value_parser = count::<u32>, value_delimiter = ',', default_value = "1,16")]
    queries: Vec<u32>,
    /// Tokens per KV block
    #[arg(long, value_name = "N", value_parser = count::<u32>, value_delimiter = ',', default_value = "1,2,4,8,16,32,64,128,256")]
    block_size: Vec<u32>,
    /// Query heads
    #[arg(long, value_name = "N", value_parser = count::<u32>, value_delimiter = ',', default_value = "8")]
    heads: Vec<u32>,
    /// KV heads: every count of query heads must be a multiple of every one of these
    #[arg(long, value_name = "N", value_parser = count::<u32>, value_delimiter = ',', default_value = "2")]
    kv_heads: Vec<u32>,
    /// Width of a head
    #[arg(long, value_name = "N", value_parser = count::<u32>, value_delimiter = ',', default_value = "128")]
    head_dim: Vec<u32>,
    /// For cold cases: how much K and V calls go through in turn, so that no cache holds them
    #[arg(long, value_name = "MIB", value_parser = count::<u32>, default_value_t = 64)]
    cold_mib: u32,
    /// How K and V are kept
    #[arg(long, value_enum, default_value_t)]
    kv_dtype: KvDtype,
    /// Also measure decodes of long sequences that are not split
    #[arg(long)]
    unsplit: bool,
}

/// Runs the bench.
///
/// # Errors
/// A shape that makes no sense; a device that fails; layouts that do not give the same result.
pub async fn run(args: &AttentionArgs) -> Result<()> {
    args.validate()?;
    let (backend, report) = open(&args.common, "attention").await?;
    let mut report = report.repeated(args.repeats.repeats);
    report.leave_out(args.left_out());
    let report = match backend {
        Chosen::Gpu(backend) => bench(*backend, args, report).await?,
        Chosen::Cpu(backend) => bench(backend, args, report).await?,
    };
    report.finish(args.common.json.as_deref())?;
    let subtitle = format!("{}. Dashed: K and V contiguous.", report.device());
    args.plot.draw("Attention by block size", &subtitle, &panels(report.cases()))
}

impl AttentionArgs {
    fn validate(&self) -> Result<()> {
        let refuse = |option, value: u32, reason: &str| {
            Err(Error::InvalidOption { option, value: value.to_string(), reason: reason.into() })
        };
        let fits = |heads: u32, kv_heads: u32| kv_heads > 0 && heads.is_multiple_of(kv_heads);
        let is_wrong = |&&heads: &&u32| {
            !(1..=1024).contains(&heads) || !self.kv_heads.iter().all(|&kv_heads| fits(heads, kv_heads))
        };
        if let Some(&heads) = self.heads.iter().find(is_wrong) {
            return refuse("heads", heads, "it must be a multiple of --kv-heads, and at most 1024");
        }
        let is_wrong = |head_dim: &&u32| !(8..=256).contains(*head_dim) || !head_dim.is_multiple_of(8);
        if let Some(&head_dim) = self.head_dim.iter().find(is_wrong) {
            return refuse("head_dim", head_dim, "use a multiple of 8 up to 256");
        }
        in_range("cold_mib", self.cold_mib as usize, 1 << 16)?;
        if let Some(&size) = self.block_size.iter().find(|size| !size.is_power_of_two() || **size > 256) {
            return refuse("block_size", size, "use a power of two up to 256");
        }
        for (option, counts) in [("batch", &self.batch), ("context", &self.context), ("queries", &self.queries)] {
            counts.iter().try_for_each(|&count| in_range(option, count as usize, 1 << 20))?;
        }
        if self.unsplit && !self.shapes().iter().any(Shape::is_split) {
            let reason = "no decode here is split: add --queries 1 and a --context above 512";
            return Err(Error::InvalidOption { option: "unsplit", value: "set".into(), reason: reason.into() });
        }
        // The kernels count the words of a buffer in u32.
        let too_large = |shape: &Shape| shape.pool_bytes() / 4.0 > f64::from(u32::MAX / 2);
        let shapes = self.shapes();
        if let Some(shape) = shapes.iter().find(|shape| too_large(shape)) {
            return refuse("context", shape.seq_len, "with this batch, K and V have more words than can be addressed");
        }
        match self.queries.first() {
            Some(&queries) if shapes.is_empty() => {
                refuse("queries", queries, "they are the last tokens of a context, and no --context has as many")
            }
            _ => Ok(()),
        }
    }

    /// Every combination that makes sense: queries are among the tokens of the context.
    fn shapes(&self) -> Vec<Shape> {
        let kv_dtype = self.kv_dtype;
        let mut shapes = Vec::new();
        for (&num_heads, &num_kv_heads, &head_dim) in product(&self.heads, &self.kv_heads, &self.head_dim) {
            for (&query_len, &batch, &seq_len) in product(&self.queries, &self.batch, &self.context) {
                if query_len <= seq_len {
                    shapes.push(Shape { batch, seq_len, query_len, num_heads, num_kv_heads, head_dim, kv_dtype });
                }
            }
        }
        shapes
    }

    /// Contiguous first.
    fn layouts(&self, shape: &Shape) -> Vec<Layout> {
        let paged = self.block_size.iter().map(|&block_size| Layout::Paged(block_size));
        let mut layouts: Vec<Layout> = std::iter::once(Layout::Contiguous).chain(paged).collect();
        if self.unsplit && shape.is_split() {
            layouts.extend(self.block_size.iter().map(|&block_size| Layout::Unsplit(block_size)));
        }
        layouts
    }

    /// The other combinations: a context has fewer tokens than there are to be queries.
    fn left_out(&self) -> Vec<String> {
        let pairs = self.queries.iter().flat_map(|queries| self.context.iter().map(move |context| (queries, context)));
        let too_many = pairs.filter(|(queries, context)| queries > context);
        too_many.map(|(queries, context)| format!("{queries} queries of {context} tokens")).collect()
    }

    fn cold_bytes(&self) -> f64 {
        f64::from(self.cold_mib) * f64::from(1 << 20)
    }
}

/// Every combination of three values.
fn product<'a>(a: &'a [u32], b: &'a [u32], c: &'a [u32]) -> impl Iterator<Item = (&'a u32, &'a u32, &'a u32)> {
    a.iter().flat_map(move |a| b.iter().flat_map(move |b| c.iter().map(move |c| (a, b, c))))
}

/// Memory that pools may take, as a multiple of what is read of them cold.
const MOST_COLD: f64 = 8.0;

async fn bench<B: Backend + Calibrate>(mut backend: B, args: &AttentionArgs, mut report: Report) -> Result<Report> {
    let mut compared = 0;
    for (number, shape) in args.shapes().into_iter().enumerate() {
        if number > 0 {
            report.recalibrate(&mut backend)?;
        }
        let layouts = args.layouts(&shape);
        let limit = report.limit_of(shape.bytes(), shape.flop());
        let cold_pools = (args.cold_bytes() / shape.bytes()).ceil().max(1.0);
        // Of a few tokens in a large block there would be too many.
        let has_cold = cold_pools * shape.pool_bytes() <= MOST_COLD * args.cold_bytes().max(shape.pool_bytes());
        let num_pools = if limit == Limit::Memory && has_cold { cold_pools as usize } else { 1 };
        let mut workloads = Vec::with_capacity(layouts.len());
        for &layout in &layouts {
            workloads.push(Workload::new(&mut backend, shape, layout)?);
        }
        let mut pools = Pools::new(&mut backend, shape, num_pools)?;
        compare(&mut backend, shape, &layouts, &mut workloads, &mut pools).await?;
        compared += layouts.len();
        tell(format_args!("{shape}: all results match, timing {} layouts", layouts.len()));

        // One pool that is larger than caches is never warm; arithmetic does not wait for memory.
        let caches = match (limit, num_pools) {
            (Limit::Memory, 1) if has_cold => &[(Cache::Cold, 1)][..],
            (Limit::Memory, _) if has_cold => &[(Cache::Warm, 1), (Cache::Cold, num_pools)],
            _ => &[(Cache::Warm, 1)],
        };
        for &(cache, copies) in caches {
            let record = |workload: &mut Workload<B>, backend: &mut B, call: usize| {
                workload.record(backend, &pools, call % copies)
            };
            let us = measure_in_turns(&mut backend, args.repeats.repeats, copies, &mut workloads, record).await?;
            for (layout, of_layout) in layouts.iter().zip(&us) {
                let tax = matches!(layout, Layout::Paged(_)).then(|| 100.0 * (median_ratio(of_layout, &us[0]) - 1.0));
                let timing = Timing::of(&mut of_layout.clone());
                let case = report.push(
                    format!("{shape}, {layout}, {cache:?}").to_lowercase(),
                    timing,
                    shape.bytes(),
                    shape.flop(),
                );
                case.attention = Some(AttentionCase::new(&shape, *layout, cache, tax));
            }
        }
    }
    report.checked(format!("all results match, {compared} layouts of K and V within {SAME:e}"));
    Ok(report)
}

/// All layouts must give the same results, in every pool.
async fn compare<B: Backend>(
    backend: &mut B,
    shape: Shape,
    layouts: &[Layout],
    workloads: &mut [Workload<B>],
    pools: &mut Pools<B>,
) -> Result<()> {
    let mut expected: Option<Vec<f32>> = None;
    for (layout, workload) in layouts.iter().zip(workloads) {
        pools.fill(backend, *layout);
        for pool in 0..pools.count() {
            workload.record(backend, pools, pool);
            let attended = workload.attended(backend).await?;
            let expected = expected.get_or_insert_with(|| attended.clone());
            let differs = |(x, y): (&f32, &f32)| (x - y).abs() > SAME || y.is_nan();
            if let Some(at) = expected.iter().zip(&attended).position(differs) {
                return Err(Error::Device(format!(
                    "attention of {shape} with {layout} gives {} at word {at}, and {} with K and V in order",
                    attended[at], expected[at]
                )));
            }
        }
    }
    Ok(())
}
