//! Solves of several measurement sets at the same time, each with a CASA worker and processors of its own.

use super::Programs;
use super::intervals::Intervals;
use crate::campaign::plan::Share;
use crate::campaign::steps::{Backend, SolveJob, Solved};
use crate::programs::casa::Casa;
use crate::util::parallel;
use crate::{Error, Result};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

impl Programs<'_> {
    /// Solves all jobs at the same time.
    pub(super) fn solve_at_once(&mut self, jobs: &[SolveJob<'_>]) -> Vec<Result<Solved>> {
        let share = self.share.divided(jobs.len());
        let solvers = (0..jobs.len()).map(|number| self.solver(number, share)).collect::<Result<Vec<Mutex<Self>>>>();
        let solvers = match solvers {
            Ok(solvers) => solvers,
            Err(error) => {
                let words = error.to_string();
                return jobs.iter().map(|_| Err(Error::external(words.as_str()))).collect();
            }
        };
        // A failure of one does not stop the others: what they have done need not be done again.
        let done = parallel::run_all(jobs.len(), jobs.len(), &AtomicBool::new(false), |index| {
            let SolveJob { member, step, earlier, context } = &jobs[index];
            let mut solver = solvers[index].lock().unwrap_or_else(PoisonError::into_inner);
            solver.solve(*member, step, earlier, context)
        });
        done.into_iter().map(|result| result.unwrap_or(Err(Error::Interrupted))).collect()
    }

    /// Programs for one of several solves, 0 the first, with a part of the machine.
    fn solver(&mut self, number: usize, share: Share) -> Result<Mutex<Self>> {
        let casa = if number == 0 { self.casa()? } else { self.another_casa(number - 1, share)? };
        Ok(Mutex::new(Self {
            plan: self.plan,
            executables: self.executables.clone(),
            target: self.target.clone(),
            share,
            casa: Some(casa),
            more_casa: Vec::new(),
            sets: self.sets.clone(),
            intervals: Intervals::default(),
            started: None,
        }))
    }

    /// A CASA worker beside the first; they stay for the next round.
    fn another_casa(&mut self, number: usize, share: Share) -> Result<Casa> {
        while self.more_casa.len() <= number {
            let casa = Casa::open(&self.executables.casa, None)?;
            casa.set_threads(share.threads);
            self.more_casa.push(casa);
        }
        Ok(self.more_casa[number].clone())
    }
}
