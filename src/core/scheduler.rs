//! Which sequences compute how many tokens in the next step.
//!
//! ```text
//!            submit               schedule                    commit
//! Request ─────────▶ waiting ─────────────────▶ running ─────────────────▶ finished
//!                       ▲      takes blocks        │      frees blocks
//!                       └──────────────────────────┘
//!                  schedule, for an older sequence: frees blocks
//!                  commit, for one that is to be computed again (recompute_past): the same
//! ```

mod ahead;
mod blocks;
mod commit;
mod schedule;

use std::collections::{BTreeMap, VecDeque};

use crate::config::EngineConfig;
use crate::core::kv_cache::BlockAllocator;
use crate::core::request::{FinishReason, Request, check_request};
use crate::core::sequence::{SeqIdx, Sequence, Slab};
use crate::core::step_plan::{BlockChange, Event, Preemption, StepPlan};
use crate::error::{Error, Result};
use crate::ids::RequestId;

/// The longest queue. Who submits faster than an engine computes is told so before memory runs out.
const MOST_WAITING: usize = 1 << 20;

/// Every request that has not ended, and the pool of blocks they share.
///
/// After each [`schedule`](Self::schedule) the plan is executed and then [committed](Self::commit). If execution fails
/// the plan is dropped instead and the next `schedule` plans the same tokens again; the next commit tells of its
/// preemptions, too. While a plan is executed [`schedule_ahead`](Self::schedule_ahead) may plan the step after it.
#[derive(Debug)]
pub struct Scheduler {
    config: EngineConfig,
    /// See [`Scheduler::recomputing_past`].
    recompute_past: Option<usize>,
    allocator: BlockAllocator,
    sequences: Slab,
    /// Oldest first, like `running`: a preempted sequence finds back to its old place.
    waiting: BTreeMap<RequestId, SeqIdx>,
    running: BTreeMap<RequestId, SeqIdx>,
    /// Steps scheduled.
    step: u64,
    /// The steps whose plans may be committed, in this order: one, or two while one is planned ahead.
    in_flight: VecDeque<u64>,
    /// Who lost their blocks since the last commit.
    unreported: Vec<Preemption>,
    /// Blocks that changed hands in plans that are not committed, with the step of the plan.
    unreported_blocks: Vec<(u64, BlockChange)>,
    /// Working memory of `schedule`, kept so that it is allocated once: what ran before the step.
    oldest_first: Vec<SeqIdx>,
}

