//! The fast kernels of the CPU: tiles of rows by vectors of outputs, on all threads. See [`super`].

mod ahead;
mod attend_split;
pub mod attend_tiles;
mod few_rows;
mod forms;
pub mod instruction_set;
pub mod matmul;
pub mod panels;
pub mod query_tile;
mod scores;
pub mod threads;
mod tile;
pub mod unpack;
