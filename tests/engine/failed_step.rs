//! A step that fails loses nothing: the next one computes the same again.

use crate::abort::{self, TIGHT, finished};
use crate::fixtures;
use crate::golden;
use crate::machines::{Machines, ensure};
use crate::watched_cpu::{UNPLUGGED, WatchedCpu};
use cb_lab::Error;
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::Update;
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = machines.cpu("failed_step/nothing is lost", || nothing_is_lost(WatchedCpu::failing));
    trials.extend(machines.cpu("failed_step/nothing is lost, two in flight", || {
        nothing_is_lost(|fails| WatchedCpu::failing(fails).overlapping())
    }));
    trials
}

/// Whether the read of a number fails.
type Fails = fn(usize) -> bool;

fn nothing_is_lost(open: impl Fn(Fails) -> WatchedCpu) -> Result<(), Failed> {
    let cases = fixtures::golden_cases("llama");
    let sampled =
        SamplingParams { temperature: 1.0, seed: 3, ignore_eos: true, max_new_tokens: 24, ..Default::default() };
    let run = |fails: Fails| {
        let mut engine = fixtures::engine("llama", open(fails), &TIGHT);
        abort::submit_all(&mut engine, &cases)?;
        engine.submit(cases[4].prompt_token_ids.clone(), sampled.clone())?;
        let (mut outputs, mut num_failed) = (Vec::new(), 0);
        // Who lost their blocks and who was said to; and how many in steps that failed.
        let (mut victims, mut told, mut num_untold) = (Vec::new(), Vec::new(), 0);
        while !engine.is_idle() {
            let before: Vec<_> = engine.scheduler().running().map(|sequence| sequence.id()).collect();
            let result = pollster::block_on(engine.step());
            let waiting: Vec<_> = engine.scheduler().waiting().map(|sequence| sequence.id()).collect();
            let lost = before.into_iter().filter(|id| waiting.contains(id)).rev();
            let num_victims = victims.len();
            victims.extend(lost);
            match result {
                Ok(report) => {
                    for update in report.updates {
                        if let Update::Preempted(id) = update {
                            told.push(id);
                        }
                        outputs.extend(finished(update));
                    }
                    ensure!(told == victims, "told of {told:?} by step {}, not {victims:?}", report.plan.step);
                }
                Err(Error::Device(message)) if message == UNPLUGGED => {
                    num_failed += 1;
                    num_untold += victims.len() - num_victims;
                }
                Err(error) => return Err(error.into()),
            }
            engine.scheduler().check_integrity()?;
        }
        abort::all_blocks_free(&engine)?;
        outputs.sort_by_key(|output| output.id);
        Ok::<_, Failed>((outputs, num_failed, num_untold))
    };
    let (expected, ..) = run(|_| false)?;
    // Every third, so that a step fails once, and most of them, so that it fails again and again.
    let mut all_untold = 0;
    for fails in [(|n| n % 3 == 1) as Fails, |n| n % 4 != 3] {
        let (outputs, num_failed, num_untold) = run(fails)?;
        ensure!(num_failed > 20, "only {num_failed} steps failed");
        all_untold += num_untold;
        ensure!(outputs == expected, "other outputs after {num_failed} failed steps");
        golden::compare(&cases, &outputs[..cases.len()])?;
    }
    ensure!(all_untold > 0, "no step that failed preempted anybody");
    Ok(())
}
