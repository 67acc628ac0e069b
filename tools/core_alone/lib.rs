//! What the control plane is made of, and nothing above it.

#[path = "../../src/config.rs"]
pub mod config;
#[path = "../../src/core/mod.rs"]
pub mod core;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/ids.rs"]
pub mod ids;

pub use config::EngineConfig;
pub use error::{Error, Result};
pub use ids::{BlockId, RequestId, TokenId};
