//! CASA's gaincal, bandpass and applycal, in the worker.

use super::options::{GainType, GaincalOptions};
use super::{Calibrator, Onto, SolutionTable, SolveRequest, gain_tables};
use crate::measurement_set;
use crate::programs::casa::requests::{
    AppliedTable, ApplyOnto, Applycal, GainTable, Gaincal, GaincalParameters, IdentityGains, SpectralWindowMaps,
    TableStatistics,
};
use crate::programs::casa::{Casa, python as text};
use crate::quality::solutions::SolutionStats;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Name of a round's table in the folder of the request; those of a chain have the name of their term, too.
const TABLE: &str = "gains";

/// gaincal (or bandpass) for each term of a chain, and applycal.
#[derive(Debug)]
pub struct CasaCalibrator {
    casa: Casa,
    chain: Vec<GaincalOptions>,
    /// Name of each term.
    terms: Vec<String>,
}

impl CasaCalibrator {
    /// A calibrator for this chain.
    ///
    /// # Errors
    /// An empty chain, an invalid option, options that do not go together.
    pub fn new(casa: Casa, chain: Vec<GaincalOptions>) -> Result<Self> {
        super::check_chain(&chain)?;
        let terms = super::term_names(&chain);
        Ok(Self { casa, chain, terms })
    }

    /// Name of the table of a term, or the start of its tables' names.
    fn table_name(&self, index: usize) -> String {
        if self.chain.len() == 1 { TABLE.to_owned() } else { format!("{TABLE}.{}", self.terms[index]) }
    }

    /// The options of the term that a table holds.
    fn options_of(&self, table: &SolutionTable) -> &GaincalOptions {
        let index = self.terms.iter().position(|term| *term == table.term);
        &self.chain[index.unwrap_or(0)]
    }

    /// Tables with the way in which each is applied.
    fn applied(&self, tables: &[SolutionTable]) -> Vec<AppliedTable> {
        let one = |table: &SolutionTable| {
            let options = self.options_of(table);
            AppliedTable {
                path: table.path.clone(),
                channels: table.channels,
                spectral_window: table.spectral_window,
                interp: options.interp.clone(),
                calwt: options.calwt,
            }
        };
        tables.iter().map(one).collect()
    }

    /// The tables of a term of the last accepted round, copied into the folder of this one. None: it must be solved.
    fn reused(&self, request: &SolveRequest, index: usize, earlier: &[SolutionTable]) -> Result<Vec<SolutionTable>> {
        let term = &self.terms[index];
        let copied = |table: &SolutionTable| {
            let range = table.channels.map_or_else(String::new, |(first, last)| {
                format!(".spw{}.ch{first}-{last}", table.spectral_window.unwrap_or(0))
            });
            let path = request.folder.join(format!("{}{range}", self.table_name(index)));
            // No links: antennas that get identity gains are edited in place.
            measurement_set::copy(&table.path, &path).map_err(|e| {
                Error::internal(format!("{}: cannot be copied to {}: {e}", table.path.display(), path.display()))
            })?;
            Ok(SolutionTable { path, ..table.clone() })
        };
        earlier.iter().filter(|table| table.term == *term).map(copied).collect()
    }

    /// The tables that the flux scale of a solve follows. The first term with amplitudes stands for all of a chain.
    fn flux_of(&self, request: &SolveRequest, index: usize, earlier: &[SolutionTable]) -> Option<Vec<PathBuf>> {
        let first = self.chain.iter().position(|o| o.kind().amplitudes() && !o.reuse);
        let keeps = request.together && first == Some(index);
        keeps.then(|| earlier.iter().map(|table| table.path.clone()).collect())
    }

    fn reference_antenna(&self, index: usize, request: &SolveRequest) -> Option<String> {
        let own = Some(self.chain[index].refant.clone()).filter(|name| !name.is_empty());
        own.or_else(|| request.reference_antenna.clone())
    }

