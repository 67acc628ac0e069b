//! Which vector instructions the fast kernels use.

use crate::error::{Error, Result};
use pulp::{Scalar256b, Simd, WithSimd};

/// Vector instructions of a CPU. Sums are made by fused multiply-adds in one order whichever run, so that all give the same
/// bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum InstructionSet {
    /// The widest that this CPU has.
    #[default]
    Auto,
    /// 16 lanes, on x86-64.
    Avx512,
    /// 8 lanes and fused multiply-adds, on x86-64.
    Avx2,
    /// 4 lanes, on AArch64.
    Neon,
    /// What every CPU has. A fused multiply-add is a call where the CPU has none: slow, and for tests.
    Scalar,
}

/// Proof that this CPU has such instructions.
#[derive(Clone, Copy, Debug)]
pub enum Vectors {
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    Scalar,
}

impl InstructionSet {
    /// Those that this CPU has, the widest first.
    pub fn available() -> Vec<Self> {
        [Self::Avx512, Self::Avx2, Self::Neon, Self::Scalar].into_iter().filter(|set| set.find().is_some()).collect()
    }

    /// # Errors
    /// [`Error::InvalidOption`] if this CPU has none of the kind.
    pub fn vectors(self) -> Result<Vectors> {
        match self {
            Self::Auto => Ok(Vectors::widest()),
            one => one.find().ok_or_else(|| Error::InvalidOption {
                option: "instruction_set",
                value: format!("{one:?}").to_lowercase(),
                reason: "this CPU does not have it; leave the option out, and the widest that there is runs".into(),
            }),
        }
    }

    fn find(self) -> Option<Vectors> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(Vectors::Avx512),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(Vectors::Avx2),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(Vectors::Neon),
            Self::Scalar => Some(Vectors::Scalar),
            _ => None,
        }
    }
}

impl Vectors {
    pub fn widest() -> Self {
        InstructionSet::available().into_iter().find_map(InstructionSet::find).unwrap_or(Self::Scalar)
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "NEON",
            Self::Scalar => "no vector instructions",
        }
    }

    /// Runs `op`, compiled for these instructions if its `with_simd` is always inlined. A closure is not: there each fused
    /// multiply-add would be a call.
    pub fn run<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, op),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, op),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => Simd::vectorize(simd, op),
            Self::Scalar => Simd::vectorize(Scalar256b, op),
        }
    }

    /// Rows of x whose sums fit into the registers, for two vectors of outputs each.
    pub fn tile_rows(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => 12,
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => 12,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => 6,
            Self::Scalar => 6,
        }
    }
}
