//! What draws a run in a page, for every page that shows one: a script and its style.
//!
//! The script has two functions, which draw into the elements with the ids below.
//!
//! ```text
//! drawLanes(facts, choose)   all steps, a cell each, into #lanes; choose(step) is called when one is clicked
//! drawStep(facts, step)      a step, counted from 0, into #queues, #budget, #news, #blocks, #tokens, #texts
//!
//! facts                      block_size, num_kv_blocks, max_tokens_per_step, blocks: [block that is held at some time]
//!   .requests                id, prompt_len, max_new_tokens, lane: a letter a step, p d w x i or a space
//!   .steps                   waiting, running: [id], ended: [[id, reason]], news: [[id, topic, text]],
//!                            tokens: [[id, position, slot, prefill | recomputed | decode]], cached: [tokens],
//!                            owners: [[block, [id]]], text: [[id, text]]
//! ```

/// The script, to stand in a page before what calls it. It asks for nothing from elsewhere.
pub const SCRIPT: &str = include_str!("page/draw.js");

/// Its style. The page sets the colours that it names.
pub const STYLE: &str = include_str!("page/draw.css");
