//! From a Hugging Face model folder to what a forward pass needs.
//!
//! ```text
//! ModelFolder ── config.json, generation_config.json ──▶ ModelConfig ──▶ expected_tensors
//!             └─ *.safetensors ──▶ WeightFiles ── check_all ──▶ TensorChunks, f32, a bounded piece at a time
//! ```

pub mod architecture;
pub mod config;
mod config_keys;
pub mod expected_tensors;
pub mod folder;
pub mod rope;
pub mod safetensors;
pub mod tensor_chunks;

pub use architecture::Architecture;
pub use config::ModelConfig;
pub use folder::ModelFolder;
pub use rope::{RopeConfig, RopeScaling};
pub use safetensors::WeightFiles;
