//! The record and the report of a running campaign, kept fresh at a bounded price.
//!
//! Renewing them costs time in proportion to the number of measurement sets. Done at every change it would make the
//! whole campaign quadratic, so one thread does it, and rests after each time for a multiple of what it took.

use crate::Result;
use crate::campaign::record::CampaignRecord;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Rest after showing, in units of the time that showing took: at most a tenth of one processor.
const REST: u32 = 9;

struct Inner {
    record: CampaignRecord,
    changed: bool,
    ended: bool,
}

/// A record that is worked on by many and shown by one.
pub(super) struct ReportRefresh<'a> {
    inner: Mutex<Inner>,
    wake: Condvar,
    show: &'a (dyn Fn(&CampaignRecord) -> Result<()> + Sync),
    failed: &'a (dyn Fn(&crate::Error) + Sync),
}

impl<'a> ReportRefresh<'a> {
    /// `show` writes what people see; `failed` gets the first failure: it stops nobody's work.
    pub(super) fn new(
        record: CampaignRecord,
        show: &'a (dyn Fn(&CampaignRecord) -> Result<()> + Sync),
        failed: &'a (dyn Fn(&crate::Error) + Sync),
    ) -> Self {
        let inner = Mutex::new(Inner { record, changed: false, ended: false });
        Self { inner, wake: Condvar::new(), show, failed }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the record; it is shown soon.
    pub(super) fn change(&self, change: impl FnOnce(&mut CampaignRecord)) {
        let mut inner = self.lock();
        change(&mut inner.record);
        inner.changed = true;
        self.wake.notify_all();
    }

    /// Does `work` while another thread shows the record whenever it has changed.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        struct RefreshEnd<'e, 'a>(&'e ReportRefresh<'a>);
        impl Drop for RefreshEnd<'_, '_> {
            fn drop(&mut self) {
                self.0.lock().ended = true;
                self.0.wake.notify_all();
            }
        }
        self.lock().ended = false;
        std::thread::scope(|scope| {
            scope.spawn(|| self.keep_showing());
            // Also when the work panics: the other thread must not wait for ever.
            let _end = RefreshEnd(self);
            work()
        })
    }

    fn keep_showing(&self) {
        let mut reported = false;
        let mut inner = self.lock();
        while !inner.ended {
            if !inner.changed {
                inner = self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let clock = Instant::now();
            inner.changed = false;
            let record = inner.record.clone();
            drop(inner);
            if let Err(error) = (self.show)(&record)
                && !std::mem::replace(&mut reported, true)
            {
                (self.failed)(&error);
            }
            let due = Instant::now() + clock.elapsed() * REST;
            inner = self.lock();
            while !inner.ended && Instant::now() < due {
                let left = due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                inner = self.wake.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// The record, once nobody works on it any more.
    pub(super) fn into_record(self) -> CampaignRecord {
        self.inner.into_inner().unwrap_or_else(PoisonError::into_inner).record
    }

    /// The record as it is now.
    pub(super) fn record(&self) -> CampaignRecord {
        self.lock().record.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::record::State;
    use crate::util::testing::wait_until;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn many_changes_are_shown_few_times_and_the_first_is_shown_while_work_goes_on() {
        let (shown, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let show = |record: &CampaignRecord| {
            shown.fetch_add(1, Ordering::SeqCst);
            seen.store(record.datasets.len(), Ordering::SeqCst);
            Ok(())
        };
        let refresh = ReportRefresh::new(CampaignRecord::new("many"), &show, &|_| {});
        let add = || refresh.change(|r| r.datasets.push(Default::default()));
        refresh.during(|| {
            add();
            wait_until("the first change to be shown", || seen.load(Ordering::SeqCst) > 0);
            (1..200).for_each(|_| add());
            wait_until("the last change to be shown", || seen.load(Ordering::SeqCst) == 200);
        });
        assert!(shown.load(Ordering::SeqCst) < 100);
        assert_eq!(refresh.into_record().datasets.len(), 200);
    }

    #[test]
    fn a_failure_is_told_once_and_stops_nothing() {
        let (told, tried) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let show = |_: &CampaignRecord| {
            tried.fetch_add(1, Ordering::SeqCst);
            Err(crate::Error::internal("no room"))
        };
        let failed = |_: &crate::Error| {
            told.fetch_add(1, Ordering::SeqCst);
        };
        let refresh = ReportRefresh::new(CampaignRecord::new("full"), &show, &failed);
        refresh.during(|| {
            for tries in 1..=3 {
                refresh.change(|r| r.state = State::Done);
                wait_until("another try", || tried.load(Ordering::SeqCst) == tries);
            }
        });
        assert_eq!(told.load(Ordering::SeqCst), 1);
        assert_eq!(refresh.into_record().state, State::Done);
    }

    #[test]
    #[should_panic(expected = "the work")]
    fn a_panic_of_the_work_is_passed_on() {
        let refresh = ReportRefresh::new(CampaignRecord::new("p"), &|_| Ok(()), &|_| {});
        refresh.during(|| panic!("the work"));
    }
}
