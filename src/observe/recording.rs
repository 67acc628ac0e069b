//! A log read back, and checked: whoever reads a [`Recording`] can rely on what its lines say of each other.

use super::replay::{BlockTables, Standing, replay};
use super::{Aborted, Blocks, Entry, QueueHead, Run, Step, Submitted, VERSION};
use crate::config::EngineConfig;
use crate::core::skipped::{Skipped, why_waits};
use crate::error::{Error, Result};
use crate::ids::{BlockId, RequestId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// What the run was.
    pub run: Run,
    /// What happened, in order.
    entries: Vec<Entry>,
}

impl Recording {
    /// A run of which nothing happened yet.
    pub fn new(run: Run) -> Self {
        Self { run, entries: Vec::new() }
    }

    /// Adds what happened next.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// What happened, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.entries.iter().filter_map(|entry| if let Entry::Step(step) = entry { Some(step) } else { None })
    }

    /// The requests, in the order they came.
    pub fn requests(&self) -> impl Iterator<Item = &Submitted> {
        self.entries.iter().filter_map(|entry| if let Entry::Submitted(came) = entry { Some(came) } else { None })
    }

    /// The block tables while each step was computed.
    pub fn block_tables(&self) -> Vec<BlockTables> {
        replay(&self.entries).map(|(_, standing)| standing.tables).collect()
    }

    /// Who got no row in each step, and why: those that run, then those that wait, each oldest first.
    pub fn skipped(&self) -> Vec<Vec<(RequestId, Skipped)>> {
        replay(&self.entries).map(|(step, standing)| self.skipped_in(step, &standing)).collect()
    }

    pub(super) fn skipped_in(&self, step: &Step, standing: &Standing) -> Vec<(RequestId, Skipped)> {
        let max_tokens_per_step = self.run.config.max_tokens_per_step;
        let left_out = step.left_out.iter().map(|&id| (id, Skipped::BudgetUsedUp { max_tokens_per_step }));
        let why = |id: RequestId| {
            let preemption = step.preempted.iter().find(|preemption| preemption.victim == id);
            match (preemption.and_then(|preemption| preemption.needer), standing.queue) {
                (Some(needer), _) => Some(Skipped::Preempted { needer }),
                (None, Some(QueueHead { first, why })) => why_waits(why, Some(first), id),
                (None, None) => None,
            }
        };
        left_out.chain(standing.waiting.iter().filter_map(|&id| Some((id, why(id)?)))).collect()
    }

    /// The log: one JSON object a line.
    pub fn to_jsonl(&self) -> String {
        let lines = std::iter::once(Entry::Run(self.run.clone()).to_json());
        lines.chain(self.entries.iter().map(Entry::to_json)).map(|line| line + "\n").collect()
    }

    /// Reads a log file.
    ///
    /// # Errors
    /// [`Error::ReadFile`], or [`Error::InvalidFile`] with the line that is wrong.
    pub fn load(path: &Path) -> Result<Self> {
        let jsonl = std::fs::read_to_string(path).map_err(|source| Error::ReadFile { path: path.into(), source })?;
        Self::parse(&jsonl).map_err(|reason| Error::InvalidFile { path: path.into(), reason })
    }

    /// Reads a log, and checks that its lines fit each other.
    ///
    /// # Errors
    /// A sentence about the first line that is wrong.
    pub fn parse(jsonl: &str) -> Result<Self, String> {
        let mut lines = (1..).zip(jsonl.lines()).filter(|(_, line)| !line.trim().is_empty());
        let read = |(number, line): (usize, &str)| match serde_json::from_str::<Entry>(line) {
            Ok(entry) => Ok((number, entry)),
            Err(error) => Err(format!("line {number}: {error}")),
        };
        let (number, first) = read(lines.next().ok_or("the log is empty")?)?;
        let Entry::Run(run) = first else { return Err(format!("line {number}: the first line must be of event run")) };
        if run.version != VERSION {
            return Err(format!("line {number}: the log has version {}, readable is {VERSION}", run.version));
        }
        run.config.validate().map_err(|error| format!("line {number}: {error}"))?;
        let mut checker = Checker::new(&run);
        let mut recording = Self::new(run);
        for line in lines {
            let (number, entry) = read(line)?;
            checker.check(&entry).map_err(|what| format!("line {number}: {what}"))?;
            recording.push(entry);
        }
        Ok(recording)
    }
}

/// Plays a log through and stops where it does not add up.
struct Checker {
    config: EngineConfig,
    last_step: u64,
    queue: Option<QueueHead>,
    /// Requests that came, ended ones included.
    known: BTreeSet<RequestId>,
    unfinished: BTreeSet<RequestId>,
    tables: BlockTables,
    /// Tables that refer to each block that is held.
    ref_counts: BTreeMap<BlockId, usize>,
}

