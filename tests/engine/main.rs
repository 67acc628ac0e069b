//! The whole engine, on the CPU and on every GPU found, a trial for each test and machine.
//!
//! * `golden` and `grid`: transformers' tokens, whatever the limits and the batch mates;
//! * `deterministic`: the same bits on a GPU, whatever the limits and the batch mates;
//! * `layers`: the keys and values of every layer, against an oracle, the model in f64;
//! * `abort`, `poison`, `failed_step`, `lost_device`, `undecodable`: blocks and requests are not lost, and nobody reads what is not theirs;
//! * `splits`: the same for contexts so long that decodes are split;
//! * `kv_f16`: how many tokens stay transformers' when K and V are halves;
//! * `weight_dtype`: that all machines say the same with weights of any type, and how much of it is transformers';
//! * `ahead`: a step begun before the last one has ended changes nothing;
//! * `device_use`, `memory`: what a step asks of the device, and what an engine takes of its memory;
//! * `sampling`, `stopping`, `streaming`: what a request gets, and when it ends;
//! * `paired`, `refusals`: what an error says.
//!
//! `CB_LAB_GPU=require` makes a missing adapter a failure, `CB_LAB_GPU=skip` uses none. Otherwise trials without an
//! adapter are *ignored*, never passed. `CB_LAB_GRID=full` tries every combination of limits (several minutes).

#[path = "../common/checkpoint.rs"]
mod checkpoint;
#[path = "../common/gpu.rs"]
mod gpu;
#[path = "../common/rng.rs"]
mod rng;

mod fixtures;
mod machines;
mod watched_cpu;

mod abort;
mod ahead;
mod checkpoints;
mod dense_model;
mod deterministic;
mod device_use;
mod failed_step;
mod golden;
mod grid;
mod kv_f16;
mod layers;
mod lost_device;
mod memory;
mod not_finite;
mod paired;
mod poison;
mod refusals;
mod sampling;
mod splits;
mod stopping;
mod streaming;
mod undecodable;
mod weight_dtype;

use libtest_mimic::Arguments;
use machines::Machines;

fn main() {
    let (machines, required) = Machines::find();
    let mut trials = Vec::from_iter(required);
    trials.extend(golden::trials(&machines));
    trials.extend(grid::trials(&machines));
    trials.extend(checkpoints::trials(&machines));
    trials.extend(layers::trials(&machines));
    trials.extend(splits::trials(&machines));
    trials.extend(deterministic::trials(&machines));
    trials.extend(kv_f16::trials(&machines));
    trials.extend(weight_dtype::trials(&machines));
    trials.extend(abort::trials(&machines));
    trials.extend(ahead::trials(&machines));
    trials.extend(poison::trials(&machines));
    trials.extend(failed_step::trials(&machines));
    trials.extend(lost_device::trials(&machines));
    trials.extend(not_finite::trials(&machines));
    trials.extend(undecodable::trials(&machines));
    trials.extend(device_use::trials(&machines));
    trials.extend(memory::trials(&machines));
    trials.extend(sampling::trials(&machines));
    trials.extend(stopping::trials(&machines));
    trials.extend(streaming::trials(&machines));
    trials.extend(paired::trials(&machines));
    trials.extend(refusals::trials(&machines));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
