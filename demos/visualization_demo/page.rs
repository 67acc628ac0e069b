//! The page that plays a run: facts as JSON, and a program that draws them. It needs nothing else.

use crate::palette::COLOURS;
use crate::sentences::{Sentence, Topic, between_steps, in_step};
use crate::svg::{escape, limits};
use cb_lab::RequestId;
use cb_lab::core::request::FinishReason;
use cb_lab::observe::Recording;
use cb_lab::observe::page::{SCRIPT, STYLE};
use cb_lab::observe::snapshots::{Snapshot, TokenKind};
use cb_lab::observe::views::{Cell, timeline};
use serde::Serialize;
use std::collections::BTreeSet;

/// What the page knows of a run.
#[derive(Serialize)]
struct Facts {
    block_size: usize,
    num_kv_blocks: usize,
    max_tokens_per_step: usize,
    /// Those that are held at some time: of a large pool most are not.
    blocks: Vec<usize>,
    requests: Vec<Request>,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Request {
    id: RequestId,
    prompt_len: usize,
    max_new_tokens: usize,
    /// A letter a step: see [`letter`].
    lane: String,
}

#[derive(Serialize)]
struct Step {
    waiting: Vec<RequestId>,
    running: Vec<RequestId>,
    ended: Vec<(RequestId, FinishReason)>,
    news: Vec<(RequestId, Topic, String)>,
    /// Request, position, slot, and what for.
    tokens: Vec<(RequestId, usize, usize, TokenKind)>,
    /// Of each of these: tokens that its request has in the cache.
    cached: Vec<usize>,
    /// Held blocks, and by whom.
    owners: Vec<(usize, Vec<RequestId>)>,
    text: Vec<(RequestId, String)>,
}

pub fn draw(recording: &Recording, snapshots: &[Snapshot]) -> String {
    let facts = serde_json::to_string(&facts(recording, snapshots)).expect("facts have string keys");
    let colours = COLOURS.iter().enumerate();
    let colours = colours.map(|(idx, c)| format!(".r{idx} {{ --fill: {}; --ink: {} }}\n", c.fill, c.ink));
    let style = include_str!("page.css").to_owned() + STYLE + &colours.collect::<String>();
    let page = include_str!("page.html")
        .replace("{style}", &style)
        .replace("{limits}", &escape(&limits(recording)))
        .replace("{model}", &escape(&recording.run.model))
        .replace("{script}", &(SCRIPT.to_owned() + include_str!("page.js")));
    // Last, so that nothing is replaced inside. `<` would end the element that holds it.
    page.replace("{facts}", &facts.replace('<', "\\u003c"))
}

fn facts(recording: &Recording, snapshots: &[Snapshot]) -> Facts {
    let limits = &recording.run.config;
    let requests = timeline(recording).into_iter().map(|lane| Request {
        id: lane.request.id,
        prompt_len: lane.request.prompt_len,
        max_new_tokens: lane.request.max_new_tokens,
        lane: lane.cells.iter().map(letter).collect(),
    });
    let blocks: BTreeSet<usize> =
        snapshots.iter().flat_map(|snapshot| held(snapshot, limits.num_kv_blocks)).map(|(block, _)| block).collect();
    let steps = snapshots.iter().zip(between_steps(recording)).map(|(snapshot, before)| Step {
        waiting: snapshot.waiting.clone(),
        running: snapshot.running.clone(),
        ended: snapshot.ended.clone(),
        news: before
            .into_iter()
            .chain(in_step(snapshot))
            .map(|Sentence { id, topic, text }| (id, topic, text))
            .collect(),
        tokens: snapshot.tokens.iter().map(|token| (token.id, token.position, token.slot, token.kind)).collect(),
        cached: snapshot.step.rows.iter().flat_map(|row| vec![row.context_len; row.query_len]).collect(),
        owners: held(snapshot, limits.num_kv_blocks),
        text: text(snapshot),
    });
    Facts {
        block_size: limits.block_size,
        num_kv_blocks: limits.num_kv_blocks,
        max_tokens_per_step: limits.max_tokens_per_step,
        blocks: blocks.into_iter().collect(),
        requests: requests.collect(),
        steps: steps.collect(),
    }
}

fn held(snapshot: &Snapshot, num_kv_blocks: usize) -> Vec<(usize, Vec<RequestId>)> {
    let owners = snapshot.owners(num_kv_blocks).into_iter().enumerate();
    owners.filter(|(_, owners)| !owners.is_empty()).collect()
}

fn text(snapshot: &Snapshot) -> Vec<(RequestId, String)> {
    let tokens = snapshot.step.tokens.iter().map(|token| (token.id, token.text.clone()));
    let rests = snapshot.step.finished.iter().map(|finished| (finished.id, finished.rest.clone()));
    tokens.chain(rests).filter(|(_, text)| !text.is_empty()).collect()
}

fn letter(cell: &Cell) -> char {
    match cell {
        Cell::NotYet | Cell::Finished => ' ',
        Cell::Waiting => 'w',
        Cell::Preempted => 'x',
        Cell::Idle => 'i',
        Cell::Prefill(_) => 'p',
        Cell::Decode => 'd',
    }
}
