//! The pieces of text that come with the tokens make up the whole text, also where tokens are bytes of no character.

use crate::fixtures::{self, GoldenCase};
use crate::machines::{Machines, ensure};
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::stream::Output;
use cb_lab::engine::{DeviceEngine, Update};
use cb_lab::{TokenId, Tokenizer};
use libtest_mimic::{Failed, Trial};
use std::collections::BTreeMap;

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let names = fixtures::NAMES.into_iter();
    names.flat_map(|name| machines.cpu(&format!("streaming/{name}"), move || whole_text(name))).collect()
}

/// What came of one request: each token with its text, the rest, and the output.
#[derive(Debug)]
pub struct Streamed {
    pub tokens: Vec<(u32, String)>,
    pub rest: String,
    pub output: Output,
}

impl Streamed {
    /// All text that was given out.
    pub fn text(&self) -> String {
        self.tokens.iter().map(|(_, text)| text.as_str()).collect::<String>() + &self.rest
    }
}

/// Runs requests and collects what each was told.
pub fn run<B: Backend>(
    engine: &mut DeviceEngine<B>,
    requests: &[(&GoldenCase, SamplingParams)],
) -> Result<Vec<Streamed>, Failed> {
    let mut tokens: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (case, params) in requests {
        tokens.insert(engine.submit(case.prompt_token_ids.clone(), params.clone())?, Vec::new());
    }
    let mut ended = BTreeMap::new();
    while !engine.is_idle() {
        for update in pollster::block_on(engine.step())?.updates {
            match update {
                Update::Token { id, token_id, text } => {
                    tokens.get_mut(&id).ok_or("an unknown or ended request got a token")?.push((token_id, text));
                }
                Update::Finished { rest, output } => {
                    let tokens = tokens.remove(&output.id).ok_or("a request ended twice")?;
                    ended.insert(output.id, Streamed { tokens, rest, output });
                }
                Update::Failed { reason, .. } => return Err(reason.into()),
                Update::Preempted(_) => {}
            }
        }
    }
    ensure!(tokens.is_empty(), "requests {:?} never ended", tokens.keys());
    Ok(ended.into_values().collect())
}

fn whole_text(name: &str) -> Result<(), Failed> {
    let cases = fixtures::golden_cases(name);
    let sampled = |seed| SamplingParams { temperature: 5.0, seed, max_new_tokens: 60, ..Default::default() };
    let requests: Vec<_> = cases.iter().map(|case| (case, case.params())).collect();
    let wild: Vec<_> = (0..12).map(|seed| (&cases[2], SamplingParams { ignore_eos: true, ..sampled(seed) })).collect();
    // Stop texts that begin like much of the text and never end hold text back, and give it all out again.
    let stops = ["\u{FFFD}zebra", " zebra", "ezebra", "\u{FFFD}\u{FFFD}\u{FFFD}zebra"].map(String::from).to_vec();
    let held = |(case, params): &(_, SamplingParams)| (*case, SamplingParams { stop: stops.clone(), ..params.clone() });
    let holding: Vec<_> = requests.iter().chain(&wild).map(held).collect();

    let mut engine = fixtures::engine(name, CpuBackend::default(), &LimitOptions::default());
    let submitted = [requests, wild].concat();
    let plain = run(&mut engine, &submitted)?;
    let tokenizer = fixtures::load(name).tokenizer;
    let mut num_invalid = 0;
    for ((case, _), streamed) in submitted.iter().zip(&plain) {
        let output = &streamed.output;
        let token_ids: Vec<u32> = streamed.tokens.iter().map(|&(token_id, _)| token_id).collect();
        ensure!(token_ids == output.token_ids, "streamed {token_ids:?}, in the end {:?}", output.token_ids);
        ensure!(streamed.text() == output.text, "streamed {:?}, in the end {:?}", streamed.text(), output.text);
        let prompt = whole_characters(&tokenizer, &case.prompt_token_ids)?;
        let decoded = tokenizer.decode(&[prompt.clone(), token_ids].concat())?;
        let decoded = decoded.strip_prefix(&tokenizer.decode(&prompt)?).ok_or("the prompt's text has changed")?;
        ensure!(output.text == decoded, "text {:?}, decoded at once {decoded:?}", output.text);
        num_invalid += usize::from(output.text.contains('\u{FFFD}'));
    }
    ensure!(num_invalid > 12, "only {num_invalid} texts hold bytes that are no UTF-8");

    let mut num_held = 0;
    for (plain, holding) in plain.iter().zip(run(&mut engine, &holding)?) {
        ensure!(holding.output.text == plain.output.text, "holding: {:?}, not {:?}", holding.output, plain.output);
        ensure!(holding.text() == plain.text(), "holding streamed {:?}, not {:?}", holding.text(), plain.text());
        num_held += usize::from(holding.tokens != plain.tokens);
    }
    ensure!(num_held > 0, "no text was ever held back");
    Ok(())
}

/// A prompt up to its last whole character. An output goes on with its text, but not amid a character.
fn whole_characters(tokenizer: &Tokenizer, prompt: &[TokenId]) -> Result<Vec<TokenId>, Failed> {
    let mut prompt = prompt.to_vec();
    while prompt.last().is_some_and(|&id| tokenizer.is_byte(id) || !tokenizer.is_visible(id)) {
        prompt.pop();
    }
    while tokenizer.decode(&prompt)?.ends_with('\u{FFFD}') {
        prompt.pop();
    }
    Ok(prompt)
}
