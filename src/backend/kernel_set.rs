//! Which version of a kernel runs where there are several.

/// Of all kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum KernelSet {
    /// The fastest that the device can run.
    #[default]
    Fast,
    /// The naive ones everywhere: the column *naive* in docs/kernels.md.
    Naive,
}