impl Checker {
    fn new(run: &Run) -> Self {
        Self {
            config: run.config.clone(),
            last_step: 0,
            queue: None,
            known: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            tables: BlockTables::new(),
            ref_counts: BTreeMap::new(),
        }
    }

    fn check(&mut self, entry: &Entry) -> Result<(), String> {
        match entry {
            Entry::Run(_) => Err("a second run begins".into()),
            Entry::Submitted(Submitted { id, .. }) => {
                self.unfinished.insert(*id);
                if self.known.insert(*id) { Ok(()) } else { Err(format!("request {id} was submitted before")) }
            }
            Entry::Step(step) => self.check_step(step),
            Entry::Aborted(Aborted { id, blocks, .. }) => self.end(*id, blocks),
        }
    }

    fn check_step(&mut self, step: &Step) -> Result<(), String> {
        if step.step <= self.last_step {
            return Err(format!("step {} after step {}", step.step, self.last_step));
        }
        self.last_step = step.step;
        let ids = step.rows.iter().map(|row| row.id).chain(step.left_out.iter().copied());
        let mut seen = BTreeSet::new();
        for id in ids {
            self.check_unfinished(id)?;
            if !seen.insert(id) {
                return Err(format!("request {id} has two rows, or a row and a reason why it has none"));
            }
        }
        let num_tokens = step.rows.iter().fold(0, |sum: usize, row| sum.saturating_add(row.query_len));
        if num_tokens > self.config.max_tokens_per_step {
            return Err(format!("{num_tokens} rows, the budget is {}", self.config.max_tokens_per_step));
        }
        for Blocks { id, blocks } in &step.freed {
            self.give_back(*id, blocks)?;
            if !step.lost_blocks(*id) {
                return Err(format!("request {id} gives blocks back, and was not preempted"));
            }
        }
        for Blocks { id, blocks } in &step.taken {
            self.take(*id, blocks)?;
        }
        for row in &step.rows {
            let num_slots = self.tables.get(&row.id).map_or(0, Vec::len) * self.config.block_size;
            if row.context_len.saturating_add(row.query_len) > num_slots {
                return Err(format!("request {} has a row and no blocks for it", row.id));
            }
        }
        self.queue = step.queue.unwrap_or(self.queue);
        if let Some(QueueHead { first, .. }) = self.queue {
            self.check_unfinished(first)?;
            if self.tables.contains_key(&first) {
                return Err(format!("request {first} is first in the queue and holds blocks"));
            }
        }
        let num_free = self.config.num_kv_blocks - self.ref_counts.len();
        if num_free != step.free_blocks {
            return Err(format!("free_blocks is {}, and {num_free} are free", step.free_blocks));
        }
        for token in &step.tokens {
            if !step.rows.iter().any(|row| row.id == token.id && row.samples) {
                return Err(format!("request {} gets a token and has no row that samples", token.id));
            }
        }
        step.finished.iter().try_for_each(|finished| self.end(finished.id, &finished.blocks))
    }

    fn check_unfinished(&self, id: RequestId) -> Result<(), String> {
        if self.unfinished.contains(&id) { Ok(()) } else { Err(format!("request {id} is unknown or has ended")) }
    }

    fn end(&mut self, id: RequestId, blocks: &[BlockId]) -> Result<(), String> {
        self.check_unfinished(id)?;
        self.unfinished.remove(&id);
        self.give_back(id, blocks)
    }

    fn take(&mut self, id: RequestId, blocks: &[BlockId]) -> Result<(), String> {
        self.check_unfinished(id)?;
        for block in blocks {
            if block.0 as usize >= self.config.num_kv_blocks {
                return Err(format!("block {block} is not in a pool of {}", self.config.num_kv_blocks));
            }
            if self.tables.get(&id).is_some_and(|held| held.contains(block)) {
                return Err(format!("request {id} takes block {block}, which it holds already"));
            }
            *self.ref_counts.entry(*block).or_default() += 1;
            self.tables.entry(id).or_default().push(*block);
        }
        Ok(())
    }

    fn give_back(&mut self, id: RequestId, blocks: &[BlockId]) -> Result<(), String> {
        let held = self.tables.remove(&id).unwrap_or_default();
        if held != blocks {
            return Err(format!(
                "request {id} gives back {} blocks, and not the {} it holds",
                blocks.len(),
                held.len()
            ));
        }
        for block in blocks {
            let count = self.ref_counts.get_mut(block).ok_or_else(|| format!("block {block} is free"))?;
            *count -= 1;
            if *count == 0 {
                self.ref_counts.remove(block);
            }
        }
        Ok(())
    }
}
