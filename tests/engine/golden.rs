//! All prompts of a fixture submitted together give transformers' tokens, log-probabilities and text.

use super::fixtures::{self, GoldenCase};
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::gpu::{Adapters, GpuBackend, GpuOptions};
use cb_lab::engine::Engine;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::stream::Output;
use libtest_mimic::{Failed, Trial};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for name in fixtures::NAMES {
        trials.push(Trial::test(format!("golden/{name} [cpu]"), move || check(name, CpuBackend)));
        trials.push(Trial::test(format!("golden/{name} [gpu]"), move || {
            let adapters = pollster::block_on(Adapters::find());
            let backend = pollster::block_on(GpuBackend::new(adapters.any().unwrap(), GpuOptions::default())).unwrap();
            check(name, backend)
        }));
    }
    trials
}

fn check<B: Backend>(name: &str, backend: B) -> Result<(), Failed> {
    let cases = fixtures::golden_cases(name);
    let mut engine = fixtures::engine(name, backend, &LimitOptions::default());
    compare(&cases, &run(&mut engine, &cases)?)
}

/// Submits all cases, then steps until all have ended.
pub fn run<B: Backend>(engine: &mut Engine<B>, cases: &[GoldenCase]) -> Result<Vec<Output>, Failed> {
    for case in cases {
        engine.submit(case.prompt_token_ids.clone(), case.params())?;
    }
    Ok(pollster::block_on(engine.run_until_idle())?)
}

pub fn compare(cases: &[GoldenCase], outputs: &[Output]) -> Result<(), Failed> {
    for (case, output) in cases.iter().zip(outputs) {
        if output.token_ids != case.token_ids {
            return Err(format!("{}: tokens {:?}, expected {:?}", case.name, output.token_ids, case.token_ids).into());
        }
        for (i, (logprob, expected)) in output.logprobs.iter().zip(&case.logprobs).enumerate() {
            // Both sum some hundred f32 products per logit; the fixtures keep a margin of 5e-3 between the best two.
            if (logprob - expected).abs() > 1e-3 {
                return Err(
                    format!("{}: log-probability {logprob} of token {i}, expected {expected}", case.name).into()
                );
            }
        }
        if output.text != case.text {
            return Err(format!("{}: text {:?}, expected {:?}", case.name, output.text, case.text).into());
        }
        if output.finish_reason.as_str() != case.finish_reason {
            return Err(
                format!("{}: ended by {:?}, expected {}", case.name, output.finish_reason, case.finish_reason).into()
            );
        }
    }
    Ok(())
}