    /// The line of one solve, with those before it applied, for people.
    fn solve_line(&self, index: usize, request: &SolveRequest) -> Vec<String> {
        let o = &self.chain[index];
        let task = if o.gaintype == GainType::B { "bandpass" } else { "gaincal" };
        let paths = |names: &[usize]| -> Vec<_> {
            names.iter().map(|earlier| request.folder.join(self.table_name(*earlier))).collect()
        };
        let mut words = vec![
            task.to_owned(),
            format!("vis={}", text(&json!(request.measurement_set))),
            format!("caltable={}", text(&json!(request.folder.join(self.table_name(index))))),
        ];
        let refant = self.reference_antenna(index, request).map_or_else(
            || "<the antenna with most unflagged data nearest the centre>".to_owned(),
            |name| text(&json!(name)),
        );
        words.push(format!("refant={refant}"));
        let only_gaincal = ["calmode", "gaintype", "normtype", "refantmode", "solmode"];
        words.extend(
            json!(parameters(o))
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| !value.is_null() && **value != "")
                .filter(|(key, _)| task == "gaincal" || !only_gaincal.contains(&key.as_str()))
                .map(|(key, value)| format!("{key}={}", text(value))),
        );
        if o.nspw > 1 {
            words.push(format!("spw=<each of {} channel ranges>", o.nspw));
        }
        if index > 0 {
            let before: Vec<usize> = (0..index).collect();
            words.push(format!("gaintable={}", text(&json!(paths(&before)))));
            let interp: Vec<&str> = self.chain[..index].iter().map(|o| o.interp.as_str()).collect();
            words.push(format!("interp={}", text(&json!(interp))));
            if self.chain[..index].iter().any(across_windows) {
                words.push("spwmap=<one window's solutions for all>".to_owned());
            }
        }
        words
    }

    /// The line of applying all tables, for people.
    fn apply_words(&self, request: &SolveRequest) -> Vec<String> {
        let tables: Vec<_> = (0..self.chain.len()).map(|index| request.folder.join(self.table_name(index))).collect();
        let first = &self.chain[0];
        vec![
            "applycal".to_owned(),
            format!("vis={}", text(&json!(request.measurement_set))),
            format!("gaintable={}", text(&json!(tables))),
            format!("applymode={}", text(&json!(first.applymode))),
            format!("interp={}", text(&one_or_all(self.chain.iter().map(|o| json!(o.interp)).collect()))),
            format!("calwt={}", text(&one_or_all(self.chain.iter().map(|o| json!(o.calwt)).collect()))),
        ]
    }
}

/// gaincal's own parameters, as the worker passes them on.
fn parameters(o: &GaincalOptions) -> GaincalParameters {
    let selection = |value: &String| o.selectdata.then(|| value.clone());
    GaincalParameters {
        solint: o.solint.clone(),
        calmode: word(&o.calmode),
        minsnr: o.minsnr,
        gaintype: word(&o.gaintype),
        // CASA normalises amplitudes only; of other solutions it would say that it ignores the wish.
        solnorm: o.solnorm && o.kind().amplitudes(),
        normtype: word(&o.normtype),
        refantmode: word(&o.refantmode),
        minblperant: o.minblperant,
        combine: o.combine.clone(),
        solmode: o.solmode.clone(),
        selectdata: o.selectdata,
        spw: o.spw.clone(),
        field: o.field.clone(),
        uvrange: selection(&o.uvrange),
        antenna: selection(&o.antenna),
        timerange: selection(&o.timerange),
        scan: selection(&o.scan),
    }
}

/// One solution serves all windows.
fn across_windows(o: &GaincalOptions) -> bool {
    o.combine.split(',').any(|word| word.trim() == "spw")
}

/// A single value where all are the same, else the list.
fn one_or_all(values: Vec<serde_json::Value>) -> serde_json::Value {
    match values.split_first() {
        Some((first, rest)) if rest.iter().all(|v| v == first) => first.clone(),
        _ => json!(values),
    }
}

impl Calibrator for CasaCalibrator {
    fn version(&mut self) -> Result<String> {
        self.casa.version()
    }

    fn solves(&self) -> usize {
        self.chain.len()
    }

