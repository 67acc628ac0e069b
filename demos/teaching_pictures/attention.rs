//! How attention walks over K and V.

use crate::shapes::{arrow, cell, empty};
use crate::svg::Svg;

/// Scores come in pieces; a running maximum, total and sum are all that is kept of them.
pub fn online_softmax() -> String {
    let mut svg = Svg::new(
        "Online softmax, step by step",
        "Scores arrive two at a time. Kept: the largest score m, and total l and sum o of the weights exp(score - m).",
        (608, 216),
    );
    let (mut largest, mut total, mut sum) = (f64::NEG_INFINITY, 0.0, 0.0);
    let headings =
        [(20, "scores"), (132, "values"), (244, "m"), (312, "what was kept is scaled by"), (512, "l"), (604, "o")];
    for (x, heading) in headings {
        svg.text("bold", (x, 88), heading);
    }
    for (nth, tile) in
        [[(1.0, 10.0), (2.0, 20.0)], [(4.0, 30.0), (0.0, 40.0)], [(3.0, 50.0), (4.0, 60.0)]].iter().enumerate()
    {
        let y = 100 + nth * 46;
        for (column, (score, value)) in tile.iter().enumerate() {
            cell(&mut svg, nth as u64, (20 + column * 48, y), (48, 34), &score.to_string());
            empty(&mut svg, (132 + column * 48, y), (48, 34), &value.to_string());
        }
        let before = largest;
        largest = tile.iter().fold(largest, |most, (score, _)| most.max(*score));
        let scale = (before - largest).exp();
        total = total * scale + tile.iter().map(|(score, _)| (score - largest).exp()).sum::<f64>();
        sum = sum * scale + tile.iter().map(|(score, value)| (score - largest).exp() * value).sum::<f64>();
        let scaled_by = match nth {
            0 => "nothing is kept yet".to_owned(),
            _ => format!("exp({before} - {largest}) = {scale:.3}"),
        };
        for (x, text) in
            [(244, largest.to_string()), (312, scaled_by), (512, format!("{total:.3}")), (604, format!("{sum:.2}"))]
        {
            svg.text("", (x, y + 21), &text);
        }
    }
    let end = format!(
        "At the end: o / l = {sum:.2} / {total:.3} = {:.2}, as a softmax over all six scores gives.",
        sum / total
    );
    svg.text("bold", (20, 262), &end);
    svg.finish()
}

/// Ragged attention: tiles of tokens, from the first to the row's own.
pub fn tiles() -> String {
    let mut svg = Svg::new(
        "Tiles of ragged attention",
        "A chunk of 4 tokens with 8 in the cache. K and V are walked in tiles (here of 4; in the kernels of 16 or 32).",
        (608, 212),
    );
    for tile in 0..3 {
        let x = 132 + tile * 188;
        let cached = if tile < 2 { "from the cache" } else { "of this step" };
        svg.text("small bold", (x, 88), &format!("tile {} ({cached})", tile + 1));
        for key in 0..4 {
            svg.text("small muted m", (x + key * 44 + 21, 106), &(tile * 4 + key).to_string());
        }
    }
    for row in 0..4 {
        let y = 112 + row * 32;
        svg.text("", (20, y + 20), &format!("position {}", row + 8));
        for key in 0..12 {
            let at = (132 + key * 44 + key / 4 * 12, y);
            match key <= row + 8 {
                true => cell(&mut svg, (key / 4) as u64, at, (44, 32), ""),
                false => empty(&mut svg, at, (44, 32), "hidden"),
            }
        }
    }
    arrow(&mut svg, (132, 250), (680, 250));
    svg.text("", (20, 254), "time");
    svg.text(
        "",
        (132, 272),
        "After each tile a row keeps only m, l and o (online softmax). No square of scores is stored.",
    );
    svg.finish()
}

/// Decode attention: one long row as several work items.
pub fn splits() -> String {
    let mut svg = Svg::new(
        "Splits of decode attention",
        "One decode attends to 1,300 tokens. They are cut into splits of 512, which run at the same time.",
        (608, 226),
    );
    for (nth, (range, width)) in
        [("0 to 511", 220), ("512 to 1,023", 220), ("1,024 to 1,299", 119)].into_iter().enumerate()
    {
        let x = 76 + nth * 220;
        cell(&mut svg, nth as u64, (x, 96), (width, 34), range);
        svg.text("small muted m", (x + width / 2, 88), &format!("split {nth}"));
        arrow(&mut svg, (x + width / 2, 132), (x + width / 2, 150));
        cell(&mut svg, nth as u64, (x + width / 2 - 44, 154), (90, 34), &format!("m{nth}, l{nth}, o{nth}"));
        arrow(&mut svg, (x + width / 2, 190), (370, 214));
    }
    svg.text("bold", (20, 118), "K, V");
    empty(&mut svg, (190, 218), (364, 34), "merge_splits: one maximum, then add, then divide o by l");
    svg.text(
        "",
        (20, 282),
        "The length of a split follows from this sequence alone, so its result never depends on the batch.",
    );
    svg.finish()
}
