//! A request ends at a stop text, at each of the model's end tokens, or never before its length.

use crate::fixtures::{self, GoldenCase};
use crate::machines::{Machines, ensure};
use crate::streaming::{self, Streamed};
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::core::request::{FinishReason, SamplingParams};
use cb_lab::engine::limits::LimitOptions;
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = Vec::new();
    for name in fixtures::NAMES {
        trials.extend(machines.cpu(&format!("stopping/{name} at a stop text"), move || stop_texts(name)));
        trials.extend(machines.cpu(&format!("stopping/{name} at its end tokens"), move || end_tokens(name)));
    }
    trials.extend(machines.cpu("stopping/llama after bytes", stop_text_of_bytes));
    trials
}

/// A sentencepiece byte token is text once its run has ended: a stop text in it is found a token later, and the bytes
/// stay in `token_ids`.
fn stop_text_of_bytes() -> Result<(), Failed> {
    let cases = fixtures::golden_cases("llama");
    let tokenizer = fixtures::load("llama").tokenizer;
    let mut engine = fixtures::engine("llama", CpuBackend::default(), &LimitOptions::default());
    let plain: Vec<_> = cases.iter().map(|case| (case, case.params())).collect();
    let mut requests = Vec::new();
    for (case, streamed) in cases.iter().zip(streaming::run(&mut engine, &plain)?) {
        // The first piece of text, where bytes came before it.
        let Some(num_held) = streamed.tokens.iter().position(|(_, text)| !text.is_empty()) else { continue };
        let held = &streamed.output.token_ids[..num_held];
        if num_held > 0 && held.iter().all(|&id| tokenizer.is_byte(id)) {
            let stop = streamed.tokens[num_held].1.chars().take(1).collect();
            requests.push((case, SamplingParams { stop: vec![stop], ..case.params() }, held.to_vec()));
        }
    }
    ensure!(requests.len() > 2, "only {} outputs begin with bytes", requests.len());
    let wanted: Vec<_> = requests.iter().map(|(case, params, _)| (*case, params.clone())).collect();
    for (streamed, (case, _, held)) in streaming::run(&mut engine, &wanted)?.iter().zip(&requests) {
        let output = &streamed.output;
        ensure!(output.text.is_empty() && output.token_ids == *held, "{}: {output:?}, held {held:?}", case.name);
        ensure!(output.finish_reason == FinishReason::Stop, "{}: {output:?}", case.name);
    }
    Ok(())
}

/// Stop texts from the middle of what transformers generated: inside a token, over two tokens, over three.
fn stop_texts(name: &str) -> Result<(), Failed> {
    let cases = fixtures::golden_cases(name);
    let mut engine = fixtures::engine(name, CpuBackend::default(), &LimitOptions::default());
    let plain: Vec<_> = cases.iter().map(|case| (case, case.params())).collect();
    let unstopped = streaming::run(&mut engine, &plain)?;

    let mut requests = Vec::new();
    let mut expected = Vec::new();
    for (case, streamed) in cases.iter().zip(&unstopped) {
        for stop in stops(streamed) {
            let left = Expected::new(streamed, &stop);
            // Also where the token that completes the stop text is the last one anyway.
            for max_new_tokens in [case.params().max_new_tokens, left.token_ids.len() + 1] {
                let stop = vec!["never in the text".to_string(), stop.clone()];
                requests.push((case, SamplingParams { stop, max_new_tokens, ..case.params() }));
            }
            expected.push(left);
        }
    }
    ensure!(expected.len() >= 40, "only {} stop texts could be tried", expected.len());
    let over_tokens = expected.iter().filter(|expected| expected.over_tokens).count();
    ensure!(over_tokens >= 10, "only {over_tokens} stop texts go over several tokens");
    let stopped = streaming::run(&mut engine, &requests)?;
    for (i, (streamed, (case, params))) in stopped.iter().zip(&requests).enumerate() {
        expected[i / 2].check(streamed).map_err(|message| format!("{}, {:?}: {message}", case.name, params.stop))?;
    }
    Ok(())
}

