//! Phase 2: the ragged batch. Sequences of any length lie one after the other, without padding; a mask keeps them apart.

mod common;

use cb_lab::RequestId;
use cb_lab::backend::Backend;
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::ragged_mask::RaggedMask;
use clap::Parser;
use common::{Demo, Device, Lab, Limits, Outcome, Screen, percent};
use std::io::Write;
use std::process::ExitCode;

/// A step that mixes a decode, a prompt's second chunk and a fresh prompt: its token table and its mask.
#[derive(Parser)]
#[command(after_help = "Try:\n  --prefill-chunk-size 2    narrower triangles, and more of them to come\n  \
    --max-tokens-per-step 4   who is left out, and why?\n  \
    --block-size 1            request 0's next slot lies behind request 1's; the mask does not care")]
struct Args {
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    let args = Args::parse();
    common::main(&args.device, &args)
}

impl Demo for Args {
    fn run<B: Backend>(&self, backends: impl Fn() -> Outcome<B>, screen: &mut Screen) -> Outcome {
        let mut lab = Lab::new(backends()?, &self.limits)?;
        lab.submit(3, 4, None)?;
        lab.submit(10, 4, None)?;
        lab.step()?;
        lab.submit(6, 4, None)?;
        let (step, _) = lab.step()?;

        writeln!(screen, "{}", screen.bold("The second step"))?;
        for row in &step.rows {
            let what = match (row.context_len, row.samples && row.query_len == 1) {
                (_, true) => "a decode: one token, to get the next",
                (0, _) => "a fresh prompt",
                _ => "a later chunk of a prompt",
            };
            let line = format!("request {}: {what} (context {} + query {})", row.id, row.context_len, row.query_len);
            writeln!(screen, "{}", screen.paint(row.id, &line))?;
        }
        for (id, why) in lab.skipped() {
            writeln!(screen, "request {id} has no row: {why}")?;
        }

        let ids: Vec<RequestId> = step.rows.iter().map(|row| row.id).collect();
        self.draw_mask(lab.engine.runner().batch(), &ids, screen)?;
        self.compare_with_padding(lab.engine.runner().batch(), screen)
    }
}

impl Args {
    /// The token table, and beside it who attends to whom.
    fn draw_mask(&self, batch: &RaggedBatch, ids: &[RequestId], screen: &mut Screen) -> Outcome {
        let mask = RaggedMask::new(batch);
        let num_tokens = batch.num_tokens();
        writeln!(
            screen,
            "\n{}",
            screen.bold(&format!("{:24}│{:14}│ rows of this step", "Token table", " attends to:"))
        )?;
        let numbers: String = (0..num_tokens).map(|row| format!(" {}", row % 10)).collect();
        writeln!(screen, "row  request  pos  slot │ in the cache │{numbers}")?;
        for row in 0..num_tokens {
            let id = ids[mask.seq_of_row(row)];
            let cells: String = (0..num_tokens).map(|key| if mask.attends(row, key) { " ■" } else { " ·" }).collect();
            let (position, slot) = (batch.positions[row], batch.slot_mapping[row]);
            let cached = format!("{:12}", mask.num_cached(row));
            let line = format!("{row:3} {:>8} {position:4} {slot:5} │ {cached} │{cells}", id.to_string());
            writeln!(screen, "{}", screen.paint(id, &line))?;
        }
        writeln!(
            screen,
            "slot = physical block · {} + offset: where the row's K and V are stored.\n\
             Each triangle is one request. Outside the triangles nobody sees anybody.",
            batch.block_size
        )?;
        Ok(())
    }

    /// What a batch as a rectangle would have cost: every sequence as long as the longest.
    fn compare_with_padding(&self, batch: &RaggedBatch, screen: &mut Screen) -> Outcome {
        let seqs = 0..batch.num_seqs();
        let longest_query = seqs.clone().map(|seq| batch.query_len(seq)).max().unwrap_or(0);
        let longest_seq = seqs.clone().map(|seq| batch.seq_len(seq)).max().unwrap_or(0);
        let padded_rows = seqs.len() * longest_query;
        let padded_scores = padded_rows * longest_seq;
        let scores: usize = batch.positions.iter().map(|&position| position as usize + 1).sum();
        let wasted = |used: usize, all: usize| percent(all - used, all);

        writeln!(screen, "\n{}", screen.bold("                       ragged   padded   wasted by padding"))?;
        let (rows, percent) = (batch.num_tokens(), wasted(batch.num_tokens(), padded_rows));
        writeln!(screen, "rows                 {rows:8} {padded_rows:8} {percent:6} %")?;
        let percent = wasted(scores, padded_scores);
        writeln!(screen, "attention scores     {scores:8} {padded_scores:8} {percent:6} %")?;
        writeln!(
            screen,
            "Padded: {} sequences of {longest_query} rows, each against {longest_seq} keys.\n\
             Ragged: a row at position p has p + 1 scores, and no row is there for nothing.",
            seqs.len()
        )?;
        Ok(())
    }
}
