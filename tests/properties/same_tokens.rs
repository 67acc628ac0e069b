//! What a request gets depends neither on the limits nor on whom it was batched with.

use std::collections::BTreeMap;

use cb_lab::{EngineConfig, RequestId, TokenId};
use proptest::prelude::*;

use crate::model::expected_output;
use crate::operations::{Wish, config, wish};
use crate::seeded;
use crate::world::World;

/// Any wish fits a pool of so many tokens.
const LONGEST: usize = 34;

/// Runs the wishes in some order of arrival, with some steps between one and the next. Returns outputs by wish.
fn run(wishes: &[Wish], config: &EngineConfig, arrival: &[(usize, usize)]) -> BTreeMap<usize, Vec<TokenId>> {
    let mut world = World::new(config.clone());
    for (id, &(wish, num_steps)) in arrival.iter().enumerate() {
        world.submit(wishes[wish].request(id as u64));
        // Also two steps in flight at a time.
        (0..num_steps).for_each(|nth| if nth == 1 { world.steps_ahead(4, false, |_| {}) } else { world.step() });
    }
    world.run_until_idle();
    arrival.iter().enumerate().map(|(id, &(wish, _))| (wish, world.outputs[&RequestId(id as u64)].clone())).collect()
}

fn arrival(num_wishes: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    let order = Just((0..num_wishes).collect::<Vec<_>>()).prop_shuffle();
    (order, prop::collection::vec(0..4_usize, num_wishes))
        .prop_map(|(order, gaps)| order.into_iter().zip(gaps).collect())
}

proptest! {
    #![proptest_config(seeded(2))]

    #[test]
    fn limits_and_batch_mates_change_no_token(
        (wishes, one, other) in prop::collection::vec(wish(), 1..8).prop_flat_map(|wishes| {
            let num_wishes = wishes.len();
            (Just(wishes), (config(LONGEST), arrival(num_wishes)), (config(LONGEST), arrival(num_wishes)))
        })
    ) {
        let outputs = run(&wishes, &one.0, &one.1);
        prop_assert_eq!(&outputs, &run(&wishes, &other.0, &other.1));
        for (wish, output) in outputs {
            prop_assert!(wishes[wish].len() <= LONGEST);
            prop_assert_eq!(output, expected_output(&wishes[wish].request(0)).0);
        }
    }
}
