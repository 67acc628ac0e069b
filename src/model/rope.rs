//! Rotary position embedding: which angle each pair of a head turns by, and the table the `rope` kernel reads.

use super::config_keys::Keys;
use crate::error::Result;

/// How positions become angles: pair `i` of a head turns by `position · inv_freq[i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// The base: `inv_freq[i] = theta^(-2i / head_dim)` before scaling.
    pub theta: f64,
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
}

impl RopeConfig {
    /// Reads either form: `rope_theta` and `rope_scaling` (up to transformers 4), or `rope_parameters` (from 5 on).
    /// As in transformers, `rope_scaling` wins over `rope_parameters`, and a value inside the object wins over the same
    /// key beside it, with one exception: `original_max_position_embeddings` beside the object wins.
    pub(super) fn parse(config: &Keys, max_position_embeddings: usize) -> Result<Self> {
        let parameters = config.object("rope_scaling")?.or(config.object("rope_parameters")?);
        let outer_theta = config.positive("rope_theta")?.unwrap_or(10_000.0);
        refuse_partial(config)?;
        let Some(parameters) = parameters else { return Ok(Self { theta: outer_theta, scaling: RopeScaling::None }) };

        if let Some(key) = parameters.nested_key() {
            return Err(parameters.refuse(key, "rope that differs by kind of layer is not supported"));
        }
        refuse_partial(&parameters)?;
        let theta = parameters.positive("rope_theta")?.unwrap_or(outer_theta);
        let type_key = if parameters.get("rope_type").is_some() { "rope_type" } else { "type" };
        let required = |key| {
            let value = parameters.positive(key)?;
            value.ok_or_else(|| parameters.refuse(key, "this rope type needs it, a number above 0"))
        };
        let scaling = match parameters.text(type_key)?.unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: required("factor")? },
            "llama3" => {
                let original = config.count("original_max_position_embeddings", u32::MAX as usize)?;
                let inner = parameters.count("original_max_position_embeddings", u32::MAX as usize)?;
                let low_freq_factor = required("low_freq_factor")?;
                let high_freq_factor = required("high_freq_factor")?;
                if high_freq_factor <= low_freq_factor {
                    let supported = format!("it must be above low_freq_factor, which is {low_freq_factor}");
                    return Err(parameters.refuse("high_freq_factor", &supported));
                }
                RopeScaling::Llama3 {
                    factor: required("factor")?,
                    low_freq_factor,
                    high_freq_factor,
                    original_max_position_embeddings: original.or(inner).unwrap_or(max_position_embeddings),
                }
            }
            _ => return Err(parameters.refuse(type_key, "supported are default, linear and llama3")),
        };
        Ok(Self { theta, scaling })
    }

    /// The angle per position of each pair of a head, `[head_dim / 2]`.
    ///
    /// Every operation is rounded to f32 where the reference implementation rounds: a model was trained with those very
    /// numbers, and one unit in the last place of a frequency is an angle of 1e-4 at position 2000.
    pub fn inv_freq(&self, head_dim: usize) -> Vec<f32> {
        let base = (0..head_dim / 2).map(|pair| {
            let exponent = (2 * pair) as f32 / head_dim as f32;
            (self.theta.powf(f64::from(exponent)) as f32).recip()
        });
        base.map(|inv_freq| self.scaling.scale(inv_freq)).collect()
    }

    /// What the `rope` kernel reads, `[num_positions, head_dim]`: the cosines of a position's pairs, then their sines.
    pub fn table(&self, head_dim: usize, num_positions: usize) -> Vec<f32> {
        let inv_freq = self.inv_freq(head_dim);
        let mut table = Vec::with_capacity(num_positions * head_dim);
        for position in 0..num_positions {
            // The angle is rounded to f32 as in the reference; its cosine and sine are then exact but for one rounding.
            let angle = |inv_freq: &f32| f64::from(position as f32 * inv_freq);
            table.extend(inv_freq.iter().map(|inv_freq| angle(inv_freq).cos() as f32));
            table.extend(inv_freq.iter().map(|inv_freq| angle(inv_freq).sin() as f32));
        }
        table
    }
}

impl RopeScaling {
    /// The scaled frequency of a pair.
    fn scale(&self, inv_freq: f32) -> f32 {
        match *self {
            Self::None => inv_freq,
            Self::Linear { factor } => inv_freq / factor as f32,
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings } => {
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
        }
    }
}

/// Refuses rope that turns only a part of each head.
fn refuse_partial(keys: &Keys) -> Result<()> {
    match keys.positive("partial_rotary_factor")? {
        Some(factor) if factor != 1.0 => Err(keys.refuse("partial_rotary_factor", "only 1 is supported")),
        _ => Ok(()),
    }
}
