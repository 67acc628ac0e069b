//! Work in as many threads as pay.

#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// Multiplications that take about as long as waking a thread: less than this is done by the caller.
const WORTH_A_THREAD: usize = 1 << 17;
/// Tasks per thread, so that nobody waits long for the last.
const TASKS_PER_THREAD: usize = 4;

/// Threads that kernels run on.
pub fn num_threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// Makes the calling thread one of those that kernels run on, if it comes before the first kernel. An engine that is stepped
/// in this thread then shares each kernel out among the others and computes along. From any other thread a kernel has to be
/// handed over, and its end waited for: a sleep and two wake-ups for each.
pub fn join_this_thread() {
    #[cfg(feature = "parallel")]
    // An error says that the threads are there already, and then all is as before.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
}

/// How many of `num_items` make a task, where one costs so many multiplications.
pub fn share(num_items: usize, cost_of_item: usize) -> usize {
    let worth = WORTH_A_THREAD.div_ceil(cost_of_item.max(1));
    num_items.div_ceil(TASKS_PER_THREAD * num_threads()).max(worth).clamp(1, num_items.max(1))
}

/// Runs all tasks, one alone in the calling thread.
pub fn for_each<T: Send>(tasks: Vec<T>, task: impl Fn(T) + Sync + Send) {
    #[cfg(feature = "parallel")]
    if tasks.len() > 1 {
        return tasks.into_par_iter().with_max_len(1).for_each(task);
    }
    tasks.into_iter().for_each(task);
}

/// Runs tasks that take so many multiplications together, in the calling thread if that is too little for two.
pub fn for_each_worth<T: Send>(cost: usize, tasks: Vec<T>, task: impl Fn(T) + Sync + Send) {
    if cost < 2 * WORTH_A_THREAD { tasks.into_iter().for_each(task) } else { for_each(tasks, task) }
}
