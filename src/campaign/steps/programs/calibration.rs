//! Solving for gains.

use super::Programs;
use crate::Result;
use crate::calibrator::{self, Calibrator, SolutionTable, SolveRequest};
use crate::campaign::file::CalibratorKind;
use crate::campaign::plan::CalibrationPlan;
use crate::campaign::rules::schedule;
use crate::campaign::steps::{Solved, StepContext};
use crate::measurement_set::{Antenna, MsSummary};
use crate::quality::solutions::{AntennaSolutions, IdentityGainAntenna, SolutionStats};

impl Programs<'_> {
    /// The calibrator of these options.
    ///
    /// # Errors
    /// CASA is not set up; invalid options.
    pub(crate) fn calibrator(&mut self, plan: &CalibrationPlan) -> Result<Box<dyn Calibrator>> {
        let kind = match plan.calibrator {
            CalibratorKind::Command => calibrator::SolverKind::Command(self.executables.calibrator.clone()),
            CalibratorKind::Quartical => calibrator::SolverKind::Quartical(self.executables.quartical.clone()),
            CalibratorKind::Casa | CalibratorKind::None => calibrator::SolverKind::Casa,
        };
        let limits = self.limits(self.plan.resources.calibrator_time_limit.as_ref().map(|l| l.0));
        let casa = self.casa()?;
        // The worker is shared with the imager tclean, whose limits may be others.
        casa.set_limits(limits);
        calibrator::open(kind, plan.chain.clone(), casa, limits)
    }

    /// Solves one term after another, and replaces the solutions of hopeless antennas by identity gains before the next.
    pub(super) fn solve_gains(
        &mut self,
        member: usize,
        plan: &CalibrationPlan,
        earlier: &[SolutionTable],
        context: &StepContext,
    ) -> Result<Solved> {
        let plan = &self.with_baselines(member, plan);
        let mut calibrator = self.calibrator(plan)?;
        let request = self.request(member, plan, context);
        let (mut tables, mut stats) = (Vec::new(), Vec::new());
        for solve in 0..calibrator.solves() {
            let fresh = calibrator.solve(&request, solve, &tables, earlier)?;
            if fresh.is_empty() {
                // gaincal found no solution: as good as a table that is flagged throughout.
                let (stats, commands) = (self.no_solutions(member), calibrator.command_lines(&request));
                return Ok(Solved { tables: Vec::new(), stats, commands });
            }
            for mut of_term in calibrator.inspect(&fresh)? {
                let term = of_term.terms.first().map(|t| t.term.clone()).unwrap_or_default();
                let hopeless = self.hopeless(member, &of_term, if plan.chain.len() > 1 { &term } else { "" });
                if !hopeless.is_empty() {
                    let names: Vec<String> = hopeless.iter().map(|a| a.name.clone()).collect();
                    calibrator.set_identity_gains(&fresh, &term, &names, &request.log)?;
                    of_term.set_identity_gains(hopeless);
                }
                stats.push(of_term);
            }
            tables.extend(fresh);
        }
        let stats = SolutionStats::of_chain(stats);
        Ok(Solved { tables, stats, commands: calibrator.command_lines(&request) })
    }

    /// Statistics of a solve without any solution: they name the antennas.
    fn no_solutions(&self, member: usize) -> SolutionStats {
        let names = self.summary_of(member).into_iter().flat_map(|summary| &summary.antennas).filter(|a| a.has_data);
        let antenna =
            |a: &Antenna| AntennaSolutions { name: a.name.clone(), flagged_fraction: 1.0, ..Default::default() };
        SolutionStats { flagged_fraction: 1.0, antennas: names.map(antenna).collect(), ..SolutionStats::default() }
    }

    /// The plan with the baselines of this measurement set where it leaves them to the program.
    fn with_baselines(&self, member: usize, plan: &CalibrationPlan) -> CalibrationPlan {
        let short = self.summary_of(member).map_or(0.0, |summary| summary.short_baselines_m);
        CalibrationPlan { chain: plan.chain.iter().map(|solve| solve.beyond(short)).collect(), ..plan.clone() }
    }

    fn request(&self, member: usize, plan: &CalibrationPlan, context: &StepContext) -> SolveRequest {
        SolveRequest {
            measurement_set: context.measurement_sets[member].clone(),
            folder: context.folder.clone(),
            log: context.log.clone(),
            round: context.attempt.round,
            reference_antenna: self.reference_antenna(member, plan),
            threads: self.share.threads,
            together: self.target.is_joint(),
        }
    }

    /// The antenna that the plan names; of several measurement sets, those that do not have it take their own.
    fn reference_antenna(&self, member: usize, plan: &CalibrationPlan) -> Option<String> {
        let summary = self.summary_of(member);
        let named = plan.reference_antenna.clone().filter(|name| {
            let there = |summary: &MsSummary| {
                let by_name = summary.antennas.iter().find(|antenna| antenna.name == *name);
                let by_number = || name.parse::<usize>().ok().and_then(|number| summary.antennas.get(number));
                by_name.or_else(by_number).is_some_and(|antenna| antenna.has_data)
            };
            !self.target.is_joint() || summary.is_some_and(there)
        });
        named.or_else(|| summary?.reference_antenna.clone())
    }

    /// Antennas with data whose solutions are of no use. None where that would be all of them: such tables are judged,
    /// and refused, as they are.
    fn hopeless(&self, member: usize, stats: &SolutionStats, term: &str) -> Vec<IdentityGainAntenna> {
        let summary = self.summary_of(member);
        let known = |name: &str| summary?.antennas.iter().find(|a| a.name == name);
        let has_data = |name: &str| known(name).is_none_or(|a| a.has_data && a.unflagged_fraction > 0.0);
        let found: Vec<IdentityGainAntenna> = schedule::hopeless_antennas(stats, &self.plan.solint)
            .into_iter()
            .filter(|(name, _)| has_data(name))
            .map(|(name, why)| IdentityGainAntenna { name, term: term.to_owned(), why })
            .collect();
        let with_data = stats.antennas.iter().filter(|a| has_data(&a.name)).count();
        if found.len() < with_data { found } else { Vec::new() }
    }
}
