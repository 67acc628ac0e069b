//! Who computes in a step, and when the CPU and the GPU work.

use crate::shapes::{arrow, cell, empty};
use crate::svg::Svg;

/// Four decodes and the chunks of a prompt: the figures of phase 3.
pub fn mixed_steps() -> String {
    let mut svg = Svg::new(
        "Steps that mix decodes and a prompt's chunks",
        "Budget: 12 tokens a step. Requests 0 to 3 decode. Request 4 brings a prompt, in chunks of 4.",
        (508, 164),
    );
    for (nth, chunk) in [4, 4, 4, 0].into_iter().enumerate() {
        let y = 78 + nth * 34;
        svg.text("bold", (20, y + 20), &format!("step {}", nth + 5));
        let decodes = if chunk == 0 { 5 } else { 4 };
        for row in 0..12 {
            let at = (84 + row * 44, y);
            match row {
                row if row < decodes => cell(&mut svg, row as u64, at, (44, 32), &format!("{row} d")),
                row if row < decodes + chunk => cell(&mut svg, 4, at, (44, 32), "4 p"),
                _ => empty(&mut svg, at, (44, 32), ""),
            }
        }
    }
    svg.text("", (84, 230), "d: a decode · p: a token of a prompt · empty: budget that is not used");
    svg.finish()
}

/// Two timelines: each step waited for, and each next step begun before the last has ended.
pub fn async_scheduling() -> String {
    let mut svg = Svg::new(
        "A step begun before the last has ended",
        "Step 2 needs the token that step 1 samples. It stays on the GPU: the CPU plans step 2 without it.",
        (608, 276),
    );
    svg.text("bold", (20, 88), "One at a time: the GPU idles while the CPU reads, commits and plans");
    lanes(&mut svg, 98);
    for step in 0..3 {
        let x = 76 + step * 206;
        let id = step as u64;
        cell(&mut svg, id, (x, 98), (56, 30), &format!("plan {}", step + 1));
        arrow(&mut svg, (x + 54, 128), (x + 60, 138));
        cell(&mut svg, id, (x + 60, 140), (96, 30), &format!("compute {}", step + 1));
        arrow(&mut svg, (x + 152, 138), (x + 160, 128));
        cell(&mut svg, id, (x + 158, 98), (46, 30), &format!("read {}", step + 1));
    }
    svg.text("bold", (20, 220), "Async scheduling: while the GPU computes step 1, the CPU plans and submits step 2");
    lanes(&mut svg, 230);
    for step in 0..4 {
        cell(&mut svg, step as u64, (136 + step * 96, 272), (96, 30), &format!("compute {}", step + 1));
    }
    cell(&mut svg, 0, (76, 230), (56, 30), "plan 1");
    arrow(&mut svg, (130, 260), (138, 270));
    for step in 1..4 {
        // Step n + 1 is submitted while step n computes; what step n sampled is read when it has ended.
        let end_of_last = 136 + step * 96;
        let plan = if step == 1 { 144 } else { end_of_last - 50 };
        cell(&mut svg, step as u64, (plan, 230), (50, 30), &format!("plan {}", step + 1));
        cell(&mut svg, step as u64 - 1, (end_of_last, 230), (46, 30), &format!("read {step}"));
    }
    svg.text(
        "",
        (20, 328),
        "Where the next step cannot be foreseen (a prompt to compute, somebody to admit), the CPU waits as above.",
    );
    svg.finish()
}

fn lanes(svg: &mut Svg, y: usize) {
    for (nth, name) in [(0, "CPU"), (1, "GPU")] {
        svg.text("bold", (20, y + 20 + nth * 42), name);
        svg.rect("lane", (72, y + nth * 42 - 2), (628, 34));
    }
}
