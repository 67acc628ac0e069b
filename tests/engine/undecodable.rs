//! A request whose text cannot be decoded fails alone: the others lose nothing, not even their news of that very step.

use crate::abort;
use crate::fixtures;
use crate::golden;
use crate::machines::{Machines, ensure};
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::core::request::FinishReason;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::stream::Output;
use cb_lab::engine::{DeviceEngine, Engine, Update};
use cb_lab::model::ModelFolder;
use cb_lab::text::Tokenizer;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Cases of the fixture whose text comes to hold one of these, with the token that completes it: one in the middle of
/// an output, one at its end.
const TAKEN_BACK: [(usize, &str, usize); 2] = [(0, "lovous", 4), (6, "hoir", 23)];

pub fn trials(machines: &Machines) -> Vec<Trial> {
    machines.cpu("undecodable/the others go on", others_go_on)
}

fn others_go_on() -> Result<(), Failed> {
    let cases = fixtures::golden_cases("smollm2");
    let mut engine = engine_that_takes_text_back()?;
    abort::submit_all(&mut engine, &cases)?;
    let (mut texts, mut outputs, mut failures) = (BTreeMap::<_, String>::new(), Vec::new(), BTreeMap::new());
    while !engine.is_idle() {
        for update in pollster::block_on(engine.step())?.updates {
            match update {
                Update::Token { id, text, .. } => texts.entry(id).or_default().push_str(&text),
                Update::Finished { rest, output } => {
                    texts.entry(output.id).or_default().push_str(&rest);
                    outputs.push(output);
                }
                Update::Failed { output, reason } => {
                    let id = output.id;
                    ensure!(engine.scheduler().get(id).is_none(), "request {id} goes on");
                    failures.insert(id.0 as usize, (output, reason));
                }
                Update::Preempted(_) => {}
            }
        }
        engine.scheduler().check_integrity()?;
    }
    abort::all_blocks_free(&engine)?;
    for output in &outputs {
        golden::compare_one(&cases[output.id.0 as usize], output)?;
        ensure!(texts[&output.id] == output.text, "streamed {:?}, not {:?}", texts[&output.id], output.text);
    }
    ensure!(outputs.len() + TAKEN_BACK.len() == cases.len(), "{} ended by themselves", outputs.len());
    for (case_idx, _, num_tokens) in TAKEN_BACK {
        let (output, reason) = &failures[&case_idx];
        let Output { token_ids, text, finish_reason, .. } = output;
        ensure!(*token_ids == cases[case_idx].token_ids[..num_tokens], "it had {token_ids:?}");
        ensure!(*text == texts[&output.id] && *finish_reason == FinishReason::Error, "{output:?}");
        ensure!(reason.contains("was given out and has become"), "{reason}");
    }

    // The engine is as good as new, and who waits for all at once sees which failed.
    let again = golden::run(&mut engine, &cases)?;
    let failed: Vec<usize> = (0..cases.len()).filter(|&i| again[i].finish_reason == FinishReason::Error).collect();
    ensure!(failed == TAKEN_BACK.map(|(case_idx, ..)| case_idx), "{failed:?} failed");
    Ok(())
}

/// Its tokenizer decodes two tokens together to something else than one after the other.
fn engine_that_takes_text_back() -> Result<DeviceEngine<impl Backend>, Failed> {
    let mut folder = fixtures::load("smollm2");
    let mut json: Value = serde_json::from_slice(&std::fs::read(fixtures::path("smollm2").join("tokenizer.json"))?)?;
    let replace =
        TAKEN_BACK.map(|(_, text, _)| json!({"type": "Replace", "pattern": {"String": text}, "content": "?"}));
    let decoders = [&[json["decoder"].take()], &replace[..]].concat();
    json["decoder"] = json!({"type": "Sequence", "decoders": decoders});
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("tokenizer.json"), serde_json::to_vec(&json)?)?;
    folder.tokenizer = Tokenizer::open(&ModelFolder::open(dir.path())?)?;
    let limits = LimitOptions::default().resolve(&folder.config, CpuBackend::default().max_buffer_words())?;
    Ok(pollster::block_on(Engine::new(CpuBackend::default(), folder, limits))?)
}
