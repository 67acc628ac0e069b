//! Exploration: sampling. One prompt, several temperatures and seeds: where the trajectories part.

mod common;

use cb_lab::backend::Backend;
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::stream::Output;
use clap::Parser;
use common::{Demo, Device, Lab, Limits, Outcome, Sampling, Screen};
use pollster::block_on;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

const TEMPERATURES: [f32; 4] = [0.0, 0.5, 1.0, 2.0];

/// The same prompt, sampled: all in one batch, and each once more alone.
#[derive(Parser)]
#[command(
    after_help = "Try:\n  --seeds 5               more trajectories\n  --max-new-tokens 60     how far do they drift?\n  \
    --prompt \"Once\"         where is the choice widest?"
)]
struct Args {
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    limits: Limits,
    /// What all of them continue
    #[arg(long, value_name = "TEXT", default_value = "Once upon a time there was a")]
    prompt: String,
    /// Tokens to generate for each
    #[arg(long, value_name = "N", default_value_t = 14)]
    max_new_tokens: usize,
    /// Seeds for each temperature
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&args.device, &args)
}

impl Demo for Args {
    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        let samplings: Vec<Sampling> = TEMPERATURES
            .into_iter()
            .flat_map(|temperature| (0..self.seeds).map(move |seed| Sampling { temperature, seed }))
            .collect();
        let together = self.generate(backends()?, &samplings)?;
        let greedy = &together[0].token_ids;

        writeln!(screen, "{}", screen.bold("temperature  seed   as greedy for   log-probability   text"))?;
        for (sampling, output) in samplings.iter().zip(&together) {
            let same = output.token_ids.iter().zip(greedy).take_while(|(token, greedy)| token == greedy).count();
            let mean = output.logprobs.iter().sum::<f32>() / output.logprobs.len().max(1) as f32;
            let line = format!(
                "{:11.1} {:5} {same:9} tokens {mean:17.2}   {:?}",
                sampling.temperature, sampling.seed, output.text
            );
            writeln!(screen, "{}", screen.paint(output.id, &line))?;
        }
        for (temperature, outputs) in TEMPERATURES.iter().zip(together.chunks(self.seeds.max(1) as usize)) {
            let texts: BTreeSet<&str> = outputs.iter().map(|output| output.text.as_str()).collect();
            writeln!(screen, "temperature {temperature:.1}: seeds {}, different texts {}", outputs.len(), texts.len())?;
        }

        let mut alone = Vec::new();
        for sampling in &samplings {
            alone.extend(self.generate(backends()?, std::slice::from_ref(sampling))?);
        }
        let same = together.iter().zip(&alone).filter(|(one, other)| one.token_ids == other.token_ids).count();
        writeln!(
            screen,
            "\nEach once more alone: {same} of {} got the same tokens. A draw is a function of the\n\
             request's seed and the token's number, and of nothing that happens beside it.",
            samplings.len()
        )?;
        Ok(())
    }
}

impl Args {
    /// One request for each way of sampling, in one batch. All have the same prompt.
    fn generate<B: Backend>(&self, backend: B, samplings: &[Sampling]) -> Outcome<Vec<Output>> {
        let mut lab = Lab::new(backend, &self.limits.with_pool_for(1024))?;
        let prompt_token_ids = lab.engine.tokenizer().encode(&self.prompt)?;
        for &Sampling { temperature, seed } in samplings {
            let max_new_tokens = self.max_new_tokens;
            let params = SamplingParams { max_new_tokens, temperature, seed, ..Default::default() };
            lab.engine.submit(prompt_token_ids.clone(), params)?;
        }
        Ok(block_on(lab.engine.run_until_idle())?)
    }
}
