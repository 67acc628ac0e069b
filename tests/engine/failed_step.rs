//! A step that fails loses nothing: the next one computes the same again.

use crate::abort::{self, TIGHT, finished};
use crate::fixtures;
use crate::golden;
use crate::machines::{Machines, ensure};
use crate::watched_cpu::{UNPLUGGED, WatchedCpu};
use cb_lab::Error;
use cb_lab::core::request::SamplingParams;
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    machines.cpu("failed_step/nothing is lost", nothing_is_lost)
}

fn nothing_is_lost() -> Result<(), Failed> {
    let cases = fixtures::golden_cases("llama");
    let sampled =
        SamplingParams { temperature: 1.0, seed: 3, ignore_eos: true, max_new_tokens: 24, ..Default::default() };
    let run = |fails: fn(usize) -> bool| {
        let mut engine = fixtures::engine("llama", WatchedCpu::failing(fails), &TIGHT);
        abort::submit_all(&mut engine, &cases)?;
        engine.submit(cases[4].prompt_token_ids.clone(), sampled.clone())?;
        let (mut outputs, mut num_failed) = (Vec::new(), 0);
        while !engine.is_idle() {
            match pollster::block_on(engine.step()) {
                Ok(report) => outputs.extend(report.updates.into_iter().filter_map(finished)),
                Err(Error::Device(message)) if message == UNPLUGGED => num_failed += 1,
                Err(error) => return Err(error.into()),
            }
            engine.scheduler().check_integrity()?;
        }
        abort::all_blocks_free(&engine)?;
        outputs.sort_by_key(|output| output.id);
        Ok::<_, Failed>((outputs, num_failed))
    };
    let (expected, _) = run(|_| false)?;
    // Every third, so that a step fails once, and most of them, so that it fails again and again.
    for fails in [(|n| n % 3 == 1) as fn(usize) -> bool, |n| n % 4 != 3] {
        let (outputs, num_failed) = run(fails)?;
        ensure!(num_failed > 20, "only {num_failed} steps failed");
        ensure!(outputs == expected, "other outputs after {num_failed} failed steps");
        golden::compare(&cases, &outputs[..cases.len()])?;
    }
    Ok(())
}
