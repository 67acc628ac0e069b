//! What the control plane costs per step: schedule, build the ragged batch, commit. All sequences decode.
//!
//! Goal: at most 50 µs for 256 sequences of 1,000 tokens, and linear growth from there. A step on a GPU takes
//! milliseconds, so that the host is never what one waits for.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::request::{Request, SamplingParams};
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::timestamp::Timestamp;
use cb_lab::{EngineConfig, RequestId};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SEQ_LEN: usize = 1_000;
const BLOCK_SIZE: usize = 16;
/// Rows of a batch at most: what a dispatch has workgroups for.
const MOST_TOKENS: usize = 65_535;
/// Sequences grow as they decode, so a new set is made after so many steps: lengths stay within 10 % of `SEQ_LEN`.
const STEPS_PER_SET: usize = 32;

/// `num_seqs` decoding sequences of about `SEQ_LEN` tokens, so staggered that as many reach a block edge in every step.
fn decoding_sequences(num_seqs: usize) -> Scheduler {
    // The first to be read decode while the others are.
    let steps_to_read = (num_seqs * SEQ_LEN).div_ceil(MOST_TOKENS - num_seqs) + 1;
    let max_new_tokens = steps_to_read + 2 * STEPS_PER_SET;
    let max_len = SEQ_LEN + max_new_tokens;
    let mut scheduler = Scheduler::new(EngineConfig {
        block_size: BLOCK_SIZE,
        num_kv_blocks: num_seqs * max_len.div_ceil(BLOCK_SIZE) * 102 / 100 + 1,
        max_tokens_per_step: MOST_TOKENS,
        prefill_chunk_size: SEQ_LEN,
        max_num_seqs: num_seqs,
        max_model_len: max_len,
        kv_dtype: KvDtype::F32,
        weight_dtype: WeightDtype::Auto,
    })
    .expect("the limits are in range");
    for id in 0..num_seqs {
        let request = Request {
            id: RequestId(id as u64),
            prompt_token_ids: vec![7; SEQ_LEN - STEPS_PER_SET / 2 - id % BLOCK_SIZE],
            params: SamplingParams { max_new_tokens, ..SamplingParams::default() },
        };
        scheduler.submit(request).expect("the request fits");
    }
    loop {
        let plan = scheduler.schedule(Timestamp::ZERO);
        let num_samples = plan.num_samples();
        scheduler.commit(&plan, &vec![7; num_samples]);
        if num_samples == num_seqs {
            break;
        }
    }
    scheduler
}

fn step_of_decodes(c: &mut Criterion) {
    let mut group = c.benchmark_group("control_plane_step");
    for num_seqs in [256, 1_024, 4_096] {
        group.throughput(Throughput::Elements(num_seqs as u64));
        group.bench_function(BenchmarkId::from_parameter(num_seqs), |bencher| {
            let sampled = vec![7; num_seqs];
            let mut batch = RaggedBatch::default();
            bencher.iter_custom(|num_steps| {
                let mut elapsed = Duration::ZERO;
                let mut steps_left = num_steps as usize;
                while steps_left > 0 {
                    let mut scheduler = decoding_sequences(num_seqs);
                    let steps = steps_left.min(STEPS_PER_SET);
                    let start = Instant::now();
                    for _ in 0..steps {
                        let plan = scheduler.schedule(Timestamp::ZERO);
                        batch.build_into(black_box(&plan), &scheduler);
                        black_box(&batch);
                        black_box(scheduler.commit(&plan, &sampled));
                    }
                    elapsed += start.elapsed();
                    assert_eq!(batch.num_tokens(), num_seqs, "all sequences decode");
                    steps_left -= steps;
                }
                elapsed
            });
        });
    }
    group.finish();
}

criterion_group!(benches, step_of_decodes);
criterion_main!(benches);
