//! Phase 5: the paged KV cache. Who holds which block, what is wasted, and that attention does not notice.

mod common;

use cb_lab::backend::Backend;
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::sequence::Sequence;
use cb_lab::engine::inspect::attention_against_dense;
use clap::Parser;
use common::{Demo, Device, Lab, Limits, Outcome, Requests, Sampling, Screen, digit, percent};
use pollster::block_on;
use std::io::Write;
use std::process::ExitCode;

/// Block tables and the pool they point into, after prefill, after some decodes, and after a request has ended.
#[derive(Parser)]
#[command(after_help = "Try:\n  --block-size 1            no waste, and a table entry for every token\n  \
    --block-size 16           short tables, and mostly unused last blocks\n  \
    --requests 8              a fuller pool")]
struct Args {
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    requests: Requests,
    #[command(flatten)]
    sampling: Sampling,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&args.device, &args)
}

impl Demo for Args {
    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        let mut lab = Lab::new(backends()?, &self.limits.with_pool_for(112))?;
        for nth in 0..self.requests.requests {
            // The first is the first to end.
            let max_new_tokens = self.requests.max_new_tokens + 4 * nth;
            lab.submit(self.requests.prompt_len(nth), max_new_tokens, Some(&self.sampling))?;
        }
        let max_model_len = lab.engine.scheduler().config().max_model_len;

        let is_prefilled = |sequence: &Sequence| sequence.context_len() >= sequence.request().prompt_token_ids.len();
        while !lab.engine.scheduler().running().all(is_prefilled) || lab.recording.steps().next().is_none() {
            lab.step()?;
        }
        self.draw("After prefill", lab.engine.scheduler(), screen)?;

        // Stepping on until somebody ends shows tables grow, and blocks come back.
        let (step, _) = lab.step()?;
        lab.step()?;
        self.draw(
            &format!("Two steps after step {}: a table grows at a block edge", step.step - 1),
            lab.engine.scheduler(),
            screen,
        )?;
        self.show_waste(lab.engine.scheduler(), max_model_len, screen)?;
        let difference = block_on(attention_against_dense(&mut lab.engine))?;
        let rows = lab.engine.runner().batch().num_tokens();

        while !lab.engine.is_idle() {
            let (step, _) = lab.step()?;
            let Some(ended) = step.finished.first() else { continue };
            let late = lab.submit(self.requests.prompt_len, 4, Some(&self.sampling))?;
            lab.step()?;
            let admitted = lab.engine.scheduler().running().any(|sequence| sequence.id() == late);
            let then = if admitted { "takes the blocks that were free for longest" } else { "waits for free blocks" };
            let title = format!("Request {} has ended; {late} {then}", ended.id);
            self.draw(&title, lab.engine.scheduler(), screen)?;
            break;
        }

        writeln!(screen, "\n{}", screen.bold("Paged = dense"))?;
        writeln!(
            screen,
            "{rows} rows of one step, in the last layer: the engine read K and V through block\n\
             tables, dense attention in f64 read them from one array, in order. Largest\n\
             difference: {:.1e}, where values go up to {:.2}.",
            difference.largest, difference.largest_value
        )?;
        Ok(())
    }
}

impl Args {
    fn draw(&self, title: &str, scheduler: &Scheduler, screen: &mut Screen) -> Outcome {
        writeln!(screen, "\n{}", screen.bold(title))?;
        let (block_size, num_blocks) = (self.limits.block_size, scheduler.config().num_kv_blocks);
        // How a block is drawn: a character per slot where that fits, else one.
        let slots = if block_size <= 8 { block_size } else { 1 };
        let mut pool = vec!["·".repeat(slots); num_blocks];
        for sequence in scheduler.running() {
            let blocks = sequence.block_table().blocks();
            let ids: Vec<String> = blocks.iter().map(|block| block.to_string()).collect();
            let line =
                format!("request {}: {:2} tokens in blocks [{}]", sequence.id(), sequence.context_len(), ids.join(" "));
            writeln!(screen, "{}", screen.paint(sequence.id(), &line))?;
            for (logical, block) in blocks.iter().enumerate() {
                let filled = sequence.context_len().saturating_sub(logical * block_size).min(block_size);
                let filled = (filled * slots).div_ceil(block_size);
                let text = digit(sequence.id()).to_string().repeat(filled) + &"_".repeat(slots - filled);
                pool[block.0 as usize] = screen.paint(sequence.id(), &text);
            }
        }
        let per_line = 1 << (66 / (slots + 1)).ilog2();
        for (line, blocks) in pool.chunks(per_line).enumerate() {
            writeln!(screen, "  block {:3}  {}", line * per_line, blocks.join(" "))?;
        }
        let unit = if slots == block_size { "token" } else { "block" };
        writeln!(screen, "  a digit: a {unit} of that request   _ a slot still unused   · free")?;
        Ok(())
    }

    /// How much of what is held is unused, for every block size, and if every request had its longest length reserved.
    fn show_waste(&self, scheduler: &Scheduler, max_model_len: usize, screen: &mut Screen) -> Outcome {
        let lens: Vec<usize> = scheduler.running().map(Sequence::context_len).collect();
        let tokens: usize = lens.iter().sum();
        writeln!(screen, "\n{}", screen.bold("What other block sizes would hold for the same tokens"))?;
        writeln!(screen, "block size   blocks   slots held   unused   table entries")?;
        let mut show = |name: String, blocks: usize, slots: usize| {
            let unused = percent(slots - tokens, slots);
            writeln!(screen, "{name:>10} {blocks:8} {slots:12} {unused:6} %  {blocks:14}")
        };
        for block_size in [1, 2, 4, 8, 16, 32, 64] {
            let blocks: usize = lens.iter().map(|len| len.div_ceil(block_size)).sum();
            show(block_size.to_string(), blocks, blocks * block_size)?;
        }
        show("no paging".into(), lens.len(), lens.len() * max_model_len)?;
        writeln!(
            screen,
            "All prompts are read: only last blocks have unused slots. No paging: {max_model_len} slots for each."
        )?;
        Ok(())
    }
}