    fn solve(
        &mut self,
        request: &SolveRequest,
        solve: usize,
        before: &[SolutionTable],
        earlier: &[SolutionTable],
    ) -> Result<Vec<SolutionTable>> {
        let (o, term) = (&self.chain[solve], &self.terms[solve]);
        if o.reuse {
            let reused = self.reused(request, solve, earlier)?;
            if !reused.is_empty() {
                return Ok(reused);
            }
            tracing::info!("round {}: the last accepted round has no `{term}` to reuse; it is solved", request.round);
        }
        let solved = self.casa.ask(
            &Gaincal {
                ms: request.measurement_set.clone(),
                folder: request.folder.clone(),
                name: self.table_name(solve),
                refant: self.reference_antenna(solve, request),
                nspw: o.nspw,
                applied: self.applied(before),
                flux_of: self.flux_of(request, solve, earlier),
                parameters: parameters(o),
            },
            Some(&request.log),
        )?;
        let set = request.measurement_set.file_stem().unwrap_or_default().to_string_lossy();
        tracing::info!("round {}, {set}: reference antenna {}", request.round, solved.refant);
        if solved.missing > 0 {
            tracing::warn!(
                "{}: {} of {} channel ranges have no data to solve on; they stay uncorrected",
                request.measurement_set.display(),
                solved.missing,
                solved.missing + solved.tables.len()
            );
        }
        let table = |GainTable { path, channels, spectral_window }| SolutionTable {
            path,
            channels,
            spectral_window,
            term: term.clone(),
        };
        Ok(solved.tables.into_iter().map(table).collect())
    }

    fn apply(&mut self, measurement_set: &Path, tables: &[SolutionTable], log: &Path) -> Result<()> {
        let request = Applycal {
            ms: measurement_set.to_path_buf(),
            tables: self.applied(tables),
            applymode: word(&self.chain[0].applymode),
        };
        self.casa.ask(&request, Some(log))
    }

    fn apply_onto(&mut self, onto: &Onto, tables: &[SolutionTable], log: &Path) -> Result<Vec<usize>> {
        let request = ApplyOnto {
            ms: onto.measurement_set.clone(),
            field: onto.field,
            windows: onto.windows.clone(),
            bin: onto.bin,
            tables: self.applied(tables),
            applymode: word(&self.chain[0].applymode),
        };
        self.casa.ask(&request, Some(log))
    }

    fn inspect(&mut self, tables: &[SolutionTable]) -> Result<Vec<SolutionStats>> {
        let mut all = Vec::new();
        for of_term in tables.chunk_by(|a, b| a.term == b.term) {
            let options = self.options_of(&of_term[0]);
            if options.gaintype == GainType::Gspline {
                continue;
            }
            let mut stats = self.casa.ask(&TableStatistics { tables: gain_tables(of_term) }, None)?;
            for term in &mut stats.terms {
                (term.term, term.kind, term.solint) = (of_term[0].term.clone(), options.kind(), options.solint.clone());
            }
            all.push(stats);
        }
        Ok(all)
    }

    fn set_identity_gains(
        &mut self,
        tables: &[SolutionTable],
        term: &str,
        antennas: &[String],
        log: &Path,
    ) -> Result<()> {
        let tables: Vec<SolutionTable> = tables.iter().filter(|table| table.term == term).cloned().collect();
        self.casa.ask(&IdentityGains { tables: gain_tables(&tables), antennas: antennas.to_vec() }, Some(log))
    }

    fn apply_line(&self, tables: &[SolutionTable]) -> Option<String> {
        if tables.is_empty() {
            return None;
        }
        // Solutions of one window that serve all of them (`combine: spw`) need a map.
        let maps = match self.casa.ask(&SpectralWindowMaps { tables: gain_tables(tables) }, None) {
            Ok(maps) => maps,
            Err(e) => {
                tracing::warn!("there is no line that applies the solutions to other data: {e}");
                return None;
            }
        };
        Some(line_of(&word(&self.chain[0].applymode), &self.applied(tables), &maps))
    }

    fn command_lines(&self, request: &SolveRequest) -> Vec<Vec<String>> {
        let mut lines: Vec<Vec<String>> = (0..self.chain.len()).map(|index| self.solve_line(index, request)).collect();
        lines.push(self.apply_words(request));
        lines
    }
}

/// A choice in CASA's word.
fn word(choice: &impl Serialize) -> String {
    json!(choice).as_str().unwrap_or_default().to_owned()
}

