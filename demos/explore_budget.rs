//! Exploration: the token budget. Lower it, and see what becomes of throughput and of waiting.

mod common;

use cb_lab::backend::Backend;
use cb_lab::observe::views::{Summary, summary};
use clap::Parser;
use common::{Demo, Device, Lab, Limits, Outcome, Requests, Screen, percent};
use std::io::Write;
use std::process::ExitCode;

/// The same requests under budgets from small to large. Chunks are half of the budget.
#[derive(Parser)]
#[command(
    after_help = "Try:\n  --arrival-gap 0        all come at once\n  --prompt-len 64        long prompts: the budget matters more\n  \
    --requests 12          a queue\n  --backend gpu          steps stay as they are; what happens to ms a step?"
)]
struct Args {
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    requests: Requests,
    /// Steps from one request's arrival to the next one's
    #[arg(long, value_name = "N", default_value_t = 1)]
    arrival_gap: usize,
    /// Budgets to compare
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = [4, 8, 16, 32, 64])]
    budgets: Vec<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&args.device, &args)
}

impl Demo for Args {
    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        self.requests.at_least_one()?;
        writeln!(
            screen,
            "{}",
            screen.bold("                 computed     budget   generated   first token             generated")
        )?;
        writeln!(
            screen,
            "{}",
            screen.bold("budget   steps   a step         used      a step         after   ms a step   a second")
        )?;
        for &budget in &self.budgets {
            let (Summary { num_steps, num_tokens, first_token, ms, .. }, num_out) = self.take(backends()?, budget)?;
            let (steps, seconds) = (num_steps.max(1) as f64, (ms / 1e3).max(1e-9));
            writeln!(
                screen,
                "{budget:6} {num_steps:7} {:8.1} {:10} % {:11.2} {:7.1} steps {:11.1} {:10.1}",
                num_tokens as f64 / steps,
                percent(num_tokens, num_steps * budget),
                num_out as f64 / steps,
                first_token.0,
                ms / steps,
                num_out as f64 / seconds,
            )?;
        }
        writeln!(
            screen,
            "\nA small budget is well used, and everything takes more steps. A large one is mostly\n\
             empty once the prompts are read: decodes need a row each and no more. What a step\n\
             costs decides the rest. Where it costs the same with one row or with many, as on a\n\
             GPU that waits for its memory, fewer steps are more tokens a second. Where every row\n\
             costs time, as on a CPU with a tiny model, tokens a second change less."
        )?;
        Ok(())
    }
}

impl Args {
    /// A run within a budget, and how many tokens it generated.
    fn take<B: Backend>(&self, backend: B, budget: usize) -> Outcome<(Summary, usize)> {
        let limits = Limits {
            max_tokens_per_step: budget,
            prefill_chunk_size: budget.div_ceil(2),
            block_size: 16,
            num_kv_blocks: Some(256),
        };
        let mut lab = Lab::new(backend, &limits)?;
        lab.warm_up()?;
        for nth in 0..self.requests.requests {
            lab.submit(self.requests.prompt_len(nth), self.requests.max_new_tokens, None)?;
            lab.run_steps(self.arrival_gap)?;
        }
        lab.run_steps(usize::MAX)?;
        let num_out = lab.recording.steps().map(|step| step.tokens.len()).sum();
        Ok((summary(&lab.recording), num_out))
    }
}