impl Scheduler {
    /// A scheduler without requests, all of its blocks free.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if a limit cannot work.
    pub fn new(config: EngineConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            allocator: BlockAllocator::new(config.num_kv_blocks),
            config,
            recompute_past: None,
            sequences: Slab::default(),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            step: 0,
            in_flight: VecDeque::with_capacity(2),
            unreported: Vec::new(),
            unreported_blocks: Vec::new(),
            oldest_first: Vec::new(),
        })
    }

    /// The same for a model whose K and V are others in sequences of more tokens than `longest`: which of the two a
    /// sequence has follows from its number of tokens, and is part of what identifies its blocks. One that grows past
    /// `longest` gives its blocks back when its token is committed, and is computed again from the start. Until it is
    /// admitted again younger ones may run.
    #[must_use]
    pub fn recomputing_past(self, longest: Option<usize>) -> Self {
        Self { recompute_past: longest, ..self }
    }

    /// The length after which a sequence is computed again, if there is one.
    pub fn recompute_past(&self) -> Option<usize> {
        self.recompute_past
    }

    /// Puts a request in the queue, at the place its id gives it. Once accepted it will finish: it fits the pool alone.
    ///
    /// # Errors
    /// [`Error::RequestRefused`] with the figures if it could never finish, if its id is in use, or if the queue is full;
    /// [`Error::InvalidOption`] if a sampling parameter cannot work.
    pub fn submit(&mut self, request: Request) -> Result<()> {
        let id = request.id;
        if self.get(id).is_some() {
            return Err(Error::RequestRefused(format!("id {id} belongs to a request that has not finished")));
        }
        // Which model computes it, and what that was made for, is not known here.
        check_request(&self.config, usize::MAX, request.prompt_token_ids.len(), &request.params)?;
        if self.waiting.len() >= MOST_WAITING {
            return Err(Error::RequestRefused(format!(
                "{MOST_WAITING} requests wait already, as many as may: submit it again when some have ended"
            )));
        }
        let idx = self.sequences.insert(Sequence::new(request));
        self.waiting.insert(id, idx);
        Ok(())
    }

    /// Gives a request up and frees its blocks at once, also while steps are in flight: only a later plan can hand them
    /// out, a device executes steps in the order of their plans, and what those in flight still write is overwritten
    /// before a later one reads it. `None` if there is no such request.
    pub fn abort(&mut self, id: RequestId) -> Option<Event> {
        self.finish(id, FinishReason::Abort)
    }

    /// Ends a request for a reason the scheduler cannot see, such as a stop text. `None` if there is no such request.
    pub fn finish(&mut self, id: RequestId, reason: FinishReason) -> Option<Event> {
        let idx = self.waiting.remove(&id).or_else(|| self.running.remove(&id))?;
        let mut sequence = self.sequences.remove(idx)?;
        self.unreported.retain(|preemption| preemption.victim != id);
        sequence.block_table.release(&mut self.allocator);
        Some(Event::Finished { id, reason })
    }

    /// Takes the blocks of all that run, since what is in them is lost, and drops all plans in flight. Everybody waits, keeps
    /// its output, and is computed again. The next commit tells of it.
    pub fn preempt_all(&mut self) {
        self.in_flight.clear();
        while let Some((id, _)) = self.running.last_key_value() {
            let id = *id;
            let mut changes = Vec::new();
            self.preempt_youngest(&mut changes);
            self.unreported.push(Preemption { victim: id, needer: None });
            self.unreported_blocks.extend(changes.into_iter().map(|change| (self.step, change)));
        }
        self.debug_check_integrity();
    }

    /// Whether a plan is the next to be committed, and some of its requests have not ended since it was made.
    pub fn is_next(&self, plan: &StepPlan) -> bool {
        self.in_flight.front() == Some(&plan.step) && plan.rows.iter().any(|row| self.get(row.id).is_some())
    }

    /// The limits it works within.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Requests without blocks.
    pub fn num_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Requests with blocks.
    pub fn num_running(&self) -> usize {
        self.running.len()
    }

    /// Blocks nobody uses.
    pub fn num_free_blocks(&self) -> usize {
        self.allocator.num_free()
    }

    /// Whether every request has ended.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// The sequence of a plan's row.
    ///
    /// # Panics
    /// May panic if the sequence has ended since the plan was made.
    pub fn sequence(&self, seq_idx: SeqIdx) -> &Sequence {
        &self.sequences[seq_idx]
    }

    /// A request that has not ended.
    pub fn get(&self, id: RequestId) -> Option<&Sequence> {
        let idx = self.running.get(&id).or_else(|| self.waiting.get(&id))?;
        self.sequences.get(*idx)
    }

    /// The sequences with blocks, oldest first.
    pub fn running(&self) -> impl Iterator<Item = &Sequence> {
        self.running.values().map(|&idx| &self.sequences[idx])
    }

    /// The sequences without blocks, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Sequence> {
        self.waiting.values().map(|&idx| &self.sequences[idx])
    }

    /// Checks all that must hold between any two calls. Debug builds do so after every `schedule` and `commit`.
    ///
    /// # Errors
    /// A sentence about the first thing that does not add up.
    pub fn check_integrity(&self) -> Result<(), String> {
        self.allocator.check_integrity(self.sequences.iter().map(Sequence::block_table))?;
        let ensure = |holds: bool, id, what: &str| if holds { Ok(()) } else { Err(format!("request {id} {what}")) };
        for sequence in self.waiting() {
            ensure(!sequence.is_running(), sequence.id(), "waits and holds blocks")?;
            ensure(sequence.context_len() == 0, sequence.id(), "waits and has a context")?;
        }
        for sequence in self.running() {
            let num_blocks = sequence.block_table().num_blocks();
            let context_blocks = self.config.num_blocks_for(sequence.context_len());
            // A step planned ahead takes a block for a token that is yet to be committed.
            let all_blocks = self.config.num_blocks_for(sequence.num_tokens() + 1);
            ensure(num_blocks > 0, sequence.id(), "runs without blocks")?;
            ensure(num_blocks >= context_blocks, sequence.id(), "has less blocks than its context")?;
            ensure(num_blocks <= all_blocks, sequence.id(), "has more blocks than its tokens")?;
            ensure(sequence.num_uncomputed() > 0, sequence.id(), "has nothing left to compute")?;
        }
        let most_running = self.config.max_num_seqs.min(self.config.max_tokens_per_step);
        if self.num_running() > most_running {
            return Err(format!("{} sequences run, {most_running} may", self.num_running()));
        }
        if self.num_running() + self.num_waiting() != self.sequences.iter().count() {
            return Err("a sequence neither runs nor waits".into());
        }
        Ok(())
    }

    fn debug_check_integrity(&self) {
        if cfg!(debug_assertions)
            && let Err(what) = self.check_integrity()
        {
            panic!("the scheduler is inconsistent: {what}");
        }
    }
}
