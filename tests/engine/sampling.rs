//! A seeded request draws the same tokens alone, among others, and however it is cut into chunks.

use crate::fixtures::{self, GoldenCase};
use crate::machines::{Check, Machine, Machines, ensure};
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::DeviceEngine;
use cb_lab::engine::limits::LimitOptions;
use libtest_mimic::{Failed, Trial};
use std::collections::BTreeSet;

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = machines.all("sampling/batch mates and limits change nothing", SameAmongOthers);
    trials.extend(machines.cpu("sampling/seeds differ", seeds_differ));
    trials.extend(machines.all("sampling/the most probable of one is greedy", TopOne));
    trials.extend(machines.cpu("sampling/as many as asked for", as_many_as_asked_for));
    trials
}

/// All that a request can ask of the sampler, at once.
fn sampled(seed: u64) -> SamplingParams {
    SamplingParams {
        max_new_tokens: 24,
        temperature: 1.3,
        top_k: Some(100),
        top_p: 0.95,
        min_p: 0.01,
        seed,
        ignore_eos: true,
        ..Default::default()
    }
}

/// What a request brought: its tokens and the bits of their log-probabilities.
type Brought = (Vec<u32>, Vec<u32>);

/// Submits cases and runs them all.
fn run<B: Backend>(
    engine: &mut DeviceEngine<B>,
    requests: &[(&GoldenCase, SamplingParams)],
) -> Result<Vec<Brought>, Failed> {
    for (case, params) in requests {
        engine.submit(case.prompt_token_ids.clone(), params.clone())?;
    }
    let outputs = pollster::block_on(engine.run_until_idle())?;
    let bits = |logprobs: Vec<f32>| logprobs.into_iter().map(f32::to_bits).collect();
    Ok(outputs.into_iter().map(|output| (output.token_ids, bits(output.logprobs))).collect())
}

#[derive(Clone)]
struct SameAmongOthers;

impl Check for SameAmongOthers {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let cases = fixtures::golden_cases("smollm2");
        let one = (&cases[7], sampled(7));
        let mut alone = fixtures::engine("smollm2", machine.open()?, &LimitOptions::default());
        let expected = run(&mut alone, std::slice::from_ref(&one))?.remove(0);
        ensure!(expected.0 != cases[7].token_ids, "the draws are the greedy tokens");

        let greedy = |case: usize| (&cases[case], cases[case].params());
        let mates = [
            vec![one.clone(), greedy(3), greedy(5)],
            // Not first, and not always in the same row.
            vec![greedy(1), (&cases[2], sampled(7)), (&cases[14], sampled(8)), one.clone()],
            // The same again: a seed belongs to a request, not to an engine.
            vec![one.clone(), one.clone(), greedy(4)],
        ];
        let limits = [(512, 256, 512), (7, 5, 512), (64, 1, 16)];
        for (requests, (max_tokens_per_step, prefill_chunk_size, num_kv_blocks)) in mates.iter().zip(limits) {
            let limits = LimitOptions {
                max_tokens_per_step: Some(max_tokens_per_step),
                prefill_chunk_size: Some(prefill_chunk_size),
                num_kv_blocks: Some(num_kv_blocks),
                block_size: Some(8),
                ..Default::default()
            };
            let mut engine = fixtures::engine("smollm2", machine.open()?, &limits);
            for ((case, params), (token_ids, logprobs)) in requests.iter().zip(run(&mut engine, requests)?) {
                if (case.name.as_str(), params) == (one.0.name.as_str(), &one.1) {
                    ensure!(token_ids == expected.0, "{limits:?}: {token_ids:?}, alone {:?}", expected.0);
                    ensure!(!M::EXACT || logprobs == expected.1, "{limits:?}: other log-probabilities than alone");
                } else if params.temperature == 0.0 {
                    ensure!(token_ids == case.token_ids, "{limits:?}: greedy {} among sampled ones", case.name);
                }
            }
        }
        Ok(())
    }
}

fn seeds_differ() -> Result<(), Failed> {
    let cases = fixtures::golden_cases("smollm2");
    let mut engine = fixtures::engine("smollm2", CpuBackend::default(), &LimitOptions::default());
    let requests: Vec<_> = (0..16).map(|seed| (&cases[3], sampled(seed))).collect();
    let outputs: BTreeSet<_> = run(&mut engine, &requests)?.into_iter().map(|(token_ids, _)| token_ids).collect();
    ensure!(outputs.len() == 16, "16 seeds drew {} texts", outputs.len());
    let firsts: BTreeSet<_> = outputs.iter().map(|token_ids| token_ids[0]).collect();
    ensure!(firsts.len() > 4, "16 seeds drew {} first tokens", firsts.len());
    // One request's draws differ from token to token: the same number again and again would stay at one rank.
    let hot = SamplingParams { temperature: 1e6, top_k: None, top_p: 1.0, min_p: 0.0, ..sampled(3) };
    let drawn: BTreeSet<_> = run(&mut engine, &[(&cases[3], hot)])?.remove(0).0.into_iter().collect();
    ensure!(drawn.len() > 16, "24 draws from nearly equal odds are {drawn:?}");
    Ok(())
}

#[derive(Clone)]
struct TopOne;

impl Check for TopOne {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let cases = fixtures::golden_cases("mistral");
        let mut engine = fixtures::engine("mistral", machine.open()?, &LimitOptions::default());
        let one = |change: fn(&mut SamplingParams)| {
            let mut params = SamplingParams { temperature: 2.0, seed: 5, ..cases[6].params() };
            change(&mut params);
            (&cases[6], params)
        };
        let requests = [
            one(|p| p.top_k = Some(1)),
            one(|p| p.top_p = 1e-6),
            one(|p| p.min_p = 1.0),
            one(|p| p.temperature = 1e-4),
        ];
        for (i, (token_ids, _)) in run(&mut engine, &requests)?.into_iter().enumerate() {
            ensure!(token_ids == cases[6].token_ids, "request {i}: {token_ids:?}");
        }
        Ok(())
    }
}

fn as_many_as_asked_for() -> Result<(), Failed> {
    let cases = fixtures::golden_cases("qwen2");
    let mut engine = fixtures::engine("qwen2", CpuBackend::default(), &LimitOptions::default());
    let requests: Vec<_> =
        (1..=24).map(|max_new_tokens| (&cases[4], SamplingParams { max_new_tokens, ..cases[4].params() })).collect();
    for (i, (token_ids, _)) in run(&mut engine, &requests)?.into_iter().enumerate() {
        ensure!(token_ids[..] == cases[4].token_ids[..=i], "{} tokens: {token_ids:?}", i + 1);
    }
    Ok(())
}
