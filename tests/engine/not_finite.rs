//! A request whose logits are not finite fails alone, before its token is taken for one.

use crate::abort;
use crate::checkpoint::Checkpoint;
use crate::fixtures::{self, GoldenCase};
use crate::golden;
use crate::machines::{Check, Machine, Machines, ensure};
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::paired::PairedBackend;
use cb_lab::core::request::{FinishReason, SamplingParams};
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::engine::{DeviceEngine, Update};
use cb_lab::model::ModelFolder;
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = machines.all("not_finite/the others go on", OthersGoOn);
    trials.extend(machines.all("not_finite/a token that would end it", NoEnd));
    trials.extend(machines.cpu("not_finite/the first layer is named", first_layer));
    trials
}

/// Llama, where an element of a tensor has another value.
fn damaged<B: Backend>(
    tensor: &str,
    elem: usize,
    value: f32,
    backend: B,
    limits: &LimitOptions,
) -> Result<DeviceEngine<B>, Failed> {
    let mut checkpoint = Checkpoint::of("llama");
    checkpoint.tensor(tensor).set_f32(elem, value);
    let dir = checkpoint.write();
    let folder = pollster::block_on(LoadedFolder::open(&ModelFolder::open(dir.path())?))?;
    Ok(fixtures::engine_of(folder, backend, limits))
}

/// A token that some prompts have, and no output and no prompt of the others.
fn rare_token(cases: &[GoldenCase]) -> (u32, Vec<usize>) {
    let with = |id: u32| -> Vec<usize> {
        let has = |case: &GoldenCase| case.prompt_token_ids.contains(&id) || case.token_ids.contains(&id);
        (0..cases.len()).filter(|&i| has(&cases[i])).collect()
    };
    let in_prompts =
        |id: u32, cases_with: &[usize]| cases_with.iter().all(|&i| cases[i].prompt_token_ids.contains(&id));
    let ids = cases.iter().flat_map(|case| &case.prompt_token_ids);
    let mut rare = ids.map(|&id| (id, with(id))).filter(|(id, with)| in_prompts(*id, with));
    rare.find(|(_, with)| (1..4).contains(&with.len())).expect("some token is rare")
}

#[derive(Clone)]
struct OthersGoOn;

impl Check for OthersGoOn {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let cases = fixtures::golden_cases("llama");
        let (token, broken) = rare_token(&cases);
        for value in [f32::NAN, f32::INFINITY] {
            let elem = token as usize * 64 + 5;
            let mut engine = damaged("model.embed_tokens.weight", elem, value, machine.open()?, &abort::TIGHT)?;
            // Twice, so that others get the blocks that NaNs were in.
            for _ in 0..2 {
                let outputs = golden::run(&mut engine, &cases)?;
                for (i, (case, output)) in cases.iter().zip(&outputs).enumerate() {
                    if !broken.contains(&i) {
                        golden::compare_one(case, output)?;
                        continue;
                    }
                    let failed = output.finish_reason == FinishReason::Error && output.token_ids.is_empty();
                    ensure!(failed && output.logprobs.is_empty(), "{}: {output:?}", case.name);
                }
                abort::all_blocks_free(&engine)?;
            }
        }
        Ok(())
    }
}

/// The token that comes out is the end of the request in two ways, and no token at all.
#[derive(Clone)]
struct NoEnd;

impl Check for NoEnd {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        // One logit of 352, of a token that nobody would draw.
        let limits = LimitOptions::default();
        let mut engine = damaged("lm_head.weight", 3 * 64, f32::NAN, machine.open()?, &limits)?;
        let case = &fixtures::golden_cases("llama")[2];
        let greedy = SamplingParams {
            max_new_tokens: 1,
            stop_token_ids: (0..352).collect(),
            stop: vec!["a".into()],
            ..Default::default()
        };
        let drawn = SamplingParams { temperature: 0.7, top_p: 0.9, top_k: Some(50), ..greedy.clone() };
        let ids = [greedy, drawn].map(|params| engine.submit(case.prompt_token_ids.clone(), params));
        while !engine.is_idle() {
            let report = pollster::block_on(engine.step())?;
            for update in report.updates {
                let Update::Failed { output, reason } = update else { return Err(format!("{update:?}").into()) };
                ensure!(output.token_ids.is_empty() && output.finish_reason == FinishReason::Error, "{output:?}");
                let says = format!("the logits of step {} are not finite, so that token 0", report.plan.step);
                ensure!(reason.starts_with(&says), "{reason}");
            }
        }
        ensure!(ids.iter().all(Result::is_ok), "they were accepted");
        abort::all_blocks_free(&engine)
    }
}

/// A pair of backends looks at what every kernel writes.
fn first_layer() -> Result<(), Failed> {
    for (tensor, first) in [
        ("model.embed_tokens.weight", "embed_tokens, outside the layers"),
        ("model.layers.0.self_attn.k_proj.weight", "linear, layer 0"),
        ("model.layers.1.mlp.up_proj.weight", "gated_linear, layer 1"),
        ("model.norm.weight", "rms_norm, outside the layers"),
    ] {
        let case = &fixtures::golden_cases("llama")[2];
        let elem = if tensor.contains("embed") { case.prompt_token_ids[0] as usize * 64 } else { 7 };
        let pair = PairedBackend::new(CpuBackend::default(), CpuBackend::default(), 0.0);
        let mut engine = damaged(tensor, elem, f32::NAN, pair, &LimitOptions::default())?;
        engine.submit(case.prompt_token_ids.clone(), case.params())?;
        let updates = pollster::block_on(engine.step())?.updates;
        let [Update::Failed { reason, .. }] = &updates[..] else { return Err(format!("{updates:?}").into()) };
        ensure!(reason.contains(&format!("(first seen in {first})")), "{tensor}: {reason}");
    }
    Ok(())
}
