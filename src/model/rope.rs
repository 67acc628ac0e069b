//! Rotary position embedding (Su et al. 2021): which angle each pair of a head turns by.

/// How positions become angles: pair `i` of a head turns by `position · inv_freq[i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// The base: `inv_freq[i] = theta^(-2i / rotary_dim)` before scaling.
    pub theta: f64,
    /// How many of a head's values turn, an even number: its first ones, `i` with `i + rotary_dim / 2`. Mostly all.
    pub rotary_dim: usize,
    /// What was done to reach further than the positions of the first training.
    pub scaling: RopeScaling,
}

/// The rope types this engine knows.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// `default`: none.
    None,
    /// `linear`: every frequency is divided by `factor` (Chen et al. 2023).
    Linear {
        /// How much further it reaches.
        factor: f64,
    },
    /// `llama3`: slow pairs are divided by `factor`, fast ones are left alone, those between are interpolated.
    Llama3 {
        /// How much further it reaches.
        factor: f64,
        /// A pair that turns fewer times than this within the original length is slow.
        low_freq_factor: f64,
        /// A pair that turns more often than this within the original length is fast.
        high_freq_factor: f64,
        /// Longest sequence of the first training, in tokens.
        original_max_position_embeddings: usize,
    },
    /// `yarn`: the same with a ramp over pairs instead of frequencies, and Q and K are scaled (Peng et al. 2023).
    Yarn {
        /// How much further it reaches.
        factor: f64,
        /// The ramp: pairs up to its first number are left alone, those from its second on are divided by `factor`.
        ramp: [f64; 2],
        /// Cosines and sines are multiplied by it.
        attention_factor: f64,
    },
    /// `longrope`: each pair has a divisor of its own, and another one in sequences that are longer than the original
    /// length (Ding et al. 2024).
    LongRope {
        /// Divisors of the pairs in sequences up to the original length, `[rotary_dim / 2]`.
        short_factor: Vec<f64>,
        /// Divisors in longer ones, `[rotary_dim / 2]`.
        long_factor: Vec<f64>,
        /// Cosines and sines are multiplied by it.
        attention_factor: f64,
        /// Longest sequence of the first training, in tokens.
        original_max_position_embeddings: usize,
    },
}

/// How long a sequence is, for rope that depends on it. All of a sequence's keys and queries must have the same: K that
/// was computed at one is of no use at the other, so it is part of what identifies a block of the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Up to the original length.
    Short,
    /// Longer than that.
    Long,
}

impl RopeConfig {
    /// The longest sequence whose angles are those of [`Reach::Short`]; `None` where all have the same angles.
    pub fn longest_short(&self) -> Option<usize> {
        match self.scaling {
            RopeScaling::LongRope { original_max_position_embeddings, .. } => Some(original_max_position_embeddings),
            _ => None,
        }
    }

    /// What cosines and sines are multiplied by, so that attention gets sharper in long sequences.
    pub fn attention_factor(&self) -> f64 {
        match self.scaling {
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. } => {
                attention_factor
            }
            RopeScaling::None | RopeScaling::Linear { .. } | RopeScaling::Llama3 { .. } => 1.0,
        }
    }

    /// The angle per position of each pair that turns, `[rotary_dim / 2]`.
    ///
    /// Every operation is rounded to f32 where transformers rounds: a model was trained with those very
    /// numbers, and one unit in the last place of a frequency is an angle of 1e-4 at position 2000.
    pub fn inv_freq(&self, reach: Reach) -> Vec<f32> {
        let power = |pair: usize| {
            let exponent = (2 * pair) as f32 / self.rotary_dim as f32;
            self.theta.powf(f64::from(exponent)) as f32
        };
        (0..self.rotary_dim / 2).map(|pair| self.scaling.inv_freq(pair, power(pair), reach)).collect()
    }
}

impl RopeScaling {
    /// The frequency of a pair whose frequency before scaling is `1 / power`.
    fn inv_freq(&self, pair: usize, power: f32, reach: Reach) -> f32 {
        let inv_freq = power.recip();
        match self {
            Self::None => inv_freq,
            Self::Linear { factor } => inv_freq / *factor as f32,
            &Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
                let (factor, original) = (factor as f32, original_max_position_embeddings as f64);
                // Positions of one whole turn.
                let wavelen = inv_freq.recip() * (2.0 * std::f64::consts::PI) as f32;
                if wavelen < (original / high_freq_factor) as f32 {
                    inv_freq
                } else if wavelen > (original / low_freq_factor) as f32 {
                    inv_freq / factor
                } else {
                    let turns = wavelen.recip() * original as f32;
                    let smooth = (turns - low_freq_factor as f32) / (high_freq_factor - low_freq_factor) as f32;
                    (1.0 - smooth) * inv_freq / factor + smooth * inv_freq
                }
            }
            Self::Yarn { factor, ramp: [first, last], .. } => {
                let along = ((pair as f32 - *first as f32) / (last - first) as f32).clamp(0.0, 1.0);
                let kept = 1.0 - along;
                (*factor as f32 * power).recip() * (1.0 - kept) + inv_freq * kept
            }
            Self::LongRope { short_factor, long_factor, .. } => {
                let factors = if reach == Reach::Long { long_factor } else { short_factor };
                (factors[pair] as f32 * power).recip()
            }
        }
    }
}
