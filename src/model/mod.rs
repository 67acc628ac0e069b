//! From a Hugging Face model folder to what a forward pass needs.
//!
//! ```text
//! config.json, generation_config.json ──▶ ModelConfig: sizes, and a LayerPlan for each layer ──▶ TensorTable
//! *.safetensors ──▶ WeightFiles ── checked, measured and loaded by the TensorTable ──▶ Weights ──▶ Decoder
//! ```

pub mod architecture;
mod checkpoint;
pub mod config;
mod config_keys;
pub mod decoder;
pub mod embedded;
pub mod head_order;
pub mod layer_plan;
pub mod memory_plan;
mod refusals;
pub mod rope;
mod rope_parse;
pub mod rope_table;
pub mod tensor_table;
pub mod weights;

pub use crate::files::{ModelFolder, WeightFiles};
pub use architecture::Architecture;
pub use config::{ModelConfig, Projections};
pub use layer_plan::LayerPlan;
pub use rope::{Reach, RopeConfig, RopeScaling};
pub use tensor_table::TensorTable;