/// Calls of applycal for `OTHER.ms`; `maps` holds the spwmap of each table, empty where windows keep their own.
fn line_of(applymode: &str, tables: &[AppliedTable], maps: &[Vec<usize>]) -> String {
    let mut ranges: Vec<_> = tables.iter().filter_map(|t| Some((t.spectral_window, t.channels?))).collect();
    ranges.dedup();
    let mut seen = Vec::new();
    ranges.retain(|range| {
        !seen.contains(range) && {
            seen.push(*range);
            true
        }
    });
    let with_maps: Vec<(&AppliedTable, &Vec<usize>)> = tables.iter().zip(maps).collect();
    if ranges.is_empty() {
        return call_of(applymode, "", &with_maps);
    }
    // A table of the whole band goes with every range.
    let of_range = |&(window, (first, last)): &(Option<usize>, (usize, usize))| {
        let covers = |t: &AppliedTable| t.channels.is_none_or(|c| c == (first, last) && t.spectral_window == window);
        let covering: Vec<_> = with_maps.iter().filter(|(t, _)| covers(t)).copied().collect();
        call_of(applymode, &format!("{}:{first}~{last}", window.unwrap_or(0)), &covering)
    };
    ranges.iter().map(of_range).collect::<Vec<_>>().join("\n")
}

/// One call of applycal for `OTHER.ms` with the tables under their own names.
fn call_of(applymode: &str, spw: &str, tables: &[(&AppliedTable, &Vec<usize>)]) -> String {
    let names: Vec<_> = tables.iter().map(|(t, _)| t.path.file_name().unwrap_or_default().to_string_lossy()).collect();
    let mut words = vec!["vis='OTHER.ms'".to_owned()];
    if !spw.is_empty() {
        words.push(format!("spw={}", text(&json!(spw))));
    }
    words.push(format!("gaintable={}", text(&json!(names))));
    if tables.iter().any(|(_, map)| !map.is_empty()) {
        let maps: Vec<_> = tables.iter().map(|(_, map)| map).collect();
        words.push(format!("spwmap={}", text(&json!(maps))));
    }
    let interp = tables.iter().map(|(t, _)| json!(t.interp)).collect();
    words.push(format!("interp={}", text(&one_or_all(interp))));
    words.push(format!("applymode={}", text(&json!(applymode))));
    let calwt = tables.iter().map(|(t, _)| json!(t.calwt)).collect();
    words.push(format!("calwt={}, flagbackup=False", text(&one_or_all(calwt))));
    format!("applycal({})", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(path: &str, channels: Option<(usize, usize)>, spectral_window: Option<usize>) -> AppliedTable {
        AppliedTable { path: path.into(), channels, spectral_window, interp: "linear".into(), calwt: false }
    }

    #[test]
    fn the_line_says_which_window_serves_which() {
        let end = "interp='linear', applymode='calonly', calwt=False, flagbackup=False)";
        let line = |tables: &[AppliedTable], maps: &[Vec<usize>]| line_of("calonly", tables, maps);
        let whole = [table("/out/final/gains", None, None)];
        assert_eq!(line(&whole, &[vec![]]), format!("applycal(vis='OTHER.ms', gaintable=['gains'], {end}"));
        assert_eq!(
            line(&whole, &[vec![0, 0]]),
            format!("applycal(vis='OTHER.ms', gaintable=['gains'], spwmap=[[0, 0]], {end}")
        );
        let ranges = [table("/a/g.0", Some((0, 1)), Some(0)), table("/a/g.1", Some((2, 3)), Some(1))];
        assert_eq!(
            line(&ranges, &[vec![], vec![]]),
            format!(
                "applycal(vis='OTHER.ms', spw='0:0~1', gaintable=['g.0'], {end}\n\
                 applycal(vis='OTHER.ms', spw='1:2~3', gaintable=['g.1'], {end}"
            )
        );
    }

    #[test]
    fn the_line_of_a_chain_applies_all_its_tables() {
        let nearest = |table: AppliedTable| AppliedTable { interp: "nearest".into(), ..table };
        let chain = [table("/a/gains.phase", None, None), nearest(table("/a/gains.gains", None, None))];
        insta::assert_snapshot!("the_whole_band", line_of("calonly", &chain, &[vec![0, 0], vec![]]));
        let part = |name: &str, first| table(name, Some((first, first + 1)), Some(0));
        let ranges = [chain[0].clone(), part("/a/g.0", 0), part("/a/g.2", 2), part("/a/h.0", 0), part("/a/h.2", 2)];
        insta::assert_snapshot!("channel_ranges", line_of("calonly", &ranges, &vec![vec![]; 5]));
    }
}
