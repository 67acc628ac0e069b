//! How much memory this process has held at most, and whether an engine on the CPU would fit into this machine.

use super::wording::bytes_text;
use crate::config::EngineConfig;
use crate::error::{Error, Result};
use crate::model::memory_plan::MemoryPlan;
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
/// whoever uses it, so asking for it and looking at the answer is not enough.
///
/// # Errors
/// [`Error::InvalidOption`] names the option that takes most.
pub fn check_fits(plan: &MemoryPlan, limits: &EngineConfig) -> Result<()> {
    machine_bytes().map_or(Ok(()), |machine| check_fits_in(machine, plan, limits))
}

fn check_fits_in(machine: u64, plan: &MemoryPlan, limits: &EngineConfig) -> Result<()> {
    let activations = 4 * plan.hidden + 2 * plan.q + 3 * plan.kv + 3 * plan.intermediate + plan.step_table;
    let needs = [
        ("num-kv-blocks", limits.num_kv_blocks, plan.kv_bytes()),
        // The angles are worked out in one piece before they go to the backend.
        ("max-model-len", limits.max_model_len, 2 * 4 * plan.rope_table),
        ("max-tokens-per-step", limits.max_tokens_per_step, 4 * activations),
        ("max-num-seqs", limits.max_num_seqs, 4 * plan.logits),
    ];
    let total: u64 = needs.iter().map(|(.., bytes)| *bytes as u64).sum();
    let Some((option, value, bytes)) = needs.into_iter().max_by_key(|(.., bytes)| *bytes) else { return Ok(()) };
    if total <= machine {
        return Ok(());
    }
    let half = (value as u128 * u128::from(machine / 2) / bytes as u128).max(1);
    let (total, machine) = (bytes_text(total), bytes_text(machine));
    let reason = format!("the engine would take {total} and this machine has {machine}; lower it to {half} or less");
    Err(Error::InvalidOption { option, value: value.to_string(), reason })
}
