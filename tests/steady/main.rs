//! Ten thousand steps, and nothing grows: no buffer, no bind group, no pipeline, no collection on the host.
//!
//! A lap is 1,000 steps of requests that come and go, some given up, with so few KV blocks that some are preempted. Every
//! lap serves the same requests, so that what was needed at most is known after the first ones. Between laps the engine is
//! idle: what a lap has left behind then is what would be left behind for ever.
//!
//! This program counts the bytes it has on its heap, so it has no other tests, and runs one trial at a time.

#[path = "../common/gpu.rs"]
mod gpu;
#[path = "../engine/machines.rs"]
mod machines;
#[path = "../cli/model_copy.rs"]
#[allow(dead_code, reason = "nothing is damaged here")]
mod model_copy;

use cb_lab::backend::Backend;
use cb_lab::backend::memory_tracker::MemoryUse;
use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::request::SamplingParams;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::engine::philox::uniform;
use cb_lab::engine::{DeviceEngine, Engine};
use cb_lab::model::ModelFolder;
use libtest_mimic::{Arguments, Failed, Trial};
use machines::{Check, Machine, Machines, ensure};
use model_copy::ModelCopy;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const LAPS: usize = 10;
const STEPS_OF_A_LAP: usize = 1_000;
/// After so many laps everything has been as large as it becomes.
const WARM: usize = 2;
/// What the heap may differ by between two laps: a driver's lists breathe. It is 2 bytes for each step of a lap; whatever
/// keeps a request or a step keeps more.
const BREATH: usize = 2 * STEPS_OF_A_LAP;

fn main() {
    let mut args = Arguments::from_args();
    args.test_threads = Some(1);
    let (machines, required) = Machines::find();
    let mut trials: Vec<Trial> = required.into_iter().collect();
    trials.extend(machines.all("nothing grows in ten thousand steps", NothingGrows));
    trials.extend(machines.cpu("a leak would be seen", || a_leak_would_be_seen().map_err(Failed::from)));
    libtest_mimic::run(&args, trials).exit();
}

#[derive(Clone)]
struct NothingGrows;

/// What there is between two laps.
#[derive(Clone, Copy, Debug)]
struct Standing {
    memory: MemoryUse,
    heap_bytes: usize,
}

impl Check for NothingGrows {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let mut engine = engine(machine.open()?)?;
        let mut warm: Option<Standing> = None;
        for number in 1..=LAPS {
            lap(&mut engine)?;
            let standing = Standing { memory: engine.runner().memory(), heap_bytes: heap_bytes() };
            ensure!(engine.scheduler().num_free_blocks() == 40, "lap {number} left blocks behind");
            match &warm {
                None if number == WARM => warm = Some(standing),
                None => (),
                Some(warm) => grown(warm, &standing).map_or(Ok(()), |what| Err(format!("lap {number}: {what}")))?,
            }
        }
        Ok(())
    }
}

/// What has grown, if anything has.
fn grown(warm: &Standing, now: &Standing) -> Option<String> {
    let same = now.memory == warm.memory && now.heap_bytes <= warm.heap_bytes + BREATH;
    (!same).then(|| format!("{now:?}, and after lap {WARM} it was {warm:?}"))
}

fn engine<B: Backend>(backend: B) -> cb_lab::Result<DeviceEngine<B>> {
    // The first layer of a fixture: a step has all there is, once.
    let copy = ModelCopy::of("qwen3").edit_config(|config| {
        config["num_hidden_layers"] = 1.into();
        config["layer_types"] = ["full_attention"][..].into();
    });
    let folder = pollster::block_on(LoadedFolder::open(&ModelFolder::open(copy.path())?))?;
    let limits = LimitOptions {
        block_size: Some(4),
        num_kv_blocks: Some(40),
        max_tokens_per_step: Some(16),
        prefill_chunk_size: Some(8),
        max_num_seqs: Some(5),
        max_model_len: Some(64),
        kv_dtype: KvDtype::F32,
        weight_dtype: WeightDtype::Auto,
    };
    let limits = limits.resolve(&folder.config, backend.max_buffer_words())?;
    pollster::block_on(Engine::new(backend, folder, limits))
}

/// So many steps, and then as many as it takes until nobody is left.
fn lap<B: Backend>(engine: &mut DeviceEngine<B>) -> cb_lab::Result<()> {
    let mut draws = (0..).map(|i| uniform(5, i));
    let mut below = |n: usize| (draws.next().unwrap_or_default() * n as f64) as usize;
    let mut last = None;
    for step in 0..STEPS_OF_A_LAP {
        while engine.scheduler().num_running() + engine.scheduler().num_waiting() < 6 {
            let prompt = (0..1 + below(30)).map(|_| 5 + below(200) as u32).collect();
            let temperature = if below(4) == 0 { 0.9 } else { 0.0 };
            let max_new_tokens = 1 + below(30);
            let params = SamplingParams { temperature, max_new_tokens, ignore_eos: true, ..Default::default() };
            last = Some(engine.submit(prompt, params)?);
        }
        if step % 50 == 49
            && let Some(id) = last
        {
            engine.abort(id)?;
        }
        pollster::block_on(engine.step())?;
    }
    pollster::block_on(engine.run_until_idle()).map(drop)
}

fn heap_bytes() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// The comparison itself, and the counting of the heap.
fn a_leak_would_be_seen() -> Result<(), String> {
    let standing = || Standing { memory: MemoryUse::default(), heap_bytes: heap_bytes() };
    let warm = standing();
    let kept = vec![0u8; BREATH + 1];
    let with_kept = standing();
    drop(kept);
    let more = MemoryUse { num_bind_groups: 1, ..warm.memory };
    let cases = [(with_kept, true), (standing(), false), (Standing { memory: more, ..warm }, true)];
    match cases.into_iter().find(|(now, is_seen)| grown(&warm, now).is_some() != *is_seen) {
        Some(case) => Err(format!("{case:?} beside {warm:?}")),
        None => Ok(()),
    }
}