/// Stop texts out of a stream: the text of a token; from the last character of a token to the first of the next, or of
/// the one after that.
fn stops(streamed: &Streamed) -> Vec<String> {
    let pieces: Vec<&str> =
        streamed.tokens.iter().map(|(_, text)| text.as_str()).filter(|text| !text.is_empty()).collect();
    let mut stops: Vec<String> = pieces.iter().step_by(5).map(ToString::to_string).collect();
    for num_pieces in [2, 3] {
        for window in pieces.windows(num_pieces).step_by(4) {
            let (text, first, last) = (window.concat(), window[0], window[num_pieces - 1]);
            let start = first.char_indices().next_back().map_or(0, |(start, _)| start);
            let end = text.len() - last.len() + last.chars().next().map_or(0, char::len_utf8);
            stops.push(text[start..end].to_string());
        }
    }
    stops
}

/// What is left of an unstopped stream.
struct Expected {
    token_ids: Vec<u32>,
    text: String,
    stop: String,
    over_tokens: bool,
}

impl Expected {
    fn new(unstopped: &Streamed, stop: &str) -> Self {
        let mut text = String::new();
        for (num_tokens, (_, new)) in unstopped.tokens.iter().enumerate() {
            text.push_str(new);
            if let Some(at) = text.find(stop) {
                let over_tokens = at + new.len() < text.len();
                text.truncate(at);
                let token_ids = unstopped.output.token_ids[..num_tokens].to_vec();
                return Self { token_ids, text, stop: stop.to_string(), over_tokens };
            }
        }
        unreachable!("the stop text is part of the text")
    }

    fn check(&self, streamed: &Streamed) -> Result<(), String> {
        let output = &streamed.output;
        let same = output.text == self.text
            && streamed.text() == self.text
            && output.token_ids == self.token_ids
            && output.logprobs.len() == self.token_ids.len()
            && output.finish_reason == FinishReason::Stop
            && !streamed.text().contains(&self.stop);
        if same { Ok(()) } else { Err(format!("{streamed:?}, expected {:?} of {:?}", self.text, self.token_ids)) }
    }
}

/// Hot requests run into every end token, and stop there unless they ignore them.
fn end_tokens(name: &str) -> Result<(), Failed> {
    let eos_token_ids = fixtures::load(name).config.eos_token_ids;
    let cases = fixtures::golden_cases(name);
    let mut engine = fixtures::engine(name, CpuBackend::default(), &LimitOptions::default());
    let hot = |seed: u64, ignore_eos| -> (&GoldenCase, SamplingParams) {
        let params = SamplingParams { temperature: 1e3, seed, ignore_eos, max_new_tokens: 40, ..Default::default() };
        (&cases[seed as usize % 4], params)
    };
    let ignoring: Vec<_> = (0..64).map(|seed| hot(seed, true)).collect();
    let heeding: Vec<_> = (0..64).map(|seed| hot(seed, false)).collect();
    let mut met = Vec::new();
    for (ignoring, heeding) in
        streaming::run(&mut engine, &ignoring)?.iter().zip(streaming::run(&mut engine, &heeding)?)
    {
        let (all, output) = (&ignoring.output, &heeding.output);
        ensure!(
            all.token_ids.len() == 40 && all.finish_reason == FinishReason::Length,
            "ignored an end token and ended"
        );
        let end = all.token_ids.iter().position(|token_id| eos_token_ids.contains(token_id));
        met.extend(end.map(|end| all.token_ids[end]));
        let reason = if end.is_some() { FinishReason::Stop } else { FinishReason::Length };
        let expected = &all.token_ids[..end.unwrap_or(40)];
        ensure!(output.token_ids == expected, "tokens {:?}, not {expected:?}", output.token_ids);
        ensure!(output.finish_reason == reason, "ended by {:?}, not {reason:?}", output.finish_reason);
        ensure!(heeding.text() == output.text, "streamed {:?}, in the end {:?}", heeding.text(), output.text);
    }
    for eos in eos_token_ids {
        ensure!(met.contains(&eos), "nobody ran into end token {eos}");
    }
    Ok(())
}
