//! Whatever happens, in whatever order: every check of `checks` and `world` holds after each operation.

use proptest::prelude::*;

use crate::operations::{apply, config, operations};
use crate::seeded;
use crate::world::World;

proptest! {
    #![proptest_config(seeded(1))]

    /// Submit, step, fail, abort, stop: and in the end all that is left finishes within a computed number of steps.
    #[test]
    fn every_operation_leaves_the_scheduler_sound(config in config(1), operations in operations()) {
        let mut world = World::new(config);
        let mut next_id = 0;
        for operation in &operations {
            apply(&mut world, operation, &mut next_id);
        }
        world.run_until_idle();
    }
}
