//! What may happen to a scheduler, and how proptest makes it up. Small numbers: they shrink well and meet often.

use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::request::{FinishReason, Request, SamplingParams};
use cb_lab::{EngineConfig, RequestId};
use proptest::prelude::*;

use crate::model::{STOP_TOKEN, VOCAB_SIZE};
use crate::world::World;

/// A request without its place in the order of arrival.
#[derive(Clone, Debug)]
pub struct Wish {
    pub prompt_len: usize,
    pub max_new_tokens: usize,
    pub seed: u64,
    pub ignore_eos: bool,
}

impl Wish {
    pub fn request(&self, id: u64) -> Request {
        Request {
            id: RequestId(id),
            prompt_token_ids: (0..self.prompt_len as u64)
                .map(|i| ((self.seed * 7 + i * 5) as u32) % VOCAB_SIZE)
                .collect(),
            params: SamplingParams {
                max_new_tokens: self.max_new_tokens,
                seed: self.seed,
                // What the engine makes of it for the scheduler.
                stop_token_ids: if self.ignore_eos { Vec::new() } else { vec![STOP_TOKEN] },
                ignore_eos: self.ignore_eos,
                ..SamplingParams::default()
            },
        }
    }

    pub fn len(&self) -> usize {
        self.prompt_len + self.max_new_tokens
    }
}

#[derive(Clone, Debug)]
pub enum Operation {
    Submit(Wish),
    Step,
    /// The device fails after this many rows.
    FailedStep(usize),
    Abort(usize),
    /// The device is gone, and a new one takes its place.
    LoseDevice,
    /// The engine saw a stop text.
    Stop(usize),
    /// So many steps, each begun before the one before it is committed. While the first two are in flight, one request
    /// ends and another comes. In the end the device may fail.
    StepsAhead(usize, bool, Option<(usize, Wish)>),
    /// Between execution and commit: one request ends and another comes, which may get its place.
    StepWhileAborting(usize, Wish),
}

pub fn wish() -> impl Strategy<Value = Wish> {
    (1..=20_usize, 1..=14_usize, 0..1_000_u64, any::<bool>()).prop_map(
        |(prompt_len, max_new_tokens, seed, ignore_eos)| Wish { prompt_len, max_new_tokens, seed, ignore_eos },
    )
}

pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let meanwhile = prop::option::of((any::<usize>(), wish()));
    let operation = prop_oneof![
        4 => wish().prop_map(Operation::Submit),
        8 => Just(Operation::Step),
        1 => (0..8_usize).prop_map(Operation::FailedStep),
        4 => (1..6_usize, prop::bool::weighted(0.2), meanwhile)
            .prop_map(|(num_steps, fails, meanwhile)| Operation::StepsAhead(num_steps, fails, meanwhile)),
        1 => any::<usize>().prop_map(Operation::Abort),
        1 => any::<usize>().prop_map(Operation::Stop),
        1 => Just(Operation::LoseDevice),
        1 => (any::<usize>(), wish()).prop_map(|(nth, wish)| Operation::StepWhileAborting(nth, wish)),
    ];
    prop::collection::vec(operation, 1..60)
}

/// Limits so tight that every one of them is reached, with at least `min_tokens` tokens in the pool.
pub fn config(min_tokens: usize) -> impl Strategy<Value = EngineConfig> {
    (0..=4_u32, 0..=40_usize, 1..=24_usize, 1..=12_usize, 1..=8_usize).prop_map(
        move |(log_block_size, more_tokens, max_tokens_per_step, prefill_chunk_size, max_num_seqs)| {
            let block_size = 1 << log_block_size;
            EngineConfig {
                block_size,
                num_kv_blocks: (min_tokens + more_tokens).div_ceil(block_size),
                max_tokens_per_step,
                prefill_chunk_size,
                max_num_seqs,
                max_model_len: 32.max(min_tokens),
                kv_dtype: KvDtype::F32,
                weight_dtype: WeightDtype::Auto,
            }
        },
    )
}

/// Does one operation. `next_id` counts arrivals.
pub fn apply(world: &mut World, operation: &Operation, next_id: &mut u64) {
    let mut new_request = |wish: &Wish| {
        *next_id += 1;
        wish.request(*next_id)
    };
    match operation {
        Operation::Submit(wish) => world.submit(new_request(wish)),
        Operation::Step => world.step(),
        Operation::FailedStep(num_rows) => world.failed_step(*num_rows),
        Operation::Abort(nth) => world.end(*nth, FinishReason::Abort),
        Operation::LoseDevice => world.lose_device(),
        Operation::Stop(nth) => world.end(*nth, FinishReason::Stop),
        Operation::StepsAhead(num_steps, fails, meanwhile) => {
            let meanwhile = meanwhile.as_ref().map(|(nth, wish)| (*nth, new_request(wish)));
            world.steps_ahead(*num_steps, *fails, |world| {
                if let Some((nth, request)) = meanwhile {
                    world.end(nth, FinishReason::Abort);
                    world.submit(request);
                }
            });
        }
        Operation::StepWhileAborting(nth, wish) => {
            let request = new_request(wish);
            let meanwhile = |world: &mut World| {
                world.end(*nth, FinishReason::Abort);
                world.submit(request);
            };
            world.step_while(meanwhile);
        }
    }
}
