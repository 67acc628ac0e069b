//! The table of `bench attention`: a block for each shape, a line for each layout.

use crate::cli::bench::case::{AttentionCase, Cache, Case, Limit};
use crate::cli::bench::plot::{Line, Panel};

/// All cases, in the order in which they were pushed: those of a shape together.
pub fn attention_table(cases: &[Case]) -> String {
    let mut text = String::new();
    let cases = of_attention(cases);
    for of_shape in cases.chunk_by(|(_, a), (_, b)| a.title() == b.title()) {
        let (first, paged) = of_shape[0];
        let rate = match first.limit {
            Limit::Memory => "GB/s",
            Limit::Math => "GFLOP/s",
        };
        text += &format!(
            "\n{}: {:.1} MB and {:.1} MFLOP a call; limit {:.1} {rate}\n",
            paged.title(),
            first.bytes / 1e6,
            first.flop / 1e6,
            first.best
        );
        let has = |cache| of_shape.iter().any(|(_, paged)| paged.cache == cache);
        let caches: Vec<Cache> = [Cache::Warm, Cache::Cold].into_iter().filter(|&cache| has(cache)).collect();
        text += &format!("{:14}", "");
        for cache in &caches {
            let name = if *cache == Cache::Warm { "warm µs" } else { "cold µs" };
            text += &format!("{name:>10}{:>7}{rate:>8}{:>9}{:>8}", "±", "of limit", "tax");
        }
        text += "\n";
        for (_, of_layout) in of_shape.iter().filter(|(_, paged)| paged.cache == caches[0]) {
            text += &format!("{:14}", of_layout.layout.to_string());
            let same = |&&(_, paged): &&(&Case, AttentionCase)| paged.layout == of_layout.layout;
            text += &of_shape.iter().filter(same).map(|(case, paged)| columns(case, paged)).collect::<String>();
            text += "\n";
        }
    }
    text += "\nwarm: again and again on the same K and V; cold: on others before, more than caches hold.\n\
             of limit: how much of it is reached; tax: against contiguous in the same round, median of rounds.\n";
    text
}

/// A panel for each shape, a line for each of warm and cold.
pub fn panels(cases: &[Case]) -> Vec<Panel> {
    let panel = |of_shape: &[(&Case, AttentionCase)]| {
        let line = |cache| {
            let of_cache = || of_shape.iter().filter(move |(_, paged)| paged.cache == cache && !paged.unsplit);
            let point = |(case, paged): &(&Case, AttentionCase)| {
                Some((f64::from(paged.block_size?).log2(), case.timing.median_us))
            };
            let level = of_cache().find(|(_, paged)| paged.block_size.is_none()).map(|(case, _)| case.timing.median_us);
            let mut points: Vec<_> = of_cache().filter_map(point).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Line { name: format!("{cache:?}").to_lowercase(), points, level }
        };
        let lines = [Cache::Warm, Cache::Cold].map(line).into_iter().filter(|line| line.level.is_some()).collect();
        Panel { title: of_shape[0].1.title(), x: "tokens per block", y: "µs", x_is_log2: true, lines }
    };
    let cases = of_attention(cases);
    cases.chunk_by(|(_, a), (_, b)| a.title() == b.title()).map(panel).collect()
}

fn of_attention(cases: &[Case]) -> Vec<(&Case, AttentionCase)> {
    cases.iter().filter_map(|case| Some((case, case.attention?))).collect()
}

fn columns(case: &Case, paged: &AttentionCase) -> String {
    let rate = if case.limit == Limit::Memory { case.gb_per_s } else { case.gflop_per_s };
    let spread = 50.0 * (case.timing.high_us - case.timing.low_us) / case.timing.median_us;
    let tax = paged.page_tax_percent.map_or("".into(), |tax| format!("{tax:+.1}%"));
    format!(
        "{:>10.1}{:>7}{rate:>8.2}{:>9}{tax:>8}",
        case.timing.median_us,
        format!("{spread:.1}%"),
        format!("{:.0}%", 100.0 * case.share)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::calibration::Calibration;
    use crate::backend::kernel_set::KernelSet;
    use crate::cli::bench::measure::Timing;
    use crate::cli::bench::report::{Calibrated, Report};
    use crate::config::KvDtype;
    use crate::workloads::attention::{Layout, Shape};

    #[test]
    fn lines_are_microseconds_by_block_size() {
        let best = Calibration {
            read_gb_per_s: 1.0,
            copy_gb_per_s: 1.0,
            gflop_per_s: 1.0,
            thread_gflop_per_s: None,
            dispatch_us: None,
        };
        let mut report = Report::new(
            "attention",
            String::new(),
            KernelSet::Fast,
            None,
            Calibrated { limits: best, matmul_gflop_per_s: 1.0 },
        );
        let kv_dtype = KvDtype::F32;
        let shape = Shape { batch: 1, seq_len: 40, query_len: 1, num_heads: 2, num_kv_heads: 1, head_dim: 8, kv_dtype };
        let layouts = [(Layout::Paged(16), 7.0), (Layout::Contiguous, 5.0), (Layout::Paged(1), 6.0)];
        for (cache, slower) in [(Cache::Warm, 0.0), (Cache::Cold, 10.0)] {
            for (layout, us) in layouts.map(|(layout, us)| (layout, us + slower)) {
                let case = report.push(String::new(), Timing::of(&mut [us]), 1e3, 1e3);
                case.attention = Some(AttentionCase::new(&shape, layout, cache, None));
            }
        }
        let panels = panels(report.cases());
        let [Panel { lines, .. }] = &panels[..] else { panic!("{} panels", panels.len()) };
        let lines: Vec<_> = lines.iter().map(|line| (&line.name[..], &line.points[..], line.level)).collect();
        let warm = ("warm", &[(0.0, 6.0), (4.0, 7.0)][..], Some(5.0));
        assert_eq!(lines, [warm, ("cold", &[(0.0, 16.0), (4.0, 17.0)], Some(15.0))]);
    }
}
