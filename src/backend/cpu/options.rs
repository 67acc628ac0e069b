//! What a CPU backend is opened with.

use super::fast::instruction_set::InstructionSet;
use crate::backend::kernel_set::KernelSet;

/// Other kernels and instructions than the usual ones. Results are the same bit for bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// The fast kernels, or the twins that define them.
    pub kernels: KernelSet,
    /// What the fast kernels are compiled to.
    pub instruction_set: InstructionSet,
}
