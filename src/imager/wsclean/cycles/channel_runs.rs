//! Channels of a cube, cleaned by processes that run side by side.

use crate::imager::progress::Progress;
use crate::imager::wsclean::checks::PIXEL_BYTES;
use crate::imager::wsclean::command_line::CallResources;
use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::imaging::{CallDone, Imaging};
use crate::util::memory;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Images of the full size that one process holds in memory while it cleans, padding included.
const IMAGES_IN_MEMORY: f64 = 16.0;
/// How often the wait for several processes looks at the caller's token.
const TICK: Duration = Duration::from_millis(100);

/// The call of one part of the image.
#[derive(Debug)]
pub(crate) struct PartDone {
    /// Number of the part, which of a cube is that of the channel.
    pub(crate) part: usize,
    /// Its call.
    pub(crate) call: CallDone,
}

/// How one process of several is called.
pub(crate) struct ChannelRun {
    /// Its part of the machine.
    pub(crate) resources: CallResources,
    /// Stops it.
    pub(crate) cancel: Arc<AtomicBool>,
}

/// Processes that run at once, and the part of the machine for each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SideBySide {
    /// Number of processes.
    pub(crate) at_once: usize,
    /// The part of the machine for each.
    pub(crate) each: CallResources,
}

/// How the job's resources are divided among the processes of a cube's channels. wsclean's sums depend on its threads, so
/// what one channel gets does not depend on how many others are still cleaned beside it, are in its group, or fit into
/// the memory that happens to be free.
pub(crate) fn resources_of_each(imaging: &Imaging) -> SideBySide {
    let job = &imaging.job;
    let threads = job.threads.max(1);
    let image = (imaging.options.size as f64).powi(2) * PIXEL_BYTES * IMAGES_IN_MEMORY / 1e9;
    let fit = |gb: f64| ((gb / image) as usize).max(1);
    let shares = imaging.options.channels_of_cube().clamp(1, threads).min(job.memory_gb.map_or(usize::MAX, fit));
    let free = memory::available().filter(|_| job.memory_gb.is_none());
    let at_once = shares.min(free.map_or(usize::MAX, |bytes| fit(bytes as f64 / 1e9)));
    let memory_gb = job.memory_gb.map(|gb| gb / shares as f64);
    SideBySide { at_once, each: CallResources { threads: (threads / shares).max(1), memory_gb } }
}

/// Runs `one` for each of these channels in threads of their own. The first failure stops the others.
pub(crate) fn run_channels(
    imaging: &Imaging,
    channels: &[usize],
    one: &(dyn Fn(usize, &ChannelRun) -> Result<CallDone, WscleanError> + Sync),
) -> Result<Vec<PartDone>, WscleanError> {
    let SideBySide { at_once, each } = resources_of_each(imaging);
    let at_once = at_once.min(channels.len()).max(1);
    let cancel = Arc::new(AtomicBool::new(false));
    let run = ChannelRun { resources: each, cancel: Arc::clone(&cancel) };
    let next = AtomicUsize::new(0);
    let (sender, receiver) = channel();
    imaging.report(Progress::Stage(format!("cleaning {} channels, {at_once} at once", channels.len())));
    let mut done = std::thread::scope(|scope| {
        for _ in 0..at_once {
            let (sender, run, next) = (sender.clone(), &run, &next);
            scope.spawn(move || {
                while let Some(&part) = channels.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = one(part, run).map(|call| PartDone { part, call });
                    let failed = result.is_err();
                    let _ = sender.send(result);
                    if failed {
                        run.cancel.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut gathered = Gathered::default();
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(result) => {
                    gathered.add(result);
                    imaging.report(Progress::Fraction(gathered.done.len() as f64 / channels.len() as f64));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return gathered.finish(),
            }
            // The processes listen to one token; the caller's own must reach it, too.
            if imaging.context.cancel.as_ref().is_some_and(|c| c.load(Ordering::Relaxed)) {
                cancel.store(true, Ordering::Relaxed);
            }
        }
    })?;
    done.sort_by_key(|d| d.part);
    Ok(done)
}

/// Results as they come in.
#[derive(Default)]
struct Gathered {
    done: Vec<PartDone>,
    failure: Option<WscleanError>,
}

impl Gathered {
    fn add(&mut self, result: Result<PartDone, WscleanError>) {
        match result {
            Ok(done) => self.done.push(done),
            // Those that follow were only stopped because of the first.
            Err(e) => {
                self.failure.get_or_insert(e);
            }
        }
    }

    fn finish(self) -> Result<Vec<PartDone>, WscleanError> {
        self.failure.map_or(Ok(self.done), Err)
    }
}
