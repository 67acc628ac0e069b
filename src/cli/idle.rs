//! Sampling fields that change nothing, because temperature 0 leaves no choice among tokens. They are no error: somebody may
//! keep them while trying temperatures. But whoever forgot the temperature wants to know.

use super::prompts::PromptJob;
use super::spelling::as_option;
use crate::core::request::SamplingParams;

const WHY: &str = "temperature is 0, which always takes the most probable token";

/// Options without effect, where no prompt has a temperature of its own.
pub fn options_text(params: &SamplingParams) -> Option<String> {
    let neutral = SamplingParams::default();
    let fields = [
        ("top_k", params.top_k != neutral.top_k),
        ("top_p", params.top_p != neutral.top_p),
        ("min_p", params.min_p != neutral.min_p),
        ("seed", params.seed != neutral.seed),
    ];
    let given = fields.into_iter().filter(|(_, is_given)| *is_given && params.temperature == 0.0);
    let options: Vec<String> = given.map(|(field, _)| as_option(field)).collect();
    (!options.is_empty()).then(|| format!("without effect: {} ({WHY})", options.join(", ")))
}

/// The same for the lines of a file, in one line.
pub fn lines_text(jobs: &[PromptJob]) -> Option<String> {
    let mut idle = jobs.iter().filter(|job| !job.idle.is_empty());
    let first = idle.next()?;
    let more = idle.count();
    let more = if more > 0 { format!("; so it is in {more} more") } else { String::new() };
    Some(format!("without effect: {} in {} ({WHY}{more})", first.idle.join(", "), first.place))
}
