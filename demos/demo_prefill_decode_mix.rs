//! Phase 3: one step, many kinds of work. Decodes come first; what is left of the budget goes to prompts.

mod common;

use cb_lab::RequestId;
use cb_lab::backend::Backend;
use cb_lab::core::request::FinishReason;
use cb_lab::core::skipped::Skipped;
use cb_lab::engine::Update;
use cb_lab::observe::Step;
use clap::Parser;
use common::{Demo, Device, Lab, Limits, Outcome, Requests, Sampling, Screen};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

/// Of the bar that shows a step's budget.
const MAX_CELLS: usize = 12;

/// Requests that come together and share every step: a line a step, and the reason for whoever has to wait.
#[derive(Parser)]
#[command(after_help = "Try:\n  --max-tokens-per-step 4   prompts crawl beside the decodes\n  \
    --max-tokens-per-step 64 --prefill-chunk-size 64   all prompts in the first step\n  \
    --num-kv-blocks 14        too little memory: somebody is preempted, and gets the same tokens")]
struct Args {
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    requests: Requests,
    #[command(flatten)]
    sampling: Sampling,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&args.device, &args)
}

impl Demo for Args {
    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        let mut lab = Lab::new(backends()?, &self.limits)?;
        let mut prompt_lens = BTreeMap::new();
        for nth in 0..self.requests.requests {
            let prompt_len = self.requests.prompt_len(nth);
            prompt_lens.insert(lab.submit(prompt_len, self.requests.max_new_tokens, Some(&self.sampling))?, prompt_len);
        }
        let all: Vec<String> = prompt_lens.iter().map(|(id, len)| screen.paint(*id, &format!("{id}: {len}"))).collect();
        writeln!(screen, "Prompt tokens of each request  {}", all.join("   "))?;
        writeln!(
            screen,
            "Budget {} tokens a step, chunks of {}     █ decodes   ▒ prompt tokens   · not used\n",
            self.limits.max_tokens_per_step, self.limits.prefill_chunk_size
        )?;
        writeln!(screen, "{}", screen.bold("step  budget        decode= (ids)       prefill= (id+tokens)"))?;

        let mut outputs = BTreeMap::new();
        let mut told: BTreeMap<RequestId, Skipped> = BTreeMap::new();
        while !lab.engine.is_idle() {
            let (step, updates) = lab.step()?;
            self.show_step(&step, screen)?;
            for preemption in &step.preempted {
                told.remove(&preemption.victim);
            }
            for (id, why) in lab.skipped() {
                // A reason is told once, until another takes its place.
                if told.insert(id, why).is_none_or(|before| !is_same(&before, &why)) {
                    let verb = if matches!(why, Skipped::Preempted { .. }) { "" } else { " waits:" };
                    writeln!(screen, "      {}", screen.paint(id, &format!("{id}{verb} {why}")))?;
                }
            }
            for update in updates {
                let (output, why) = match update {
                    Update::Finished { output, .. } if output.finish_reason == FinishReason::Length => {
                        let why = format!("it has its {} tokens", output.token_ids.len());
                        (output, why)
                    }
                    Update::Finished { output, .. } => {
                        let why = format!("end of text after {} tokens", output.token_ids.len());
                        (output, why)
                    }
                    Update::Failed { output, reason } => (output, reason),
                    Update::Token { .. } | Update::Preempted(_) => continue,
                };
                writeln!(screen, "      {}", screen.paint(output.id, &format!("{} finished: {why}", output.id)))?;
                outputs.insert(output.id, output.text);
            }
        }
        writeln!(screen, "\n{}", screen.bold("What they got"))?;
        for (id, text) in outputs {
            let text: String = text.chars().take(60).collect();
            writeln!(screen, "{}", screen.paint(id, &format!("{id}: {text:?}")))?;
        }
        writeln!(screen, "\nA step has no phase: it is a list of requests, each with some tokens to compute.")?;
        Ok(())
    }
}

/// The same sentence but for its figures.
fn is_same(a: &Skipped, b: &Skipped) -> bool {
    match (a, b) {
        (Skipped::NotAdmitted(a), Skipped::NotAdmitted(b)) => std::mem::discriminant(a) == std::mem::discriminant(b),
        _ => a == b,
    }
}

impl Args {
    fn show_step(&self, step: &Step, screen: &mut Screen) -> Outcome {
        let (mut decodes, mut prefills, mut num_prefill) = (Vec::new(), Vec::new(), 0);
        for row in &step.rows {
            if row.is_decode() {
                decodes.push(row.id.to_string());
            } else {
                prefills.push(format!("{}+{}", row.id, row.query_len));
                num_prefill += row.query_len;
            }
        }
        let budget = self.limits.max_tokens_per_step;
        // A cell is a token where all fit.
        let cells = budget.min(MAX_CELLS);
        let scaled = |tokens: usize| (tokens * cells).div_ceil(budget).min(cells);
        let (decode, all) = (scaled(decodes.len()), scaled(decodes.len() + num_prefill));
        let bar = "█".repeat(decode) + &"▒".repeat(all - decode) + &"·".repeat(cells - all);
        let decode = format!("{:2} ({})", decodes.len(), decodes.join(" "));
        writeln!(screen, "{:4}  {bar:MAX_CELLS$}  {decode:18}  {num_prefill:2} ({})", step.step, prefills.join(" "))?;
        Ok(())
    }
}
