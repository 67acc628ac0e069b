//! Time as the control plane knows it: a number from outside. It has no clock of its own, so a run replays.

use serde::{Deserialize, Serialize};

/// Whole microseconds since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// When the run began.
    pub const ZERO: Self = Self(0);

    /// Milliseconds since the run began. Three decimals: what a log has, read back as the same number.
    pub fn ms(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// Milliseconds since an earlier time; 0 if that is later.
    pub fn ms_since(self, earlier: Self) -> f64 {
        Self(self.0.saturating_sub(earlier.0)).ms()
    }
}
