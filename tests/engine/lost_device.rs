//! A device that is lost takes all K and V with it. A new runner from the same folder goes on: the same tokens, none twice.

use crate::abort::{self, TIGHT, finished};
use crate::fixtures;
use crate::golden;
use crate::machines::{Machines, ensure};
use crate::watched_cpu::WatchedCpu;
use cb_lab::Error;
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::paired::PairedBackend;
use cb_lab::config::KvDtype;
use cb_lab::core::step_plan::Preemption;
use cb_lab::core::timestamp::Timestamp;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::loaded_folder::LoadedFolder;
use cb_lab::engine::{DeviceEngine, DeviceRunner, Update};
use libtest_mimic::{Failed, Trial};
use pollster::block_on;

const FOLDER: &str = "llama";
/// Before steps of this number the device is lost: amid prompts, when all decode, in two steps on end.
const LOST_BEFORE: [u64; 5] = [2, 5, 6, 20, 40];

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = machines.cpu("lost_device/reads fail", || reads_fail(WatchedCpu::lost));
    trials.extend(
        machines.cpu("lost_device/reads fail, two in flight", || reads_fail(|watched| watched.lost().overlapping())),
    );
    trials.extend(machines.cpu("lost_device/a runner with other limits is refused", other_limits));
    trials.extend(machines.gpus("lost_device/the same tokens", |gpu| {
        let open = || Ok(gpu.open(GpuOptions::default())?);
        destroyed(open, |backend| backend.lose_device())
    }));
    trials.extend(machines.gpus("lost_device/the same tokens, paired", |gpu| {
        let open = || Ok(PairedBackend::new(CpuBackend::default(), gpu.open(GpuOptions::default())?, 1e-3));
        destroyed(open, |pair| pair.subject().lose_device())
    }));
    trials
}

fn runner<B: Backend>(backend: B, limits: &LimitOptions) -> Result<DeviceRunner<B>, Failed> {
    let LoadedFolder { config: model, files, .. } = fixtures::load(FOLDER);
    let config = limits.resolve(&model, backend.max_buffer_words())?;
    Ok(block_on(DeviceRunner::new(backend, model, &files, &config))?)
}

/// Steps to the end; whenever the device is lost, a new one is opened. `before_step` may lose it.
fn run<B: Backend>(
    open: impl Fn() -> Result<B, Failed>,
    mut before_step: impl FnMut(&mut DeviceEngine<B>, u64),
) -> Result<u64, Failed> {
    let cases = fixtures::golden_cases(FOLDER);
    let mut engine = fixtures::engine(FOLDER, open()?, &TIGHT);
    abort::submit_all(&mut engine, &cases)?;
    let (mut outputs, mut num_lost, mut num_steps, mut last_planned) = (Vec::new(), 0, 0, Timestamp::ZERO);
    // Who ran when a device was lost, and who was said to have lost their blocks to nobody.
    let (mut ran, mut told) = (Vec::new(), Vec::new());
    while !engine.is_idle() {
        num_steps += 1;
        before_step(&mut engine, num_steps);
        match block_on(engine.step()) {
            Ok(report) => {
                let to_nobody = report.plan.all_preempted().filter(|preemption| preemption.needer.is_none());
                for Preemption { victim, .. } in to_nobody {
                    ensure!(report.updates.contains(&Update::Preempted(*victim)), "{victim} is not told");
                    told.push(*victim);
                }
                let planned = report.plan.now;
                ensure!(planned >= last_planned && report.end >= planned, "{planned:?} after {last_planned:?}");
                last_planned = planned;
                outputs.extend(report.updates.into_iter().filter_map(finished));
            }
            Err(Error::DeviceLost(_)) => {
                num_lost += 1;
                ensure!(num_lost < 20, "no device lives long enough to get on");
                let again = block_on(engine.step());
                ensure!(matches!(again, Err(Error::DeviceLost(_))), "a lost device stays lost, but {again:?}");
                let before: Vec<_> = engine.scheduler().running().map(|sequence| sequence.id()).collect();
                ran.extend(before.into_iter().rev());
                engine.resume(runner(open()?, &TIGHT)?)?;
                ensure!(engine.scheduler().num_running() == 0, "nobody holds blocks of a device that is gone");
            }
            Err(error) => return Err(error.into()),
        }
        engine.scheduler().check_integrity()?;
    }
    abort::all_blocks_free(&engine)?;
    outputs.sort_by_key(|output| output.id);
    golden::compare(&cases, &outputs)?;
    ensure!(told == ran, "told are {told:?}, and not {ran:?}");
    ensure!(!ran.is_empty() || num_lost == 0, "nobody ran on a device that was lost");
    Ok(num_lost)
}

/// A runner with other limits would take blocks for others than the scheduler does. It is refused, and the old one goes on.
fn other_limits() -> Result<(), Failed> {
    let cases = fixtures::golden_cases(FOLDER);
    let mut engine = fixtures::engine(FOLDER, CpuBackend::default(), &TIGHT);
    abort::submit_all(&mut engine, &cases)?;
    block_on(engine.step())?;
    for (option, limits) in [
        ("num_kv_blocks", LimitOptions { num_kv_blocks: TIGHT.num_kv_blocks.map(|blocks| blocks - 1), ..TIGHT }),
        ("max_num_seqs", LimitOptions { max_num_seqs: TIGHT.max_num_seqs.map(|seqs| seqs + 1), ..TIGHT }),
        ("kv_dtype", LimitOptions { kv_dtype: KvDtype::F16, ..TIGHT }),
    ] {
        match engine.resume(runner(CpuBackend::default(), &limits)?) {
            Err(Error::InvalidOption { option: named, .. }) if named == option => {}
            result => return Err(format!("{option}: {result:?}").into()),
        }
    }
    let mut outputs = block_on(engine.run_until_idle())?;
    outputs.sort_by_key(|output| output.id);
    golden::compare(&cases, &outputs)
}

fn reads_fail(lost: fn(WatchedCpu) -> WatchedCpu) -> Result<(), Failed> {
    // Each device is good for fifty reads, enough for the longest prompt and some tokens, and then it is gone for good.
    let num_lost = run(|| Ok(lost(WatchedCpu::failing(|nth| nth > 50))), |_, _| ())?;
    ensure!(num_lost > 1, "lost {num_lost} times");
    Ok(())
}

fn destroyed<B: Backend>(open: impl Fn() -> Result<B, Failed>, lose: fn(&B)) -> Result<(), Failed> {
    let num_lost = run(open, |engine, step| {
        if LOST_BEFORE.contains(&step) {
            lose(engine.runner_mut().device_mut().1);
        }
    })?;
    ensure!(num_lost == LOST_BEFORE.len() as u64, "lost {num_lost} times");
    Ok(())
}
