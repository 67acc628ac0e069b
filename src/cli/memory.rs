//! How much memory this process has held at most, and whether an engine on the CPU would fit into this machine.

use super::wording::bytes_text;
use crate::backend::memory_tracker::MemoryUse;
use crate::config::EngineConfig;
use crate::error::{Error, Result};
use crate::model::memory_plan::{MemoryNeed, MemoryPlan, PlannedMemory};
use std::fs::read_to_string;

/// Peak resident set in bytes, where the system tells (Linux).
pub fn peak_resident_bytes() -> Option<u64> {
    entry_bytes(&read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Memory of this machine or of the container it pretends to be, where the system tells (Linux).
fn machine_bytes() -> Option<u64> {
    let machine = entry_bytes(&read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let container = read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    Some(container.map_or(machine, |container: u64| container.min(machine)))
}

/// The bytes of a line such as `VmHWM:  1234 kB`.
fn entry_bytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Refuses an engine whose buffers this machine could never fill. Systems hand out memory that they do not have and kill
/// whoever uses it, so asking for it and looking at the answer is not enough. Where the system does not tell (anything but
/// Linux), nothing is refused.
///
/// # Errors
/// [`Error::InvalidOption`] names the option that takes most, [`Error::Device`] says that the weights alone are too much.
pub fn check_fits(planned: &PlannedMemory, plan: &MemoryPlan, config: &EngineConfig) -> Result<()> {
    machine_bytes().map_or(Ok(()), |machine| check_fits_in(machine, planned, plan, config))
}

fn check_fits_in(machine: u64, planned: &PlannedMemory, plan: &MemoryPlan, config: &EngineConfig) -> Result<()> {
    let weights = planned.weights_bytes;
    if weights > machine {
        return Err(Error::Device(format!(
            "the CPU keeps weights in f32, where these take {}, and this machine has {}: take a smaller model, or \
             --backend gpu if there is one",
            bytes_text(weights),
            bytes_text(machine)
        )));
    }
    // The angles of rope are worked out in one piece before they go to the backend.
    let total = planned.bytes() + 4 * plan.rope_table as u64;
    let Some(largest) =
        plan.words_by_option(config).into_iter().max_by_key(|need| need.words).filter(|_| total > machine)
    else {
        return Ok(());
    };
    let MemoryNeed { option, value, words } = largest;
    let half_of_the_rest = u128::from((machine - weights) / 2);
    let fits = (value as u128 * half_of_the_rest / (4 * words as u128)).max(1);
    let (total, machine) = (bytes_text(total), bytes_text(machine));
    let reason = format!("the engine would take {total} and this machine has {machine}; lower it to {fits} or less");
    Err(Error::InvalidOption { option, value: value.to_string(), reason })
}

/// `38 MiB: weights 6.6 MiB, KV 18 MiB, activations 12 MiB, tables 1.5 MiB`
pub fn planned_text(planned: &PlannedMemory) -> String {
    format!(
        "{}: weights {}, KV {}, activations {}, tables {}",
        bytes_text(planned.bytes()),
        bytes_text(planned.weights_bytes),
        bytes_text(planned.kv_bytes),
        bytes_text(planned.activations_bytes),
        bytes_text(planned.tables_bytes),
    )
}

/// The most that was taken, beside what was planned.
pub fn peak_text(memory: &MemoryUse, planned: &PlannedMemory) -> String {
    let peak = bytes_text(memory.peak_bytes);
    let (peak_bytes, planned_bytes) = (memory.peak_bytes, planned.bytes());
    if peak_bytes == planned_bytes {
        format!("peak memory of all buffers: {peak}, as planned")
    } else {
        format!("peak memory of all buffers: {peak} ({peak_bytes} bytes, planned {planned_bytes})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::CpuBackend;
    use crate::engine::limits::LimitOptions;
    use crate::engine::loaded_folder::LoadedFolder;
    use crate::model::embedded::default_model;

    #[test]
    fn weights_count_as_buffers_do() {
        let folder = pollster::block_on(LoadedFolder::open(&default_model())).unwrap();
        let (model, backend) = (&folder.config, CpuBackend::default());
        let config = LimitOptions::default().resolve(model, usize::MAX).unwrap();
        let plan = MemoryPlan::new(model, &config, usize::MAX).unwrap();
        let planned = plan.on(&backend, model, &folder.files, &config).unwrap();
        let weights = planned.weights_bytes;
        let buffers = planned.bytes() - weights + 4 * plan.rope_table as u64;
        assert!(weights > 1_000_000, "the default model has about a million weights");

        let check_fits_in = |machine| check_fits_in(machine, &planned, &plan, &config);
        check_fits_in(weights + buffers).unwrap();
        for machine in [weights + buffers - 1, buffers, weights] {
            let refused = check_fits_in(machine).unwrap_err().to_string();
            assert!(refused.starts_with("num_kv_blocks is ") && refused.contains("lower it to "), "{refused}");
        }
        let refused = check_fits_in(weights - 1).unwrap_err().to_string();
        assert!(refused.contains("smaller model"), "{refused}");
    }
}
