//! From a Hugging Face model folder to what a forward pass needs.
//!
//! ```text
//! ModelFolder ── config.json, generation_config.json ──▶ ModelConfig ──▶ expected_tensors
//!             └─ *.safetensors ──▶ WeightFiles ── check_all ──▶ TensorChunks ──▶ Weights ──▶ Decoder
//! ```

pub mod architecture;
pub mod config;
mod config_keys;
pub mod decoder;
pub mod embedded;
pub mod expected_tensors;
pub mod memory_plan;
pub mod rope;
pub mod weights;

pub use crate::files::{ModelFolder, WeightFiles};
pub use architecture::Architecture;
pub use config::ModelConfig;
pub use rope::{RopeConfig, RopeScaling};
