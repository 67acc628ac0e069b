//! What the token budget of each step went to.

use crate::common::percent;
use crate::svg::{LEFT, Point, Size, Svg, TOP, limits, step_width};
use cb_lab::observe::Recording;
use cb_lab::observe::snapshots::{Snapshot, TokenKind};

const HEIGHT: usize = 168;
/// From the bottom of a bar to its top.
const KINDS: [TokenKind; 3] = [TokenKind::Decode, TokenKind::Prefill, TokenKind::Recomputed];

pub fn draw(recording: &Recording, snapshots: &[Snapshot]) -> String {
    let (budget, width) = (recording.run.config.max_tokens_per_step, step_width(snapshots.len()));
    let all = snapshots.len() * width;
    let top = highest(snapshots.iter().map(|snapshot| snapshot.tokens.len()).max().unwrap_or(0), budget);
    let y_of = |tokens: usize| TOP + 8 + HEIGHT - tokens * HEIGHT / top;
    let used: usize = snapshots.iter().map(|snapshot| snapshot.tokens.len()).sum();
    let subtitle = format!("{} Used: {} %.", limits(recording), percent(used, budget * snapshots.len()));
    let mut svg = Svg::new("What the budget of each step goes to", &subtitle, (all, 8 + HEIGHT));
    for quarter in 0..4 {
        let (tokens, y) = (top * quarter / 4, y_of(top * quarter / 4));
        svg.line("grid", (LEFT, y), (LEFT + all, y));
        svg.text("small muted e", (LEFT - 12, y + 4), &tokens.to_string());
    }
    if top == budget {
        svg.line("dashed", (LEFT, y_of(top)), (LEFT + all, y_of(top)));
        svg.text("small bold e", (LEFT - 12, y_of(top) + 4), &format!("budget {budget}"));
    } else {
        svg.line("grid", (LEFT, y_of(top)), (LEFT + all, y_of(top)));
        svg.text("small muted e", (LEFT - 12, y_of(top) + 4), &top.to_string());
        svg.text("small bold e", (LEFT - 12, y_of(top) - 10), &format!("budget {budget} ↑"));
    }
    svg.text("muted", (20, TOP + 8 + HEIGHT / 2), "tokens");
    let gap = if width < 12 { 1 } else { 4 };
    for (nth, snapshot) in snapshots.iter().enumerate() {
        let mut below = 0;
        for kind in KINDS {
            let (bottom, top) = (y_of(below), y_of(below + snapshot.count(kind)));
            if top < bottom {
                bar(&mut svg, kind, (LEFT + nth * width + gap / 2, top), (width - gap, bottom - top));
            }
            below += snapshot.count(kind);
        }
    }
    svg.step_axis(snapshots.len(), TOP + 8 + HEIGHT);
    svg.legend(&[
        (|svg, at| bar(svg, TokenKind::Decode, at, (22, 16)), "decodes"),
        (|svg, at| bar(svg, TokenKind::Prefill, at, (22, 16)), "prompts"),
        (|svg, at| bar(svg, TokenKind::Recomputed, at, (22, 16)), "computed again after a preemption"),
    ]);
    svg.finish()
}

/// Tokens at the top of the plot: the budget, unless bars would be too low to see.
fn highest(most: usize, budget: usize) -> usize {
    if 4 * most > budget { budget } else { most.next_multiple_of(4).clamp(1, budget) }
}

fn bar(svg: &mut Svg, kind: TokenKind, at: Point, size: Size) {
    match kind {
        TokenKind::Decode => svg.rect("ink", at, size),
        TokenKind::Prefill => svg.rect("mid", at, size),
        TokenKind::Recomputed => {
            svg.rect("outlined", (at.0 + 1, at.1 + 1), (size.0.saturating_sub(2), size.1.saturating_sub(2)))
        }
    }
}
