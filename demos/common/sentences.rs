//! What happened in a step, and why, in sentences. All of it is in the log.

use cb_lab::RequestId;
use cb_lab::observe::snapshots::{Snapshot, TokenKind};
use cb_lab::observe::{Blocks, Entry, Recording};

/// A sentence, and whom it is about.
pub struct Sentence {
    pub id: RequestId,
    pub topic: Topic,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    Came,
    Preempted,
    Computed,
    Ended,
    Skipped,
}

/// What came between two steps: before the first, after each. One more than there are steps.
pub fn between_steps(recording: &Recording) -> Vec<Vec<Sentence>> {
    let mut all = vec![Vec::new()];
    for entry in recording.entries() {
        let now = all.last_mut().expect("there is always a last one");
        match entry {
            Entry::Run(_) => {}
            Entry::Submitted(request) => {
                let wants = tokens(request.max_new_tokens, "");
                let text = format!("came with a prompt of {}, and wants {wants}", tokens(request.prompt_len, ""));
                now.push(Sentence { id: request.id, topic: Topic::Came, text });
            }
            Entry::Aborted(aborted) => {
                let text = format!("was given up{}", gives_back(&aborted.blocks));
                now.push(Sentence { id: aborted.id, topic: Topic::Ended, text });
            }
            Entry::Step(_) => all.push(Vec::new()),
        }
    }
    all
}

/// What happened in a step: to those that lost their blocks, those that computed, those that had no row.
pub fn in_step(snapshot: &Snapshot) -> Vec<Sentence> {
    let step = snapshot.step;
    let mut all = Vec::new();
    for freed in &step.freed {
        let why = if step.outgrown.contains(&freed.id) { ": its K and V are others at this length" } else { "" };
        let text = format!("loses {}{why}", blocks(&freed.blocks));
        all.push(Sentence { id: freed.id, topic: Topic::Preempted, text });
    }
    for row in &step.rows {
        let id = row.id;
        let mine = snapshot.tokens.iter().filter(|token| token.id == id);
        let count = |kind| mine.clone().filter(|token| token.kind == kind).count();
        let last = row.context_len + row.query_len - 1;
        let range = match row.query_len {
            1 => format!("position {last}"),
            _ => format!("positions {} to {last}", row.context_len),
        };
        let mut text = match (count(TokenKind::Decode), count(TokenKind::Recomputed)) {
            (1, _) => format!("decodes: computes its newest token, position {last}"),
            (_, 0) => format!("computes {}, {range}", tokens(row.query_len, "prompt ")),
            _ => format!("computes {} again, {range}", tokens(row.query_len, "")),
        };
        if let Some(Blocks { blocks: taken, .. }) = step.taken.iter().find(|taken| taken.id == id) {
            text += &format!(", takes {}", blocks(taken));
        }
        if let Some(token) = step.tokens.iter().find(|token| token.id == id) {
            text += &format!(", gets {:?}", token.text);
        }
        all.push(Sentence { id, topic: Topic::Computed, text });
        if let Some(finished) = step.finished.iter().find(|finished| finished.id == id) {
            let text = format!("ends ({}){}", finished.reason, gives_back(&finished.blocks));
            all.push(Sentence { id, topic: Topic::Ended, text });
        }
    }
    for (id, why) in &snapshot.skipped {
        all.push(Sentence { id: *id, topic: Topic::Skipped, text: format!("has no row: {why}") });
    }
    all
}

fn tokens(count: usize, kind: &str) -> String {
    format!("{count} {kind}token{}", if count == 1 { "" } else { "s" })
}

fn blocks(blocks: &[cb_lab::BlockId]) -> String {
    let ids: Vec<String> = blocks.iter().map(ToString::to_string).collect();
    format!("block{} {}", if ids.len() == 1 { "" } else { "s" }, ids.join(", "))
}

fn gives_back(given: &[cb_lab::BlockId]) -> String {
    if given.is_empty() { String::new() } else { format!(" and gives back {}", blocks(given)) }
}
