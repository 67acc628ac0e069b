//! The files of a model, wherever they are. Small ones are read whole; weights are read in pieces, each at its position.
//!
//! ```text
//! ModelFolder ─┬─ read ─────────▶ config.json, tokenizer.json, templates
//!              └─ open_file ────▶ FolderFile ── read_at ──▶ WeightFiles (headers), TensorChunks (weights)
//! ```
//!
//! A positioned read is async, so that a file may be on disk, in the binary or, later, behind a browser's `fetch`. Nothing
//! here knows what a model is.

pub mod folder;
pub mod folder_file;
mod json;
pub mod reading;
pub mod safetensors;
pub mod tensor_chunks;

pub use folder::ModelFolder;
pub use folder_file::FolderFile;
pub use reading::Reading;
pub use safetensors::WeightFiles;
pub use tensor_chunks::TensorChunks;
