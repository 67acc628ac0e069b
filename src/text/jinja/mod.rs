//! Jinja2 and Python, as far as chat templates meet them, on top of minijinja.
//!
//! Chat templates are written for Python: operators, methods and printed values follow its rules, and a prompt is wrong by
//! one space if they do not. minijinja has rules of its own. So a template's source is rewritten first ([`source`]): every
//! operator and every method that the two disagree about becomes a call of a function that does what Python does.
//!
//! ```text
//! {{ 'a' ~ [x] * 2 }}  ──▶  {{ __cat('a',__mul([x],2)) }}
//! ```

mod blocks;
mod budget;
mod clock;
mod compare;
mod expression;
mod filters;
mod format;
mod generator;
mod globals;
mod iteration;
mod json;
mod method_args;
mod methods;
mod nesting;
mod operators;
mod python;
mod source;
mod string_literal;
mod tests;
mod tokens;
mod tuple;

use minijinja::Environment;

pub(super) use clock::Clock;
pub(super) use source::rewrite;

/// An environment in which `source`, once rewritten, does what Jinja2 does as transformers sets it up.
pub(super) fn environment(clock: Clock) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|output, state, value| {
        let text = python::text(state, value)?;
        budget::charge(state, text.len())?;
        output.write_str(&text).map_err(Into::into)
    });
    compare::add_to(&mut environment);
    operators::add_to(&mut environment);
    filters::add_to(&mut environment);
    tests::add_to(&mut environment);
    globals::add_to(&mut environment);
    environment.add_function("strftime_now", move |format: &str| clock::strftime(clock(), format));
    environment
}
