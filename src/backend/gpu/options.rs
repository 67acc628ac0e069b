//! What a GPU backend is opened with.

use super::kernels::Kernel;
use super::tuning::Tuning;
use crate::backend::kernel_set::KernelSet;

/// Limits below the device's own, for tests of what happens on lesser devices, and other kernels than the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuOptions {
    /// Largest binding; a weight above it is split by rows.
    pub max_binding_bytes: Option<u64>,
    /// Workgroup memory.
    pub max_workgroup_bytes: Option<u32>,
    /// Workgroups along one dimension of a dispatch; more go to the next row of it.
    pub max_workgroups: Option<u32>,
    /// How many neighbouring threads are neighbouring lanes of one subgroup, in place of what a probe finds. For tests: results
    /// are right only if it is true of the device, or if `wgsl` uses no subgroups.
    pub lanes: Option<u32>,
    /// Which kernels run where there is a choice.
    pub kernels: KernelSet,
    /// What the fast kernels are tuned for; results are the same but for rounding.
    pub tuning: Tuning,
    /// Each row takes one way through one variant of each kernel: its bits do not depend on what else is in the batch.
    pub deterministic: bool,
    /// Time every kernel call, where the device can.
    pub time_kernels: bool,
    /// WGSL to compile instead of a kernel's own, for experiments and mutants.
    pub wgsl: Vec<(Kernel, String)>,
}
