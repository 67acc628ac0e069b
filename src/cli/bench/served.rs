//! How requests were served, and the table of it.

/// How a set of requests was served.
#[derive(serde::Serialize)]
pub struct Served {
    /// `continuous` or `static`
    pub batching: &'static str,
    /// From the first arrival to the last token.
    pub seconds: f64,
    /// Steps.
    pub steps: usize,
    /// Tokens generated.
    pub tokens: usize,
    /// Tokens generated per second.
    pub tokens_per_second: f64,
    /// Milliseconds from a request's arrival to its first token: median, 95th and 99th of a hundred.
    pub first_token_ms: [f64; 3],
    /// Milliseconds from one token of a request to its next.
    pub inter_token_ms: [f64; 3],
    /// All first tokens and all gaps in order of length, to draw.
    #[serde(skip)]
    pub(super) sorted_ms: [Vec<f64>; 2],
}

/// A line for each way of batching.
pub fn served_table(served: &[Served]) -> String {
    let mut text = format!(
        "{:10} {:>7} {:>6} {:>7} {:>8}  {:>25}  {:>25}\n",
        "batching", "seconds", "steps", "tokens", "tokens/s", "first token ms 50/95/99 %", "inter-token ms 50/95/99 %"
    );
    for served in served {
        let three = |[a, b, c]: [f64; 3]| format!("{a:.1} / {b:.1} / {c:.1}");
        text += &format!(
            "{:10} {:>7.2} {:>6} {:>7} {:>8.1}  {:>25}  {:>25}\n",
            served.batching,
            served.seconds,
            served.steps,
            served.tokens,
            served.tokens_per_second,
            three(served.first_token_ms),
            three(served.inter_token_ms),
        );
    }
    text
}
