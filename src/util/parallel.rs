//! The scheduler that needs nothing: threads of this process, a few measurement sets at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Works through `0..count`, at most `concurrent` at a time and in ascending order, and returns the results in order.
///
/// `None` stands for work that was not begun, because `stop` was set (by a failure, or from outside).
///
/// # Panics
/// When a piece of work panics, after all others have ended.
pub(crate) fn run_all<T: Send>(
    count: usize,
    concurrent: usize,
    stop: &AtomicBool,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<Option<T>> {
    let results: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..concurrent.clamp(1, count.max(1)) {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= count {
                        break;
                    }
                    let result = work(index);
                    *results[index].lock().expect("no work panics with this lock") = Some(result);
                }
            });
        }
    });
    results.into_iter().map(|r| r.into_inner().expect("no work panics with this lock")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn all_is_done_once_and_never_too_much_at_a_time() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let results = run_all(20, 3, &AtomicBool::new(false), |i| {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            running.fetch_sub(1, Ordering::SeqCst);
            i * i
        });
        assert_eq!(results, (0..20).map(|i| Some(i * i)).collect::<Vec<_>>());
        assert!(most.into_inner() <= 3);
    }

    #[test]
    fn a_stop_leaves_the_rest_undone() {
        let stop = AtomicBool::new(false);
        let results = run_all(5, 1, &stop, |i| stop.store(i == 1, Ordering::SeqCst));
        assert_eq!(results, [Some(()), Some(()), None, None, None]);
    }
}
