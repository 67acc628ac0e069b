//! The kernels that a step spends its time in, on the CPU and on a GPU where there is one: decode and prefill attention over
//! block sizes, linear over rows. Results are compared before anything is timed. `cb-lab bench` has more cases, and holds
//! them against what the machine can do at best; this keeps baselines (`--save-baseline`, `--baseline`).

use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::element_type::ElementType;
use cb_lab::backend::gpu::{Adapters, GpuBackend, GpuOptions};
use cb_lab::config::KvDtype;
use cb_lab::workloads::{attention, linear};
use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pollster::block_on;
use std::time::{Duration, Instant};

const BLOCK_SIZES: [u32; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Calls of a submission at most: what is recorded at once takes memory.
const MOST_CALLS: u64 = 64;
/// How far two layouts of the same K and V may differ: as in `cb-lab bench attention`.
const SAME: f32 = 2e-5;

fn kernels(c: &mut Criterion) {
    all(c, "cpu", &mut CpuBackend::default());
    if std::env::var("CB_LAB_GPU").is_ok_and(|gpu| gpu == "skip") {
        return;
    }
    let adapters = block_on(Adapters::find());
    match adapters.any() {
        Ok(adapter) => all(c, "gpu", &mut block_on(GpuBackend::new(adapter, GpuOptions::default())).expect("a device")),
        Err(error) => println!("no kernel is timed on a GPU: {error}"),
    }
}

fn all<B: Backend>(c: &mut Criterion, tag: &str, backend: &mut B) {
    println!("on {}", backend.name());
    block_sizes(c, &format!("paged_attention/{tag}"), backend, 4, 1);
    block_sizes(c, &format!("ragged_attention/{tag}"), backend, 1, 32);
    rows(c, &format!("linear/{tag}"), backend);
}

/// One shape by block size, K and V contiguous first.
fn block_sizes<B: Backend>(c: &mut Criterion, name: &str, backend: &mut B, batch: u32, query_len: u32) {
    let kv_dtype = KvDtype::F32;
    let shape =
        attention::Shape { batch, seq_len: 512, query_len, num_heads: 8, num_kv_heads: 2, head_dim: 64, kv_dtype };
    let layouts = std::iter::once(attention::Layout::Contiguous).chain(BLOCK_SIZES.map(attention::Layout::Paged));
    let workload = |layout| (layout, attention::Workload::new(backend, shape, layout).expect("room for a workload"));
    let mut workloads: Vec<_> = layouts.map(workload).collect();
    let mut pools = attention::Pools::new(backend, shape, 1).expect("room for K and V");
    let mut attended = Vec::new();
    for (layout, workload) in &mut workloads {
        pools.fill(backend, *layout);
        workload.record(backend, &pools, 0);
        attended.push(block_on(workload.attended(backend)).expect("the device answers"));
    }
    for (of_layout, (layout, _)) in attended.iter().zip(&workloads) {
        let differ = attended[0].iter().zip(of_layout).any(|(x, y)| (x - y).abs() > SAME || y.is_nan());
        assert!(!differ, "{name}: {layout} gives other results than contiguous K and V");
    }
    println!("{name}: all results match, {} layouts", workloads.len());

    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Bytes(shape.bytes() as u64));
    for (layout, workload) in &mut workloads {
        group.bench_function(BenchmarkId::from_parameter(layout), |bencher| {
            timed(bencher, backend, |backend| workload.record(backend, &pools, 0));
        });
    }
    group.finish();
}

fn rows<B: Backend>(c: &mut Criterion, name: &str, backend: &mut B) {
    let [in_features, out_features] = [896, 1152];
    let weight = linear::weight(backend, [out_features, in_features], ElementType::F16).expect("room for a weight");
    let shapes = [1, 8, 32].map(|num_rows| linear::Shape { num_rows, in_features, out_features });
    let mut workloads: Vec<_> = shapes
        .into_iter()
        .map(|shape| {
            (shape, linear::Workload::new(backend, shape, ElementType::F16, &weight).expect("room for a workload"))
        })
        .collect();
    for (shape, workload) in &mut workloads {
        workload.record(backend);
        let difference = block_on(workload.difference(backend)).expect("the device answers");
        assert_eq!(difference, None, "{name}, {shape:?}");
    }
    println!("{name}: all results match, {} shapes", workloads.len());

    let mut group = c.benchmark_group(name);
    for (shape, workload) in &mut workloads {
        group.throughput(Throughput::Elements(shape.flop() as u64));
        group.bench_function(BenchmarkId::new("rows", shape.num_rows), |bencher| {
            timed(bencher, backend, |backend| workload.record(backend));
        });
    }
    group.finish();
}

/// Records many calls, and waits for all of them together.
fn timed<B: Backend>(bencher: &mut Bencher, backend: &mut B, mut record: impl FnMut(&mut B)) {
    bencher.iter_custom(|calls| {
        let mut elapsed = Duration::ZERO;
        let mut left = calls;
        while left > 0 {
            let now = left.min(MOST_CALLS);
            let begin = Instant::now();
            (0..now).for_each(|_| record(backend));
            block_on(backend.flush()).expect("the device answers");
            elapsed += begin.elapsed();
            left -= now;
        }
        elapsed
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = kernels
}
criterion_main!(benches);
