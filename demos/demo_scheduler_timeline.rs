//! Phase 4: the timeline. Who waits, who computes, and what the budget does to both.

mod common;

use cb_lab::EngineConfig;
use cb_lab::backend::Backend;
use cb_lab::observe::Recording;
use cb_lab::observe::views::{Cell, Summary, budget_use, latencies, summary, timeline};
use clap::Parser;
use common::scenario::Scenario;
use common::{Demo, Device, Lab, Limits, Outcome, Screen, percent};
use std::io::Write;
use std::process::ExitCode;

/// Steps that fit a line.
const STEPS_PER_LINE: usize = 64;

/// A chart of requests over steps, their waiting times, and the same run with other budgets.
#[derive(Parser)]
#[command(after_help = "Try:\n  --max-tokens-per-step 48 --prefill-chunk-size 48   short wait for a first token\n  \
    --num-kv-blocks 64        memory for all: nobody is preempted\n  \
    --arrival-gap 0           all come at once: who waits for what?")]
struct Args {
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    scenario: Scenario,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&args.device, &args)
}

impl Demo for Args {
    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        self.scenario.requests.at_least_one()?;
        let limits = self.scenario.limits();
        let Limits { max_tokens_per_step: budget, prefill_chunk_size: chunk, .. } = limits;
        let recording = self.record(backends()?, &limits)?;
        writeln!(screen, "{}", screen.bold(&format!("Budget {budget} tokens a step, prompts in chunks of {chunk}")))?;
        writeln!(screen, "· waits   1-9 + prompt tokens computed   █ decodes   ! preempted   (blank) ended")?;
        self.draw_chart(&recording, screen)?;
        self.show_latencies(&recording, screen)?;

        writeln!(screen, "\n{}", screen.bold("The same requests with other budgets, and memory for all"))?;
        writeln!(screen, "                  tokens a step    first token, mean   longest gap     whole")?;
        writeln!(screen, "budget chunk steps   mean most*       steps       ms   steps    ms    run ms")?;
        for (budget, chunk) in [(budget.div_ceil(2), chunk.div_ceil(2)), (budget, chunk), (4 * budget, 4 * chunk)] {
            let limits = Limits { max_tokens_per_step: budget, prefill_chunk_size: chunk, ..self.scenario.limits };
            self.show_summary(&self.record(backends()?, &limits)?, screen)?;
        }
        writeln!(
            screen,
            "* in a step in which somebody decodes\n\n\
             A larger budget computes prompts sooner and the whole run in fewer steps: first\n\
             tokens come early. Where a step takes about as long with many rows as with few,\n\
             as on a GPU, throughput rises, too. But whoever decodes beside somebody's long\n\
             prompt waits for a larger step (most*), so the gap between tokens grows."
        )?;
        Ok(())
    }
}

impl Args {
    fn record<B: Backend>(&self, backend: B, limits: &Limits) -> Outcome<Recording> {
        let mut lab = Lab::new(backend, limits)?;
        lab.warm_up()?;
        self.scenario.record(lab)
    }

    fn draw_chart(&self, recording: &Recording, screen: &mut Screen) -> Outcome {
        // Counted from 0, as everywhere else: the request that warmed the device up does not count.
        let (lanes, budget) = (timeline(recording), budget_use(recording));
        let max_tokens_per_step = recording.run.config.max_tokens_per_step;
        for first in (0..budget.len()).step_by(STEPS_PER_LINE) {
            let steps = first..budget.len().min(first + STEPS_PER_LINE);
            let ruler: String = steps.clone().map(|step| if step % 10 == 0 { '|' } else { ' ' }).collect();
            writeln!(screen, "\n{:12}{ruler} one column a step", "")?;
            for (nth, lane) in lanes.iter().enumerate() {
                let drawn: String = lane.cells[steps.clone()].iter().map(draw).collect();
                writeln!(screen, "request {nth:2}  {}", screen.paint(lane.request.id, &drawn))?;
            }
            let bar = |used: usize| "▁▁▂▃▄▅▆▇█".chars().nth((used * 8).div_ceil(max_tokens_per_step));
            let bars: String = budget[steps].iter().filter_map(|used| bar(used.decode + used.prefill)).collect();
            writeln!(screen, "budget used {bars}")?;
        }
        let used: usize = budget.iter().map(|used| used.decode + used.prefill).sum();
        let most = budget.len() * max_tokens_per_step;
        writeln!(screen, "{used} of {most} tokens of budget used: {} %", percent(used, most))?;
        Ok(())
    }

    fn show_latencies(&self, recording: &Recording, screen: &mut Screen) -> Outcome {
        writeln!(
            screen,
            "\n{}",
            screen.bold("            first token after       gap between tokens, mean and longest")
        )?;
        writeln!(screen, "              steps        ms           steps                ms")?;
        for (nth, latency) in latencies(recording).iter().enumerate() {
            let first = latency.first_token.map_or((0, 0.0), |wait| (wait.steps, wait.ms));
            let (mean, longest) = latency.inter_token_steps().unwrap_or_default();
            let (mean_ms, longest_ms) = latency.inter_token_ms().unwrap_or_default();
            let line = format!(
                "request {nth:2} {:8} {:9.1} {mean:11.1} {longest:6} {mean_ms:13.1} {longest_ms:7.1}",
                first.0, first.1
            );
            writeln!(screen, "{}", screen.paint(latency.id, &line))?;
        }
        Ok(())
    }

    fn show_summary(&self, recording: &Recording, screen: &mut Screen) -> Outcome {
        let EngineConfig { max_tokens_per_step: budget, prefill_chunk_size: chunk, .. } = recording.run.config;
        let Summary { num_steps, num_tokens, largest_step_with_decodes: most, first_token, longest_inter_token, ms } =
            summary(recording);
        let (mean, (steps, first_ms), (gap, inter_token_ms)) =
            (num_tokens as f64 / num_steps as f64, first_token, longest_inter_token);
        writeln!(
            screen,
            "{budget:6} {chunk:5} {num_steps:5} {mean:6.1} {most:5} {steps:11.1} {first_ms:8.1} {gap:7} {inter_token_ms:5.1} {ms:9.1}"
        )?;
        Ok(())
    }
}

fn draw(cell: &Cell) -> char {
    match cell {
        Cell::NotYet | Cell::Finished => ' ',
        Cell::Waiting => '·',
        Cell::Preempted => '!',
        Cell::Idle => '-',
        Cell::Prefill(query_len @ 1..=9) => char::from_digit(*query_len as u32, 10).unwrap_or('+'),
        Cell::Prefill(_) => '+',
        Cell::Decode => '█',
    }
}
