//! `cb-lab bench attention`.

mod scene;

use super::measure::measure;
use super::report::{Case, Report};
use super::{CommonArgs, in_range, open};
use crate::backend::Backend;
use crate::cli::choose_backend::Chosen;
use crate::error::{Error, Result};
use scene::{Layout, Scene, Shape};

/// How far two layouts of the same K and V may differ. They are the same numbers in the same order of additions; it is the
/// tolerance of the pair tests for a thousand tokens and values below 1.
const SAME: f32 = 2e-5;

/// Options of `bench attention`.
#[derive(clap::Args)]
pub struct AttentionArgs {
    #[command(flatten)]
    pub(super) common: CommonArgs,
    /// Sequences
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,8")]
    batch: Vec<u32>,
    /// Tokens of each sequence that its queries see
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "256,1024,4096")]
    context: Vec<u32>,
    /// Queries of each sequence: 1 is decode, more is prefill of the last of its tokens
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1")]
    queries: Vec<u32>,
    /// Tokens per KV block
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,16,256")]
    block_size: Vec<u32>,
    /// Query heads
    #[arg(long, value_name = "N", default_value_t = 8)]
    heads: u32,
    /// KV heads
    #[arg(long, value_name = "N", default_value_t = 2)]
    kv_heads: u32,
    /// Width of a head
    #[arg(long, value_name = "N", default_value_t = 128)]
    head_dim: u32,
}

/// Runs the bench.
///
/// # Errors
/// A shape that makes no sense; a device that fails; layouts that do not give the same result.
pub async fn run(args: &AttentionArgs) -> Result<()> {
    args.validate()?;
    let (backend, report) = open(&args.common, "attention").await?;
    let report = match backend {
        Chosen::Gpu(backend) => bench(*backend, args, report).await?,
        Chosen::Cpu(backend) => bench(backend, args, report).await?,
    };
    report.finish(args.common.json.as_deref())
}

impl AttentionArgs {
    fn validate(&self) -> Result<()> {
        let refuse = |option, value: u32, reason: &str| {
            Err(Error::InvalidOption { option, value: value.to_string(), reason: reason.into() })
        };
        if self.kv_heads == 0 || self.heads == 0 || self.heads > 1024 || !self.heads.is_multiple_of(self.kv_heads) {
            return refuse("heads", self.heads, "it must be a multiple of --kv-heads, and at most 1024");
        }
        if !(8..=256).contains(&self.head_dim) || !self.head_dim.is_multiple_of(8) {
            return refuse("head-dim", self.head_dim, "use a multiple of 8 up to 256");
        }
        if let Some(&size) = self.block_size.iter().find(|size| !size.is_power_of_two() || **size > 256) {
            return refuse("block-size", size, "use a power of two up to 256");
        }
        for (option, counts) in [("batch", &self.batch), ("context", &self.context), ("queries", &self.queries)] {
            counts.iter().try_for_each(|&count| in_range(option, count as usize, 1 << 20))?;
        }
        // The kernels count the words of a buffer in u32.
        let too_large = |shape: &Shape| shape.bytes() / 4.0 > f64::from(u32::MAX / 2);
        match self.shapes().iter().find(|shape| too_large(shape)) {
            Some(shape) => {
                refuse("context", shape.seq_len, "with this batch, K and V have more words than can be addressed")
            }
            None => Ok(()),
        }
    }

    /// Every combination that makes sense: queries are among the tokens of the context.
    fn shapes(&self) -> Vec<Shape> {
        let (num_heads, num_kv_heads, head_dim) = (self.heads, self.kv_heads, self.head_dim);
        let mut shapes = Vec::new();
        for &query_len in &self.queries {
            for &batch in &self.batch {
                for &seq_len in self.context.iter().filter(|&&seq_len| seq_len >= query_len) {
                    shapes.push(Shape { batch, seq_len, query_len, num_heads, num_kv_heads, head_dim });
                }
            }
        }
        shapes
    }
}

async fn bench<B: Backend>(mut backend: B, args: &AttentionArgs, mut report: Report) -> Result<Report> {
    let mut compared = 0;
    for shape in args.shapes() {
        let in_order = Layout { block_size: 256, shuffled: false };
        let shuffled = args.block_size.iter().map(|&block_size| Layout { block_size, shuffled: true });
        let mut expected: Option<Vec<f32>> = None;
        for layout in std::iter::once(in_order).chain(shuffled) {
            let mut scene = Scene::new(&mut backend, shape, layout)?;
            scene.record(&mut backend);
            let attended = scene.attended(&mut backend).await?;
            let expected = expected.get_or_insert_with(|| attended.clone());
            if let Some(at) = expected.iter().zip(&attended).position(|(x, y)| (x - y).abs() > SAME || y.is_nan()) {
                return Err(Error::Device(format!(
                    "attention of {shape} with {layout} gives {} at word {at}, and {} with K and V in order",
                    attended[at], expected[at]
                )));
            }
            compared += 1;
            let timing = measure(&mut backend, args.common.repeats, |backend| scene.record(backend)).await?;
            report.push(Case {
                name: format!("{shape}, {layout}"),
                timing,
                bytes: shape.bytes(),
                flop: shape.flop(),
                tokens: None,
            });
        }
    }
    report.checked(format!("all results match, {compared} layouts of K and V within {SAME:e}"));
    Ok(report)
}
