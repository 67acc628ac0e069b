//! Where each request stands in a step, and why. All of it is in the recorded run.

use crate::sentences::in_step;
use cb_lab::RequestId;
use cb_lab::core::request::FinishReason;
use cb_lab::observe::snapshots::{Snapshot, TokenKind};
use cb_lab::observe::{Entry, Recording, Submitted};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It comes when so many steps are done.
    NotYet(usize),
    Waiting,
    Running,
    /// When so many steps were done, and why.
    Ended(usize, FinishReason),
}

/// A request in the shown step.
pub struct Stand {
    pub request: Submitted,
    pub standing: Standing,
    /// What the step computes for it.
    pub computes: String,
    /// Its tokens in the cache before the step, if it has a row.
    pub cached: Option<usize>,
    /// What it has got, this step included.
    pub text: String,
    /// Why it has a row, or none.
    pub why: String,
}

/// All requests of the run, in the order they come. `snapshot` is of step `step`, which counts from 1.
pub fn stands(recording: &Recording, snapshot: Option<&Snapshot>, step: usize) -> Vec<Stand> {
    let mut all: Vec<Stand> = Vec::new();
    let mut num_steps = 0;
    let sentences = snapshot.map(in_step).unwrap_or_default();
    for entry in recording.entries() {
        match entry {
            Entry::Run(_) => {}
            Entry::Submitted(request) => all.push(Stand {
                request: request.clone(),
                standing: if num_steps < step.max(1) { Standing::Waiting } else { Standing::NotYet(num_steps) },
                computes: String::new(),
                cached: None,
                text: String::new(),
                why: String::new(),
            }),
            Entry::Step(done) => {
                num_steps += 1;
                for stand in all.iter_mut().filter(|_| num_steps <= step) {
                    let id = stand.request.id;
                    let tokens = done.tokens.iter().filter(|token| token.id == id);
                    tokens.for_each(|token| stand.text += &token.text);
                    if let Some(finished) = done.finished.iter().find(|finished| finished.id == id) {
                        stand.text += &finished.rest;
                        // In the step that ends it, it still runs.
                        if num_steps < step {
                            stand.standing = Standing::Ended(num_steps, finished.reason);
                        }
                    }
                }
            }
            Entry::Aborted(aborted) => {
                if let Some(stand) = all.iter_mut().find(|stand| stand.request.id == aborted.id && num_steps < step) {
                    stand.standing = Standing::Ended(num_steps, FinishReason::Abort);
                }
            }
        }
    }
    for stand in &mut all {
        let id = stand.request.id;
        if let Some(snapshot) = snapshot {
            if snapshot.running.contains(&id) {
                stand.standing = Standing::Running;
            }
            stand.cached = snapshot.step.rows.iter().find(|row| row.id == id).map(|row| row.context_len);
            stand.computes = computes(snapshot, id);
        }
        let mine = sentences.iter().filter(|sentence| sentence.id == id).map(|sentence| sentence.text.as_str());
        stand.why = why(stand.standing, &mine.collect::<Vec<_>>().join("; "));
    }
    all
}

fn computes(snapshot: &Snapshot, id: RequestId) -> String {
    let count = |kind| snapshot.tokens.iter().filter(|token| token.id == id && token.kind == kind).count();
    match [TokenKind::Decode, TokenKind::Prefill, TokenKind::Recomputed].map(count) {
        [0, 0, 0] => String::new(),
        [_, 0, 0] => "decodes".into(),
        [_, prefill, 0] => format!("{prefill} prompt"),
        [_, prefill, again] => format!("{} again", prefill + again),
    }
}

fn why(standing: Standing, sentences: &str) -> String {
    match standing {
        _ if !sentences.is_empty() => sentences.into(),
        Standing::NotYet(num_steps) => format!("comes after step {num_steps}"),
        Standing::Ended(num_steps, FinishReason::Abort) => format!("was given up after step {num_steps}"),
        Standing::Ended(num_steps, reason) => format!("ended with step {num_steps} ({reason})"),
        Standing::Waiting | Standing::Running => "has no row".into(),
    }
}
