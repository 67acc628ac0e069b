//! A request can be given up at any point: its blocks are free at once, and nobody else notices.

use crate::fixtures::{self, GoldenCase};
use crate::golden;
use crate::machines::{Check, Machine, Machines, ensure};
use cb_lab::RequestId;
use cb_lab::backend::Backend;
use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::request::FinishReason;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::{DeviceEngine, Update};
use libtest_mimic::{Failed, Trial};

/// Room for the largest request (300 + 24 tokens) and little more.
pub const TIGHT: LimitOptions = LimitOptions {
    block_size: Some(8),
    num_kv_blocks: Some(44),
    max_tokens_per_step: Some(64),
    prefill_chunk_size: Some(16),
    max_num_seqs: Some(8),
    max_model_len: None,
    kv_dtype: KvDtype::F32,
    weight_dtype: WeightDtype::Auto,
};

const STATES: [State; 4] = [State::Waiting, State::MidPrefill, State::Decoding, State::Preempted];

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials: Vec<Trial> =
        STATES.into_iter().flat_map(|state| machines.all(&format!("abort/{state:?}"), Abort(state))).collect();
    trials.extend(machines.cpu("abort/each request after each step", each_after_each));
    trials.extend(machines.all("abort/all of them", AbortAll));
    trials
}

/// Where a request is when it is given up.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waiting,
    MidPrefill,
    Decoding,
    Preempted,
}

impl State {
    /// A request in this state. `preempted` are those that ever were.
    fn find<B: Backend>(self, engine: &DeviceEngine<B>, preempted: &[RequestId]) -> Option<RequestId> {
        let scheduler = engine.scheduler();
        let sequence = match self {
            State::Waiting => scheduler.waiting().find(|sequence| !preempted.contains(&sequence.id())),
            State::MidPrefill => {
                scheduler.running().find(|sequence| sequence.context_len() > 0 && !sequence.is_decoding())
            }
            State::Decoding => scheduler.running().find(|sequence| sequence.output_token_ids().len() > 1),
            State::Preempted => scheduler.waiting().find(|sequence| preempted.contains(&sequence.id())),
        };
        sequence.map(|sequence| sequence.id())
    }
}

#[derive(Clone)]
struct Abort(State);

impl Check for Abort {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let cases = fixtures::golden_cases("llama");
        let mut engine = fixtures::engine("llama", machine.open()?, &TIGHT);
        submit_all(&mut engine, &cases)?;
        let mut preempted = Vec::new();
        let mut outputs = Vec::new();
        let mut victim = None;
        while !engine.is_idle() {
            for update in pollster::block_on(engine.step())?.updates {
                match update {
                    Update::Preempted(id) => preempted.push(id),
                    Update::Finished { output, .. } => outputs.push(output),
                    Update::Token { .. } => {}
                    Update::Failed { reason, .. } => return Err(reason.into()),
                }
            }
            if victim.is_none() {
                victim = self.0.find(&engine, &preempted);
                victim.map_or(Ok(()), |id| abort(&mut engine, &cases, id))?;
            }
        }
        let victim = victim.ok_or_else(|| format!("no request was ever {:?}", self.0))?;
        ensure!(outputs.len() == cases.len() - 1, "{} requests ended by themselves", outputs.len());
        ensure!(outputs.iter().all(|output| output.id != victim), "request {victim} went on");
        for output in &outputs {
            golden::compare_one(&cases[output.id.0 as usize], output)?;
        }
        all_blocks_free(&engine)
    }
}

/// Tries every request at every step of a run, each in a run of its own.
fn each_after_each() -> Result<(), Failed> {
    // Those with prompts of 7 to 33 tokens, in a pool for one and a half of the largest.
    let cases = fixtures::golden_cases("qwen3")[2..7].to_vec();
    let limits = LimitOptions { num_kv_blocks: Some(11), ..TIGHT };
    for victim in 0..cases.len() {
        for num_steps in 0.. {
            let mut engine = fixtures::engine("qwen3", cb_lab::backend::cpu::CpuBackend::default(), &limits);
            submit_all(&mut engine, &cases)?;
            let mut outputs = Vec::new();
            for _ in 0..num_steps {
                outputs.extend(pollster::block_on(engine.step())?.updates.into_iter().filter_map(finished));
            }
            let id = RequestId(victim as u64);
            if engine.scheduler().get(id).is_none() {
                break;
            }
            abort(&mut engine, &cases, id)?;
            outputs.extend(pollster::block_on(engine.run_until_idle())?);
            ensure!(outputs.len() == cases.len() - 1, "{} requests ended by themselves", outputs.len());
            for output in &outputs {
                golden::compare_one(&cases[output.id.0 as usize], output)?;
            }
            all_blocks_free(&engine)?;
        }
    }
    Ok(())
}

#[derive(Clone)]
struct AbortAll;

impl Check for AbortAll {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let cases = fixtures::golden_cases("llama");
        let mut engine = fixtures::engine("llama", machine.open()?, &TIGHT);
        submit_all(&mut engine, &cases)?;
        (0..5).try_for_each(|_| pollster::block_on(engine.step()).map(drop))?;
        for id in 0..cases.len() as u64 {
            engine.abort(RequestId(id))?;
        }
        ensure!(engine.is_idle(), "something is left");
        all_blocks_free(&engine)?;
        let report = pollster::block_on(engine.step())?;
        ensure!(report.plan.is_empty() && report.updates.is_empty(), "an idle step did something: {report:?}");
        ensure!(engine.abort(RequestId(0))?.is_none(), "a request was given up twice");
        // The engine is as good as new.
        engine.submit(cases[8].prompt_token_ids.clone(), cases[8].params())?;
        golden::compare(&cases[8..9], &pollster::block_on(engine.run_until_idle())?)
    }
}

/// Gives a request up; what it held is free at once, and what it had brought is as far as it got.
pub fn abort<B: Backend>(engine: &mut DeviceEngine<B>, cases: &[GoldenCase], id: RequestId) -> Result<(), Failed> {
    let free_before = engine.scheduler().num_free_blocks();
    let held = engine.scheduler().get(id).map_or(0, |sequence| sequence.block_table().num_blocks());
    let output = engine.abort(id)?.ok_or("there was such a request")?;
    let free = engine.scheduler().num_free_blocks();
    ensure!(free == free_before + held, "{free_before} blocks were free and {held} held, {free} are free now");
    engine.scheduler().check_integrity()?;
    ensure!(output.finish_reason == FinishReason::Abort, "it ended by {:?}", output.finish_reason);
    let expected = &cases[id.0 as usize].token_ids;
    ensure!(expected.starts_with(&output.token_ids), "it had {:?}, not the start of {expected:?}", output.token_ids);
    Ok(())
}

pub fn submit_all<B: Backend>(engine: &mut DeviceEngine<B>, cases: &[GoldenCase]) -> Result<(), Failed> {
    for case in cases {
        engine.submit(case.prompt_token_ids.clone(), case.params())?;
    }
    Ok(())
}

pub fn all_blocks_free<B: Backend>(engine: &DeviceEngine<B>) -> Result<(), Failed> {
    let (free, all) = (engine.scheduler().num_free_blocks(), engine.scheduler().config().num_kv_blocks);
    ensure!(free == all, "{free} of {all} blocks are free at the end");
    Ok(())
}

pub fn finished(update: Update) -> Option<cb_lab::engine::stream::Output> {
    match update {
        Update::Finished { output, .. } => Some(output),
        _ => None,
    }
}
