//! Two steps in flight at a time give every request what one step at a time does: with requests that come and are given up
//! at any time, with preemption, end-of-sequence tokens, stop texts and draws.

use crate::abort::{self, TIGHT, finished};
use crate::fixtures;
use crate::gpu::Gpu;
use crate::machines::{Machine, Machines, ensure};
use crate::rng::Rng;
use crate::watched_cpu::WatchedCpu;
use cb_lab::RequestId;
use cb_lab::backend::Backend;
use cb_lab::core::request::{FinishReason, SamplingParams};
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::stream::Output;
use cb_lab::engine::{DeviceEngine, Update};
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials =
        machines.cpu("ahead/as one by one", || as_one_by_one(|| Ok(WatchedCpu::reliable().overlapping()), true));
    trials.extend(machines.gpus("ahead/as one by one", |gpu: &Gpu| as_one_by_one(|| Machine::open(gpu), false)));
    trials.extend(machines.cpu("ahead/never more than two, nothing made, two words a sequence", what_it_costs));
    trials
}

type Request = (Vec<u32>, SamplingParams);

/// Golden ones, which reach their length or an end-of-sequence token; some of them drawn; some with a stop text that
/// comes up in the middle of what they say.
fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for (nth, case) in (0..).zip(fixtures::golden_cases("llama")) {
        let greedy = case.params();
        let drawn = SamplingParams { temperature: 0.9, top_k: Some(50), top_p: 0.95, seed: nth, ..greedy.clone() };
        let middle = case.text.char_indices().nth(case.text.chars().count() / 2).map_or(0, |(at, _)| at);
        let stop: String = case.text[middle..].chars().take(3).collect();
        let stopped =
            SamplingParams { stop: Vec::from_iter(Some(stop).filter(|stop| !stop.is_empty())), ..greedy.clone() };
        requests.extend([greedy, drawn, stopped].map(|params| (case.prompt_token_ids.clone(), params)));
    }
    requests
}

fn as_one_by_one<B: Backend>(open: impl Fn() -> cb_lab::Result<B>, exact: bool) -> Result<(), Failed> {
    let requests = requests();
    let mut engine = fixtures::engine("llama", open()?, &LimitOptions::default());
    engine.step_one_by_one();
    for (prompt, params) in &requests {
        engine.submit(prompt.clone(), params.clone())?;
    }
    let expected = pollster::block_on(engine.run_until_idle())?;
    ensure!(expected.iter().any(|output| output.finish_reason == FinishReason::Stop), "nobody stops");
    ensure!(engine.runner().batch().sample_indices.is_empty(), "a step was begun ahead");

    let (mut num_ahead, mut num_preempted) = (0, 0);
    for (round, limits) in [TIGHT, LimitOptions::default(), TIGHT].iter().enumerate() {
        let mut engine = fixtures::engine("llama", open()?, limits);
        let mut rng = Rng::new(&format!("round {round}"));
        let mut to_come = rng.permutation(requests.len());
        let mut requests_of_ids = Vec::new();
        let mut outputs = Vec::new();
        while !engine.is_idle() || !to_come.is_empty() {
            // Several at once, then none for a while, so that some steps see nobody wait.
            let num_coming = if rng.below(12) == 0 || engine.is_idle() { 1 + rng.below(5) } else { 0 };
            for request in to_come.drain(to_come.len().saturating_sub(num_coming)..) {
                let (prompt, params) = &requests[request as usize];
                engine.submit(prompt.clone(), params.clone())?;
                requests_of_ids.push(request as usize);
            }
            let updates = pollster::block_on(engine.step())?.updates;
            num_ahead += !engine.runner().batch().sample_indices.is_empty() as usize;
            num_preempted += updates.iter().filter(|update| matches!(update, Update::Preempted(_))).count();
            outputs.extend(updates.into_iter().filter_map(finished));
            if rng.below(25) == 0 && !requests_of_ids.is_empty() {
                let id = RequestId(rng.below(requests_of_ids.len()) as u64);
                outputs.extend(engine.abort(id)?);
            }
            engine.scheduler().check_integrity()?;
        }
        abort::all_blocks_free(&engine)?;
        ensure!(outputs.len() == requests.len(), "{} of {} requests ended", outputs.len(), requests.len());
        for output in &outputs {
            same(output, &expected[requests_of_ids[output.id.0 as usize]], exact)?;
        }
    }
    ensure!(num_ahead > 100, "only {num_ahead} steps were begun ahead");
    ensure!(num_preempted > 0, "nobody was preempted");
    Ok(())
}

/// All that it brought, or the beginning of it where it was given up.
fn same(output: &Output, expected: &Output, exact: bool) -> Result<(), Failed> {
    let len = output.token_ids.len();
    if output.finish_reason != FinishReason::Abort {
        ensure!(output.finish_reason == expected.finish_reason, "request {}: another end", output.id);
        ensure!(len == expected.token_ids.len() && output.text == expected.text, "request {}: another text", output.id);
    }
    ensure!(expected.token_ids.starts_with(&output.token_ids), "request {}: other tokens", output.id);
    let bits = |output: &Output| output.logprobs[..len].iter().map(|logprob| logprob.to_bits()).collect::<Vec<_>>();
    ensure!(!exact || bits(output) == bits(expected), "request {}: other log-probabilities", output.id);
    Ok(())
}

fn what_it_costs() -> Result<(), Failed> {
    let mut engine: DeviceEngine<WatchedCpu> = fixtures::engine("llama", WatchedCpu::reliable().overlapping(), &TIGHT);
    let before = engine.runner_mut().device_mut().1.seen.clone();
    abort::submit_all(&mut engine, &fixtures::golden_cases("llama"))?;
    let mut num_rows = 0;
    while !engine.is_idle() {
        num_rows += pollster::block_on(engine.step())?.plan.num_samples();
    }
    let backend = engine.runner_mut().device_mut().1;
    ensure!(backend.most_in_flight == 2, "{} steps were in flight at a time", backend.most_in_flight);
    let seen = &backend.seen;
    ensure!(seen.made == before.made, "something was made while stepping");
    let num_steps = seen.downloads.len() - before.downloads.len();
    ensure!(seen.num_uploads == before.num_uploads + 2 * num_steps, "{seen:?}");
    let num_words: usize = seen.downloads[before.downloads.len()..].iter().sum();
    // A last step may have been begun of which nobody goes on.
    ensure!(num_words >= 2 * num_rows && num_words <= 2 * (num_rows + 8), "{num_words} words for {num_rows} tokens");
    Ok(())
}
