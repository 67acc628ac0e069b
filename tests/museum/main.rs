//! The bug museum: each bug is seen when it is in, nothing is reported when it is out, and what is said to catch it exists.

#[path = "../../demos/demo_bug_museum/exhibits/mod.rs"]
#[allow(dead_code, reason = "what is only printed is not tested")]
mod exhibits;

use exhibits::{ALL, Bug};
use std::fs;
use std::path::Path;

#[test]
fn every_bug_is_caught() {
    for exhibit in ALL {
        let failing = exhibit.smallest_failing_run(Bug::In).unwrap();
        let (_, shown) = failing.unwrap_or_else(|| panic!("no run of {} fails", exhibit.name));
        assert!(!shown.rows.is_empty(), "{} shows nothing", exhibit.name);
    }
}

/// What is printed shows a user what the bug does: another token, another value, another wait. Less than that, such as
/// the same text with other probabilities, convinces nobody.
#[test]
fn every_bug_does_harm_where_it_is_seen() {
    for exhibit in ALL {
        let (smallest, shown) = exhibit.smallest_failing_run(Bug::In).unwrap().unwrap();
        let harms = |size| (exhibit.run)(size, Bug::In).unwrap().is_harmed;
        let larger = exhibit.also.filter(|&size| size != smallest);
        assert!(shown.is_harmed || larger.is_some_and(harms), "{} shows no harm", exhibit.name);
    }
}

#[test]
fn without_its_bug_no_run_is_complained_of() {
    for exhibit in ALL {
        assert!(exhibit.smallest_failing_run(Bug::Out).unwrap().is_none(), "{}: a false alarm", exhibit.name);
        for &size in exhibit.sizes {
            let shown = (exhibit.run)(size, Bug::Out).unwrap();
            assert!(!shown.is_harmed, "{}: harm without a bug", exhibit.name);
            for [what, right, wrong] in shown.rows {
                assert_eq!(right, wrong, "{}: {what}", exhibit.name);
            }
        }
    }
}

#[test]
fn the_tests_that_are_named_exist() {
    for (exhibit, (target, name)) in
        ALL.iter().flat_map(|exhibit| exhibit.caught_by.iter().map(move |by| (exhibit, by)))
    {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(target);
        let sources = fs::read_dir(&folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()));
        let is_named = |source: String| {
            source.contains(&format!("fn {name}("))
                || source.contains(&format!("\"{name}"))
                || source.contains(&format!("[{name}]"))
        };
        assert!(sources.flatten().any(is_named), "{}: tests/{target} has no {name}", exhibit.name);
    }
}
