//! Rope as config.json has it, in the forms of both generations of transformers.

use super::architecture::Architecture;
use super::config_keys::Keys;
use super::refusals::{MROPE_SECTION, ROPE_BY_LAYER};
use super::rope::{RopeConfig, RopeScaling};
use crate::error::Result;

impl RopeConfig {
    /// Reads either form: `rope_theta` and `rope_scaling` (up to transformers 4), or `rope_parameters` (from 5 on).
    /// As in transformers, `rope_scaling` wins over `rope_parameters`, and a value inside the object wins over the same
    /// key beside it, with one exception: `original_max_position_embeddings` beside the object wins.
    pub(super) fn parse(
        config: &Keys,
        architecture: Architecture,
        head_dim: usize,
        max_position_embeddings: usize,
    ) -> Result<Self> {
        let parameters = config.object("rope_scaling")?.or(config.object("rope_parameters")?);
        let theta = config.positive("rope_theta")?.unwrap_or(architecture.defaults().rope_theta);
        let Some(parameters) = parameters else {
            let rotary_dim = rotary_dim(config, config, architecture, head_dim)?;
            return Ok(Self { theta, rotary_dim, scaling: RopeScaling::None });
        };
        if let Some(key) = parameters.nested_key() {
            return Err(parameters.refuse(key, ROPE_BY_LAYER));
        }
        for (key, missing) in
            [("llama_4_scaling_beta", "queries that are scaled by their position are not supported"), MROPE_SECTION]
        {
            if parameters.get(key).is_some() {
                return Err(parameters.refuse(key, missing));
            }
        }
        let theta = parameters.positive("rope_theta")?.unwrap_or(theta);
        let rotary_dim = rotary_dim(config, &parameters, architecture, head_dim)?;
        let parser =
            Parser { config, parameters: &parameters, architecture, theta, rotary_dim, max_position_embeddings };
        Ok(Self { theta, rotary_dim, scaling: parser.scaling()? })
    }
}

/// How many values of a head turn: `partial_rotary_factor` of them, beside the rope parameters or among them.
fn rotary_dim(config: &Keys, parameters: &Keys, architecture: Architecture, head_dim: usize) -> Result<usize> {
    let keys = if parameters.get("partial_rotary_factor").is_some() { parameters } else { config };
    let factor = keys.positive("partial_rotary_factor")?.unwrap_or(1.0);
    let refuse = |supported: &str| Err(keys.refuse("partial_rotary_factor", supported));
    if factor != 1.0 && architecture != Architecture::Phi3 {
        return refuse("only 1 is supported for this architecture");
    }
    if factor > 1.0 {
        return refuse("it must be at most 1");
    }
    let rotary_dim = (head_dim as f64 * factor) as usize;
    if rotary_dim == 0 || !rotary_dim.is_multiple_of(2) {
        return refuse(&format!("{rotary_dim} of a head's {head_dim} values would turn; they turn in pairs"));
    }
    Ok(rotary_dim)
}

/// What the type of rope is worked out from.
struct Parser<'a> {
    config: &'a Keys,
    parameters: &'a Keys,
    architecture: Architecture,
    theta: f64,
    rotary_dim: usize,
    max_position_embeddings: usize,
}

