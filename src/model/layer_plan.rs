//! What each layer computes, as data: [`super::decoder`] follows it and asks for no architecture.
//!
//! Each kind here is one that runs. A config that asks for another is refused when it is read, by the name of what is
//! missing.

use super::architecture::Architecture;
use super::config_keys::{Keys, MAX_POSITIONS};
use crate::error::Result;

/// One layer: `x += mixer(norm(x))`, then `x += mlp(norm(x))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerPlan {
    /// What lets tokens see each other.
    pub mixer: Mixer,
    /// Where the norms of the two blocks are.
    pub norms: BlockNorms,
    /// What works on each token alone.
    pub mlp: Mlp,
}

/// What lets the tokens of a sequence see each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mixer {
    /// Causal attention.
    Attention(AttentionPlan),
}

/// How a layer attends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionPlan {
    /// What Q and K are turned by.
    pub rope: LayerRope,
    /// The query at position `i` sees the keys from `i - window + 1` to `i`. `None`: all keys up to `i`.
    pub window: Option<usize>,
    /// How Q and K are normalised before they are turned.
    pub head_norms: HeadNorms,
    /// Scores are multiplied by it.
    pub scale: f32,
}

/// What the heads of Q and K are turned by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerRope {
    /// The model's angles ([`super::RopeConfig`]).
    OfModel,
    /// Nothing: such a layer does not know positions ("NoPE", Kazemnejad et al. 2023).
    None,
}

/// How the heads of Q and K are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadNorms {
    /// They are not.
    None,
    /// Each head by itself, with one gain for all heads of Q and one for those of K (Henry et al. 2020).
    PerHead,
}

/// Where the norms of a layer's two blocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockNorms {
    /// What a block reads is normalised, what it adds is not.
    Before,
}

/// The kind of MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mlp {
    /// `down(silu(gate(x)) * up(x))` (Shazeer 2020).
    SiluGated,
}

impl AttentionPlan {
    /// The window as kernels take it: `u32::MAX` where a query sees all keys.
    pub fn window_or_all(&self) -> u32 {
        self.window.map_or(u32::MAX, |window| window as u32)
    }
}

impl LayerPlan {
    /// How it attends.
    pub fn attention(&self) -> &AttentionPlan {
        let Mixer::Attention(attention) = &self.mixer;
        attention
    }

    /// The same, to change it.
    pub fn attention_mut(&mut self) -> &mut AttentionPlan {
        let Mixer::Attention(attention) = &mut self.mixer;
        attention
    }
}

/// The plans of all layers, one after the other.
pub(super) fn parse_layers(
    config: &Keys,
    architecture: Architecture,
    num_layers: usize,
    head_dim: usize,
) -> Result<Vec<LayerPlan>> {
    let ropes = layer_ropes(config, architecture, num_layers)?;
    let windows = windows(config, architecture, &ropes)?;
    let head_norms = if architecture == Architecture::Qwen3 { HeadNorms::PerHead } else { HeadNorms::None };
    let scale = 1.0 / (head_dim as f32).sqrt();
    let plan = |(rope, window)| LayerPlan {
        mixer: Mixer::Attention(AttentionPlan { rope, window, head_norms, scale }),
        norms: BlockNorms::Before,
        mlp: Mlp::SiluGated,
    };
    Ok(ropes.into_iter().zip(windows).map(plan).collect())
}

/// Which layers turn Q and K: all, but in SmolLM3 those that `no_rope_layers` marks with 0, or else each fourth.
fn layer_ropes(config: &Keys, architecture: Architecture, num_layers: usize) -> Result<Vec<LayerRope>> {
    let rope_if = |has_rope| if has_rope { LayerRope::OfModel } else { LayerRope::None };
    if architecture != Architecture::SmolLm3 {
        return Ok(vec![LayerRope::OfModel; num_layers]);
    }
    let Some(marks) = config.get("no_rope_layers") else {
        let interval = config.count("no_rope_layer_interval", MAX_POSITIONS)?.unwrap_or(4);
        return Ok((1..=num_layers).map(|nth| rope_if(!nth.is_multiple_of(interval))).collect());
    };
    let has_rope = |mark: &serde_json::Value| match (mark.as_u64(), mark.as_bool()) {
        (Some(1), _) | (_, Some(true)) => Some(LayerRope::OfModel),
        (Some(0), _) | (_, Some(false)) => Some(LayerRope::None),
        _ => None,
    };
    let marks = marks.as_array().filter(|marks| marks.len() >= num_layers);
    let ropes: Option<Vec<_>> = marks.and_then(|marks| marks[..num_layers].iter().map(has_rope).collect());
    ropes.ok_or_else(|| {
        let supported = format!("use a list of {num_layers} numbers, 1 for a layer with rope and 0 for one without");
        config.refuse("no_rope_layers", &supported)
    })
}

/// The sliding window of each layer. `sliding_window` is not read where the model does not use it: there it may be 0.
fn windows(config: &Keys, architecture: Architecture, ropes: &[LayerRope]) -> Result<Vec<Option<usize>>> {
    let num_layers = ropes.len();
    let given = || config.count("sliding_window", MAX_POSITIONS);
    let given_or_default = || if config.has("sliding_window") { given() } else { Ok(Some(4096)) };
    let is_used = || config.flag("use_sliding_window", false);
    match architecture {
        Architecture::Llama => Ok(vec![None; num_layers]),
        Architecture::Mistral => Ok(vec![given_or_default()?; num_layers]),
        Architecture::Phi3 => Ok(vec![given()?; num_layers]),
        Architecture::Qwen2 | Architecture::Qwen3 => {
            let window = if is_used()? { given_or_default()? } else { None };
            if let Some(windows) = windows_of_layer_types(config, num_layers, window)? {
                return Ok(windows);
            }
            // The first layers see everything, those from `max_window_layers` on have the window.
            let num_full = config.count_or_zero("max_window_layers", MAX_POSITIONS)?.unwrap_or(28);
            Ok((0..num_layers).map(|layer| window.filter(|_| layer >= num_full)).collect())
        }
        Architecture::SmolLm3 => {
            let window = if is_used()? { given()? } else { None };
            if let Some(windows) = windows_of_layer_types(config, num_layers, window)? {
                return Ok(windows);
            }
            Ok(ropes.iter().map(|rope| window.filter(|_| *rope == LayerRope::None)).collect())
        }
    }
}

/// `layer_types` names the kind of every layer. `None` where it is missing.
fn windows_of_layer_types(
    config: &Keys,
    num_layers: usize,
    window: Option<usize>,
) -> Result<Option<Vec<Option<usize>>>> {
    let Some(kinds) = config.get("layer_types") else { return Ok(None) };
    let refuse = |supported: &str| config.refuse("layer_types", supported);
    let kinds = kinds.as_array().filter(|kinds| kinds.len() == num_layers);
    let kinds = kinds.ok_or_else(|| refuse(&format!("use a list of {num_layers} texts, one per layer")))?;
    let window_of = |kind: &serde_json::Value| match kind.as_str() {
        Some("full_attention") => Ok(None),
        Some("sliding_attention") if window.is_some() => Ok(window),
        Some("sliding_attention") => Err(refuse("sliding_attention needs use_sliding_window and sliding_window")),
        _ => Err(refuse("supported are full_attention and sliding_attention")),
    };
    kinds.iter().map(window_of).collect::<Result<_>>().map(Some)
}
