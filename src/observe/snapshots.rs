//! How things stood while each step was computed: queues, token table and pool, worked out from the log.

use super::replay::{Standing, replay};
use super::{BlockTables, Entry, Recording, Row, Step};
use crate::core::request::FinishReason;
use crate::core::skipped::Skipped;
use crate::ids::{BlockId, RequestId};
use std::collections::BTreeMap;

/// How things stood while a step was computed.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot<'a> {
    /// The step.
    pub step: &'a Step,
    /// Who held no blocks, oldest first.
    pub waiting: Vec<RequestId>,
    /// Who held blocks, oldest first. Those that the step ended are among them.
    pub running: Vec<RequestId>,
    /// Who got no row, and why: those that run, then those that wait.
    pub skipped: Vec<(RequestId, Skipped)>,
    /// Who had ended before the step, and why, in that order.
    pub ended: Vec<(RequestId, FinishReason)>,
    /// The token table: a row per token computed, in the order of the batch.
    pub tokens: Vec<TokenRow>,
    /// The blocks of each running request, in logical order.
    pub tables: BlockTables,
}

/// A row of the token table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Whose token it is.
    pub id: RequestId,
    /// Its position in its sequence.
    pub position: usize,
    /// Where its K and V go: block_id * block_size + offset.
    pub slot: usize,
    /// What it is computed for.
    pub kind: TokenKind,
}

/// What a token is computed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// The prompt, for the first time.
    Prefill,
    /// What a preemption took away: tokens that were computed before, and the newest, which comes with the last of them.
    Recomputed,
    /// The next token.
    Decode,
}

impl Snapshot<'_> {
    /// Who holds each block of the pool: as many owners as it has references.
    pub fn owners(&self, num_kv_blocks: usize) -> Vec<Vec<RequestId>> {
        let mut owners = vec![Vec::new(); num_kv_blocks];
        for (&id, blocks) in &self.tables {
            blocks.iter().for_each(|block| owners[block.0 as usize].push(id));
        }
        owners
    }

    /// Tokens computed for something.
    pub fn count(&self, kind: TokenKind) -> usize {
        self.tokens.iter().filter(|token| token.kind == kind).count()
    }
}

impl TokenRow {
    /// Whether the token attends to another one of the same step: the causal mask of the ragged batch.
    pub fn attends_to(&self, key: &Self) -> bool {
        self.id == key.id && key.position <= self.position
    }
}

/// What is known of a request that has not ended.
struct Unfinished {
    prompt_len: usize,
    /// Tokens computed by any step so far.
    num_computed: usize,
}

/// How things stood in each step, in order.
pub fn snapshots(recording: &Recording) -> Vec<Snapshot<'_>> {
    let mut unfinished: BTreeMap<RequestId, Unfinished> = BTreeMap::new();
    let mut ended = Vec::new();
    let mut steps = replay(recording.entries());
    let mut snapshots = Vec::new();
    for entry in recording.entries() {
        match entry {
            Entry::Run(_) => {}
            Entry::Submitted(request) => {
                unfinished.insert(request.id, Unfinished { prompt_len: request.prompt_len, num_computed: 0 });
            }
            Entry::Aborted(aborted) => {
                unfinished.remove(&aborted.id);
                ended.push((aborted.id, FinishReason::Abort));
            }
            Entry::Step(step) => {
                let (_, standing) = steps.next().expect("every step is played");
                let skipped = recording.skipped_in(step, &standing);
                let Standing { waiting, tables, .. } = standing;
                let mut tokens = Vec::new();
                for row in &step.rows {
                    let (Some(request), Some(blocks)) = (unfinished.get_mut(&row.id), tables.get(&row.id)) else {
                        continue;
                    };
                    tokens.extend(token_rows(row, request, blocks, recording.run.config.block_size));
                    request.num_computed = request.num_computed.max(row.context_len + row.query_len);
                }
                let waiting = waiting.into_iter().collect();
                let running = tables.keys().copied().collect();
                snapshots.push(Snapshot { step, waiting, running, skipped, ended: ended.clone(), tokens, tables });
                for finished in &step.finished {
                    unfinished.remove(&finished.id);
                    ended.push((finished.id, finished.reason));
                }
            }
        }
    }
    snapshots
}

fn token_rows(
    row: &Row,
    request: &Unfinished,
    blocks: &[BlockId],
    block_size: usize,
) -> impl Iterator<Item = TokenRow> {
    let positions = row.context_len..row.context_len + row.query_len;
    positions.filter_map(move |position| {
        let slot = blocks.get(position / block_size)?.0 as usize * block_size + position % block_size;
        let kind = if row.is_decode() {
            TokenKind::Decode
        } else if position < request.num_computed || position >= request.prompt_len {
            TokenKind::Recomputed
        } else {
            TokenKind::Prefill
        };
        Some(TokenRow { id: row.id, position, slot, kind })
    })
}
