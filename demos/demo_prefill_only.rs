//! Phase 1: prefill. A prompt goes in; what it leaves behind is its keys and values.

mod common;

use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::gpu::{Adapters, GpuBackend, GpuOptions};
use cb_lab::engine::inspect::{DenseKv, Difference, attention_against_dense, gather_kv};
use clap::Parser;
use common::{Demo, Device, Lab, Limits, Outcome, Screen};
use pollster::block_on;
use std::io::Write;
use std::process::ExitCode;

/// Prefill: compute the keys and values of a prompt, in one piece and in chunks.
#[derive(Parser)]
#[command(after_help = "Try:\n  --prefill-chunk-size 1    a token at a time: as many steps as tokens, the same KV\n  \
    --prompt-len 100          does the chunk size still make no difference?\n  \
    --backend gpu             how close does another device come?")]
struct Args {
    #[command(flatten)]
    device: Device,
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = 20)]
    prompt_len: usize,
    /// Most prompt tokens computed in a step
    #[arg(long, value_name = "N", default_value_t = 8)]
    prefill_chunk_size: usize,
    /// Tokens per KV block, a power of two up to 256
    #[arg(long, value_name = "N", default_value_t = 4)]
    block_size: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&args.device, &args)
}

/// What a prefill leaves behind.
struct Prefilled {
    /// One per layer.
    kv: Vec<DenseKv>,
    attention: Difference,
}

impl Demo for Args {
    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        writeln!(
            screen,
            "A prompt of {} tokens. Prefill fills the KV cache; the first token that it brings is ignored here.",
            self.prompt_len
        )?;
        writeln!(screen, "\n{}", screen.bold("In one piece"))?;
        let whole = self.prefill(backends()?, self.prompt_len, screen)?;
        writeln!(screen, "\n{}", screen.bold(&format!("In chunks of {}", self.prefill_chunk_size)))?;
        let chunked = self.prefill(backends()?, self.prefill_chunk_size, screen)?;
        writeln!(screen, "\nThe KV length is what was computed so far: in the end, the length of the prompt.")?;

        writeln!(
            screen,
            "\n{}",
            screen.bold("What is compared                                       largest difference")
        )?;
        let mut show = |what: String, difference: Difference| {
            let remark = if difference.largest == 0.0 { "  the same bits" } else { "" };
            writeln!(screen, "{what:54} {:.1e}{remark}", difference.largest)
        };
        let layers = whole.kv.len();
        show(format!("K and V of all {layers} layers: chunks, one piece"), Difference::of_kv(&chunked.kv, &whole.kv))?;
        show("last chunk's attention: engine, oracle in f64".into(), chunked.attention)?;
        show("whole prompt's attention: engine, oracle in f64".into(), whole.attention)?;
        let adapters = block_on(Adapters::find());
        match adapters.any() {
            Ok(adapter) => {
                let mut nowhere = std::io::sink();
                let gpu = block_on(GpuBackend::new(adapter, GpuOptions::default()))?;
                let on_gpu = self.prefill(gpu, self.prefill_chunk_size, &mut nowhere)?;
                let on_cpu = self.prefill(CpuBackend::default(), self.prefill_chunk_size, &mut nowhere)?;
                show("K and V of all layers: GPU kernels, CPU".into(), Difference::of_kv(&on_gpu.kv, &on_cpu.kv))?;
            }
            Err(_) => writeln!(screen, "GPU against CPU: no GPU here")?,
        }
        writeln!(screen, "(K and V are up to {:.1} in size.)", Difference::of_kv(&whole.kv, &whole.kv).largest_value)?;
        writeln!(
            screen,
            "\nA later chunk attends to all before it, through the block table. That is why\n\
             cutting a prompt changes nothing. If the second chunk saw only itself, K and V\n\
             would differ from the second layer on."
        )?;
        Ok(())
    }
}

impl Args {
    /// Computes the prompt in chunks, and shows how the KV cache fills.
    fn prefill<B: Backend>(&self, backend: B, chunk: usize, out: &mut impl Write) -> Outcome<Prefilled> {
        let limits = Limits {
            max_tokens_per_step: chunk,
            prefill_chunk_size: chunk,
            block_size: self.block_size,
            num_kv_blocks: Some((self.prompt_len + 2).div_ceil(self.block_size.max(1))),
        };
        let mut lab = Lab::new(backend, &limits)?;
        // Two tokens are asked for and never waited for: a request that ends gives its KV back.
        let id = lab.submit(self.prompt_len, 2, None)?;
        writeln!(out, "step  context + query = KV length")?;
        loop {
            let (step, _) = lab.step()?;
            let row = step.rows[0];
            let kv_len = lab.engine.scheduler().get(id).map_or(0, |sequence| sequence.context_len());
            let bar = "█".repeat(kv_len * 40 / self.prompt_len) + &"·".repeat(40 - kv_len * 40 / self.prompt_len);
            writeln!(out, "{:4}  {:7} + {:5} = {kv_len:9}  {bar}", step.step, row.context_len, row.query_len)?;
            if kv_len == self.prompt_len {
                break;
            }
        }
        let attention = block_on(attention_against_dense(&mut lab.engine))?;
        Ok(Prefilled { kv: block_on(gather_kv(&mut lab.engine, 0))?, attention })
    }
}
