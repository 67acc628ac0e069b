//! Exploration: prompts of other lengths. What a mix does to the number of steps, to memory, and to a padded batch.

mod common;

use cb_lab::backend::Backend;
use cb_lab::observe::views::{Summary, summary};
use clap::Parser;
use common::{Demo, Device, Lab, Limits, Outcome, Screen, percent};
use std::io::Write;
use std::process::ExitCode;

/// The same number of prompt tokens, shared out differently.
const MIXES: &[(&str, [usize; 6])] = &[
    ("all alike", [20, 20, 20, 20, 20, 20]),
    ("growing", [5, 10, 15, 20, 30, 40]),
    ("one is long, and last", [4, 4, 4, 4, 4, 100]),
    ("one is long, and first", [100, 4, 4, 4, 4, 4]),
];

/// Six requests with 120 prompt tokens in all, in four mixes: steps, waiting, memory, padding.
#[derive(Parser)]
#[command(after_help = "Try:\n  --prefill-chunk-size 12    the long prompt takes whole steps: who waits?\n  \
    --max-tokens-per-step 64   room for everybody\n  --max-new-tokens 40        decodes outweigh the prompts")]
struct Args {
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    limits: Limits,
    /// Tokens to generate for each
    #[arg(long, value_name = "N", default_value_t = 10)]
    max_new_tokens: usize,
}

/// What one mix took.
struct Taken {
    summary: Summary,
    most_blocks: usize,
    rows: usize,
    padded_rows: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&args.device, &args)
}

impl Demo for Args {
    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        let Limits { max_tokens_per_step, prefill_chunk_size, .. } = self.limits;
        writeln!(screen, "Budget {max_tokens_per_step} tokens a step, prompts in chunks of {prefill_chunk_size}\n")?;
        let title = "prompts                 steps   first token   rows   padded   wasted   most blocks";
        let mut all_rows = Vec::new();
        writeln!(screen, "{}", screen.bold(title))?;
        for &(name, prompt_lens) in MIXES {
            let Taken { summary, most_blocks, rows, padded_rows } = self.take(backends()?, &prompt_lens)?;
            all_rows.push(rows);
            let wasted = percent(padded_rows - rows, padded_rows);
            writeln!(
                screen,
                "{name:22} {:6} {:7.1} steps {rows:6} {padded_rows:8} {wasted:6} % {most_blocks:13}",
                summary.num_steps, summary.first_token.0
            )?;
        }
        // What a long prompt does to those behind it depends on what its chunks leave of a step.
        let chunks = if 2 * prefill_chunk_size <= max_tokens_per_step {
            "These chunks leave room in each step: those behind a long prompt hardly notice it.\n\
             The price is that the long one itself takes many steps."
        } else {
            "A chunk of this size takes most of a step: those behind a long prompt wait for it, as\n\
             the first tokens of the last line show. The long one itself takes fewer steps."
        };
        let rows = if all_rows.iter().all(|rows| *rows == all_rows[0]) {
            "Rows do not depend on the mix: each token is computed once, whoever it belongs to."
        } else {
            "Some mixes have more rows: memory was full, and what was preempted is computed again."
        };
        writeln!(
            screen,
            "\n{rows}\n\
             Padded: each step as a rectangle, every sequence as wide as the widest of the step.\n\
             {chunks}"
        )?;
        Ok(())
    }
}

impl Args {
    /// Runs requests with these prompts, all submitted before the first step.
    fn take<B: Backend>(&self, backend: B, prompt_lens: &[usize]) -> Outcome<Taken> {
        let mut lab = Lab::new(backend, &self.limits.with_pool_for(240))?;
        for &prompt_len in prompt_lens {
            lab.submit(prompt_len, self.max_new_tokens, None)?;
        }
        let (mut rows, mut padded_rows, mut most_blocks) = (0, 0, 0);
        while !lab.engine.is_idle() {
            let (step, _) = lab.step()?;
            let query_lens = || step.rows.iter().map(|row| row.query_len);
            rows += query_lens().sum::<usize>();
            padded_rows += query_lens().len() * query_lens().max().unwrap_or(0);
            most_blocks = most_blocks.max(lab.engine.scheduler().config().num_kv_blocks - step.free_blocks);
        }
        Ok(Taken { summary: summary(&lab.recording), most_blocks, rows, padded_rows })
    }
}
