//! Where tokens, and their K and V, lie in memory.

use crate::shapes::{arrow, cell, empty};
use crate::svg::Svg;

/// A token of a layer: what is made of it, and where that goes.
pub fn kv_layout() -> String {
    let mut svg = Svg::new(
        "K and V of a token, and where they go",
        "One layer. Every layer has a K pool and a V pool of its own, and all use the same slots.",
        (608, 236),
    );
    cell(&mut svg, 0, (20, 148), (96, 34), "token 4");
    svg.text("small muted", (20, 140), "hidden state");
    for (nth, name, what) in
        [(0, "q", "used in this step only"), (1, "k", "rotated by its position"), (2, "v", "kept as it is")]
    {
        let y = 86 + nth * 62;
        arrow(&mut svg, (120, 164), (168, y + 17));
        cell(&mut svg, 0, (172, y), (60, 34), name);
        svg.text("small muted", (172, y + 48), what);
    }
    for (nth, name) in [(0, "K pool"), (1, "V pool")] {
        let y = 138 + nth * 62;
        svg.text("bold", (400, y + 4), name);
        for slot in 0..8 {
            let at = (400 + slot * 38 + slot / 4 * 12, y + 10);
            match slot {
                0..4 => cell(&mut svg, 0, at, (38, 30), &slot.to_string()),
                4 => cell(&mut svg, 0, at, (38, 30), "4"),
                _ => empty(&mut svg, at, (38, 30), ""),
            }
        }
        // To the middle of the slot, from above.
        let source = (236, 165 + nth * 62);
        let over = y - 14;
        svg.path("mark", &format!("M{} {}L360 {}L360 {over}L582 {over}", source.0, source.1, source.1));
        arrow(&mut svg, (582, over), (582, y + 8));
    }
    svg.text("small muted", (400, 254), "block 0: positions 0 to 3");
    svg.text("small muted", (564, 254), "block 1: from 4 on");
    svg.text(
        "",
        (20, 290),
        "Later tokens attend to positions 0 to 4. Nothing of token 4 is computed again: only its k and v are kept.",
    );
    svg.finish()
}

/// Three requests as a rectangle, and one after the other.
pub fn padded_vs_ragged() -> String {
    let mut svg = Svg::new(
        "A padded batch and a ragged batch",
        "Three requests compute 3, 1 and 4 tokens in this step. B decodes, at position 7.",
        (508, 230),
    );
    let requests: [(&str, usize, usize); 3] = [("A", 0, 3), ("B", 7, 1), ("C", 0, 4)];
    svg.text("bold", (20, 84), "Padded: 12 rows, 4 of them for nothing");
    for (nth, (name, first, len)) in requests.into_iter().enumerate() {
        for column in 0..4 {
            let at = (20 + column * 60, 94 + nth * 32);
            match column < len {
                true => cell(&mut svg, nth as u64, at, (60, 32), &format!("{name}{}", first + column)),
                false => empty(&mut svg, at, (60, 32), "padding"),
            }
        }
    }
    svg.text("bold", (20, 218), "Ragged: 8 rows, all of them used");
    let mut row = 0;
    for (nth, (name, first, len)) in requests.into_iter().enumerate() {
        svg.text("small bold m", (20 + row * 60, 276), &row.to_string());
        for column in 0..len {
            cell(&mut svg, nth as u64, (20 + row * 60, 228), (60, 32), &format!("{name}{}", first + column));
            row += 1;
        }
    }
    svg.text("small bold m", (20 + row * 60 - 2, 276), &row.to_string());
    svg.text("small muted", (516, 276), "cu_seqlens_q");
    svg.finish()
}

/// From a position to a slot of the pool.
pub fn block_table() -> String {
    let mut svg = Svg::new(
        "From logical to physical blocks",
        "Request A has 6 tokens, and blocks of 4 tokens. Its block table is [5, 2].",
        (508, 220),
    );
    svg.text("bold", (20, 90), "What request A sees: positions in order");
    for position in 0..8 {
        let at = (20 + position * 38 + position / 4 * 30, 100);
        match position < 6 {
            true => cell(&mut svg, 0, at, (38, 30), &position.to_string()),
            false => empty(&mut svg, at, (38, 30), ""),
        }
    }
    svg.text("small muted", (20, 144), "logical block 0");
    svg.text("small muted", (202, 144), "logical block 1");
    let block = |physical: usize| 20 + physical * 76;
    svg.text("bold", (420, 196), "The pool: 8 physical blocks");
    arrow(&mut svg, (96, 152), (block(5) + 36, 208));
    arrow(&mut svg, (278, 152), (block(2) + 36, 208));
    for physical in 0..8 {
        for offset in 0..4 {
            let at = (block(physical) + offset * 18, 212);
            match (physical, offset) {
                (5, _) => cell(&mut svg, 0, at, (18, 30), &offset.to_string()),
                (2, 0 | 1) => cell(&mut svg, 0, at, (18, 30), &(4 + offset).to_string()),
                (0 | 3, _) => cell(&mut svg, 1, at, (18, 30), ""),
                _ => empty(&mut svg, at, (18, 30), ""),
            }
        }
        svg.text("small muted m", (block(physical) + 36, 256), &physical.to_string());
    }
    svg.text(
        "",
        (20, 282),
        "Slot of position 5 = block table[5 / 4] · 4 + 5 mod 4 = 2 · 4 + 1 = 9.  Orange: another request.",
    );
    svg.finish()
}
