//! Jinja2 and Python, as far as chat templates meet them, on top of minijinja.
//!
//! Chat templates are written for Python: operators, methods and printed values follow its rules, and a prompt is wrong by
//! one space if they do not. minijinja has rules of its own. So a template's source is rewritten first ([`source`]): every
//! operator and every method that the two disagree about becomes a call of a function that does what Python does.
//!
//! ```text
//! {{ 'a' ~ [x] * 2 }}  ──▶  {{ __cat('a',__mul([x],2)) }}
//! ```

mod budget;
mod clock;
mod expression;
mod filters;
mod format;
mod globals;
mod json;
mod method_args;
mod methods;
mod operators;
mod python;
mod source;
mod string_literal;
mod tests;
mod tokens;
mod tuple;

use minijinja::Environment;

pub(super) use clock::Clock;

/// An environment in which `source`, once rewritten, does what Jinja2 does as transformers sets it up.
pub(super) fn environment(clock: Clock) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|output, state, value| {
        let text = python::text(value);
        budget::charge(state, text.len())?;
        output.write_str(&text).map_err(Into::into)
    });
    operators::add_to(&mut environment);
    filters::add_to(&mut environment);
    tests::add_to(&mut environment);
    globals::add_to(&mut environment);
    environment.add_function("strftime_now", move |format: &str| clock::strftime(clock(), format));
    environment
}

/// A template's source as minijinja is to read it.
///
/// # Errors
/// What Jinja2 has and this has not, or the other way round, by name and line.
pub(super) fn rewrite(source: &str) -> Result<String, String> {
    source::rewrite(source)
}
