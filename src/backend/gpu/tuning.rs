//! Which fast kernels run and how they are compiled, where that differs between kinds of adapters.

/// Which kernels run where there is a choice, and how they are compiled; results are the same but for rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Tuning {
    /// As fits the adapter.
    #[default]
    Auto,
    /// As for hardware GPUs.
    Gpu,
    /// As for drivers that compute on the CPU.
    Software,
}

/// What [`Tuning`] chooses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Where it helps, read weights, x, q, K and V in words of 64 bits: four.wgsl and pair.wgsl of shaders/shared.
    pub u64_loads: bool,
    /// Lanes hand x round in a linear.
    pub shuffles_x: bool,
    /// Threads of a workgroup of the fast linears but `linear_split`.
    pub linear_threads: u32,
    /// Rows up to which threads share the sums of a linear: each has a slice of k. 0 where they never do.
    pub most_split_rows: u32,
    /// Rows of a tile, at most.
    pub tile_rows: u32,
    /// What a lane of a team in attention may own at most.
    pub team: MostOfTeam,
}

/// What the lanes of a team may own at most. It decides how many registers they need.
#[derive(Clone, Copy, Debug)]
pub(super) struct MostOfTeam {
    /// Vec4s of a head that a lane owns.
    pub columns: u32,
    /// Query rows of a team in a prefill.
    pub rows: u32,
    /// Heads of a team in a decode.
    pub heads: u32,
}

impl Tuning {
    /// `Gpu` or `Software`, for an adapter of this kind.
    pub(super) fn resolved(self, kind: wgpu::DeviceType) -> Self {
        match self {
            Self::Auto if kind == wgpu::DeviceType::Cpu => Self::Software,
            Self::Auto => Self::Gpu,
            chosen => chosen,
        }
    }
}

impl Settings {
    /// Not measured yet; they follow from how GPUs are built. These load 16 bytes at once, want whole subgroups of any vendor,
    /// and have registers for a tile of 8 rows. They have room for so many threads that even 32 rows leave most of it empty,
    /// unless threads share sums.
    const GPU: Self = Self {
        u64_loads: false,
        shuffles_x: false,
        linear_threads: 64,
        most_split_rows: 32,
        tile_rows: 8,
        team: MostOfTeam { columns: 1, rows: 8, heads: 4 },
    };
    /// The fastest on Mesa's lavapipe (docs/kernels.md). It loads word by word, so that larger words are fewer. It runs the
    /// threads of a workgroup one after the other, so that small workgroups cost little, and its few cores share many evenly.
    const SOFTWARE: Self = Self {
        u64_loads: true,
        shuffles_x: true,
        linear_threads: 16,
        most_split_rows: 0,
        tile_rows: 16,
        team: MostOfTeam { columns: 4, rows: 16, heads: 8 },
    };
    /// Those of a tuning that is not `Auto`.
    pub fn of(tuning: Tuning) -> Self {
        if tuning == Tuning::Software { Self::SOFTWARE } else { Self::GPU }
    }
}
