//! Says on a terminal how far the weights are loaded, once that has taken a second.

use crate::files::Reading;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::time::Duration;

const SHOWN_AFTER: Duration = Duration::from_secs(1);
const REDRAWN: Duration = Duration::from_millis(100);

/// Waits for `load`, and shows `reading` meanwhile.
pub async fn shown<T>(reading: Reading, load: impl Future<Output = T>) -> T {
    reading.restart();
    let line = move |state: &ProgressState, to: &mut dyn Write| {
        if state.elapsed() > SHOWN_AFTER {
            // Writing to a line cannot fail.
            let _ = write!(to, "loading the weights: {} %", reading.percent());
        }
    };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{line}") {
        bar.set_style(style.with_key("line", line));
    }
    bar.enable_steady_tick(REDRAWN);
    let loaded = load.await;
    bar.finish_and_clear();
    loaded
}