impl Parser<'_> {
    fn scaling(&self) -> Result<RopeScaling> {
        let is_phi3 = self.architecture == Architecture::Phi3;
        let type_key = if self.parameters.get("rope_type").is_some() { "rope_type" } else { "type" };
        let refuse = |supported| Err(self.parameters.refuse(type_key, supported));
        match self.parameters.text(type_key)?.unwrap_or("default") {
            "default" => Ok(RopeScaling::None),
            // Files of the first Phi-3 call it so.
            "longrope" | "su" | "yarn" if is_phi3 => self.longrope(),
            _ if is_phi3 => refuse("supported for Phi-3 are default and longrope"),
            "linear" => Ok(RopeScaling::Linear { factor: self.required("factor")? }),
            "llama3" => self.llama3(),
            "yarn" => self.yarn(),
            "longrope" => refuse("longrope is supported for Phi3ForCausalLM alone"),
            _ => refuse("supported are default, linear, llama3 and yarn"),
        }
    }

    fn required(&self, key: &str) -> Result<f64> {
        let value = self.parameters.positive(key)?;
        value.ok_or_else(|| self.parameters.refuse(key, "this rope type needs it, a number above 0"))
    }

    /// Longest sequence of the first training.
    fn original(&self) -> Result<usize> {
        const KEY: &str = "original_max_position_embeddings";
        let inner = self.parameters.count(KEY, u32::MAX as usize)?;
        let outer = self.config.count(KEY, u32::MAX as usize)?;
        Ok(match self.architecture {
            // Its configuration class always has the key, so that what is inside the object never counts.
            Architecture::Phi3 => outer.unwrap_or(4096),
            _ => outer.or(inner).unwrap_or(self.max_position_embeddings),
        })
    }

    fn llama3(&self) -> Result<RopeScaling> {
        let low_freq_factor = self.required("low_freq_factor")?;
        let high_freq_factor = self.required("high_freq_factor")?;
        if high_freq_factor <= low_freq_factor {
            let supported = format!("it must be above low_freq_factor, which is {low_freq_factor}");
            return Err(self.parameters.refuse("high_freq_factor", &supported));
        }
        Ok(RopeScaling::Llama3 {
            factor: self.required("factor")?,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings: self.original()?,
        })
    }

    fn yarn(&self) -> Result<RopeScaling> {
        let parameters = self.parameters;
        let original = self.original()? as f64;
        // Null is the ratio of the two lengths, as DeepSeek writes it.
        let factor = match parameters.has("factor") && parameters.get("factor").is_none() {
            true => self.max_position_embeddings as f64 / original,
            false => self.required("factor")?,
        };
        // 0 is as good as none.
        let or_default = |key, default| {
            let is_zero = parameters.get(key).is_some_and(|value| value.as_f64() == Some(0.0));
            if is_zero { Ok(default) } else { Ok(parameters.positive(key)?.unwrap_or(default)) }
        };
        let mscales = [or_default("mscale", 0.0)?, or_default("mscale_all_dim", 0.0)?];
        let scale = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
        let attention_factor = match (parameters.positive("attention_factor")?, mscales) {
            (Some(given), _) => given,
            (None, [mscale, all_dim]) if mscale > 0.0 && all_dim > 0.0 => scale(mscale) / scale(all_dim),
            (None, _) => scale(1.0),
        };

        // The pair that makes so many turns within the original length.
        let pair_of = |turns: f64| {
            self.rotary_dim as f64 * (original / (turns * 2.0 * std::f64::consts::PI)).ln() / (2.0 * self.theta.ln())
        };
        let (first, last) = (pair_of(or_default("beta_fast", 32.0)?), pair_of(or_default("beta_slow", 1.0)?));
        if !(first.is_finite() && last.is_finite()) {
            return Err(parameters.refuse("rope_theta", "yarn needs one above 1"));
        }
        let truncate = parameters.flag("truncate", true)?;
        let (first, last) = if truncate { (first.floor(), last.ceil()) } else { (first, last) };
        let (first, last) = (first.max(0.0), last.min(self.rotary_dim as f64 - 1.0));
        // A ramp has a length.
        let last = if first == last { last + 0.001 } else { last };
        Ok(RopeScaling::Yarn { factor, ramp: [first, last], attention_factor })
    }

    fn longrope(&self) -> Result<RopeScaling> {
        let original = self.original()?;
        let factors = |key| {
            let factors = self.parameters.positives(key)?.filter(|factors| factors.len() == self.rotary_dim / 2);
            let supported = format!("use a list of {} numbers, one for each pair that turns", self.rotary_dim / 2);
            factors.ok_or_else(|| self.parameters.refuse(key, &supported))
        };
        let ratio = self.max_position_embeddings as f64 / original as f64;
        let factor = self.parameters.positive("factor")?.unwrap_or(ratio);
        let attention_factor = match self.parameters.positive("attention_factor")? {
            Some(given) => given,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
        };
        if !attention_factor.is_finite() {
            return Err(self.parameters.refuse("attention_factor", "give one where the original length is 1"));
        }
        Ok(RopeScaling::LongRope {
            short_factor: factors("short_factor")?,
            long_factor: factors("long_factor")?,
            attention_factor,
            original_max_position_embeddings: original,
        })
    }
}
