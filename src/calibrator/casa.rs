//! CASA's gaincal and applycal, in the worker.

use super::options::{GainType, GaincalOptions};
use super::{Calibrator, SolutionTable, SolveRequest, gain_tables};
use crate::Result;
use crate::options::Validate;
use crate::programs::casa::requests::{
    Applycal, Gaincal, GaincalParameters, IdentityGains, SpectralWindowMaps, TableStatistics,
};
use crate::programs::casa::{Casa, python as text};
use crate::quality::solutions::SolutionStats;
use serde::Serialize;
use serde_json::json;
use std::path::Path;

/// Name of a round's table in the folder of the request.
const TABLE: &str = "gains";

/// gaincal and applycal with one set of options.
#[derive(Debug)]
pub struct CasaCalibrator {
    casa: Casa,
    options: GaincalOptions,
}

impl CasaCalibrator {
    /// A calibrator with these options.
    ///
    /// # Errors
    /// An invalid option.
    pub fn new(casa: Casa, options: GaincalOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self { casa, options })
    }

    /// gaincal's own parameters, as the worker passes them on.
    fn parameters(&self) -> GaincalParameters {
        let o = &self.options;
        let selection = |value: &String| o.selectdata.then(|| value.clone());
        GaincalParameters {
            solint: o.solint.clone(),
            calmode: word(&o.calmode),
            minsnr: o.minsnr,
            gaintype: word(&o.gaintype),
            // CASA normalises amplitudes only; of phase solutions it would say that it ignores the wish.
            solnorm: o.solnorm && o.calmode.amplitudes(),
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

    fn reference_antenna(&self, request: &SolveRequest) -> Option<String> {
        Some(self.options.refant.clone()).filter(|name| !name.is_empty()).or_else(|| request.reference_antenna.clone())
    }
}

impl Calibrator for CasaCalibrator {
    fn version(&mut self) -> Result<String> {
        self.casa.version()
    }

    fn solve(&mut self, request: &SolveRequest) -> Result<Vec<SolutionTable>> {
        let solved = self.casa.ask(
            &Gaincal {
                ms: request.measurement_set.clone(),
                folder: request.folder.clone(),
                name: TABLE.to_owned(),
                refant: self.reference_antenna(request),
                nspw: self.options.nspw,
                parameters: self.parameters(),
            },
            Some(&request.log),
        )?;
        tracing::info!("round {}: reference antenna {}", request.round, solved.refant);
        if solved.missing > 0 {
            tracing::warn!(
                "{}: {} of {} channel ranges have no data to solve on; they stay uncorrected",
                request.measurement_set.display(),
                solved.missing,
                solved.missing + solved.tables.len()
            );
        }
        Ok(solved.tables.into_iter().map(SolutionTable::from).collect())
    }

    fn apply(&mut self, measurement_set: &Path, tables: &[SolutionTable], log: &Path) -> Result<()> {
        let o = &self.options;
        let request = Applycal {
            ms: measurement_set.to_path_buf(),
            tables: gain_tables(tables),
            applymode: word(&o.applymode),
            interp: o.interp.clone(),
            calwt: o.calwt,
        };
        self.casa.ask(&request, Some(log))
    }

    fn inspect(&mut self, tables: &[SolutionTable]) -> Result<SolutionStats> {
        if self.options.gaintype == GainType::Gspline {
            return Ok(SolutionStats::default());
        }
        self.casa.ask(&TableStatistics { tables: gain_tables(tables) }, None)
    }

    fn set_identity_gains(&mut self, tables: &[SolutionTable], antennas: &[String], log: &Path) -> Result<()> {
        self.casa.ask(&IdentityGains { tables: gain_tables(tables), antennas: antennas.to_vec() }, Some(log))
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
        Some(line_of(&self.options, tables, &maps))
    }

    fn command_lines(&self, request: &SolveRequest) -> Vec<Vec<String>> {
        let ms = text(&json!(request.measurement_set));
        let table = request.folder.join(TABLE);
        let mut solve = vec!["gaincal".to_owned(), format!("vis={ms}"), format!("caltable={}", text(&json!(table)))];
        let refant = self.reference_antenna(request).map_or_else(
            || "<the antenna with most unflagged data nearest the centre>".to_owned(),
            |name| text(&json!(name)),
        );
        solve.push(format!("refant={refant}"));
        solve.extend(
            json!(self.parameters())
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| !value.is_null() && **value != "")
                .map(|(key, value)| format!("{key}={}", text(value))),
        );
        if self.options.nspw > 1 {
            solve.push(format!("spw=<each of {} channel ranges>", self.options.nspw));
        }
        let o = &self.options;
        let apply = ["applycal".to_owned(), format!("vis={ms}"), format!("gaintable=[{}]", text(&json!(table)))]
            .into_iter()
            .chain([
                format!("applymode={}", text(&json!(o.applymode))),
                format!("interp={}", text(&json!(o.interp))),
                format!("calwt={}", text(&json!(o.calwt))),
            ])
            .collect();
        vec![solve, apply]
    }
}

/// A choice in CASA's word.
fn word(choice: &impl Serialize) -> String {
    json!(choice).as_str().unwrap_or_default().to_owned()
}

/// Calls of applycal for `OTHER.ms`; `maps` holds the spwmap of each table, empty where windows keep their own.
fn line_of(o: &GaincalOptions, tables: &[SolutionTable], maps: &[Vec<usize>]) -> String {
    let call = |spw: &str, tables: &[&SolutionTable], maps: &[&Vec<usize>]| {
        let names: Vec<_> = tables.iter().map(|t| t.path.file_name().unwrap_or_default().to_string_lossy()).collect();
        let mut words = vec!["vis='OTHER.ms'".to_owned()];
        if !spw.is_empty() {
            words.push(format!("spw={}", text(&json!(spw))));
        }
        words.push(format!("gaintable={}", text(&json!(names))));
        if maps.iter().any(|m| !m.is_empty()) {
            words.push(format!("spwmap={}", text(&json!(maps))));
        }
        words.push(format!("interp={}", text(&json!(o.interp))));
        words.push(format!("applymode={}", text(&json!(o.applymode))));
        words.push(format!("calwt={}, flagbackup=False", text(&json!(o.calwt))));
        format!("applycal({})", words.join(", "))
    };
    if tables.iter().all(|t| t.channels.is_none()) {
        return call("", &tables.iter().collect::<Vec<_>>(), &maps.iter().collect::<Vec<_>>());
    }
    let of_range = |(t, map): (&SolutionTable, &Vec<usize>)| {
        let spw = t
            .channels
            .map_or_else(String::new, |(first, last)| format!("{}:{first}~{last}", t.spectral_window.unwrap_or(0)));
        call(&spw, &[t], &[map])
    };
    tables.iter().zip(maps).map(of_range).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(path: &str, channels: Option<(usize, usize)>, spectral_window: Option<usize>) -> SolutionTable {
        SolutionTable { path: path.into(), channels, spectral_window }
    }

    #[test]
    fn the_line_says_which_window_serves_which() {
        let o = GaincalOptions::default();
        let end = "interp='linear', applymode='calonly', calwt=False, flagbackup=False)";
        let whole = [table("/out/final/gains", None, None)];
        assert_eq!(line_of(&o, &whole, &[vec![]]), format!("applycal(vis='OTHER.ms', gaintable=['gains'], {end}"));
        assert_eq!(
            line_of(&o, &whole, &[vec![0, 0]]),
            format!("applycal(vis='OTHER.ms', gaintable=['gains'], spwmap=[[0, 0]], {end}")
        );
        let ranges = [table("/a/g.0", Some((0, 1)), Some(0)), table("/a/g.1", Some((2, 3)), Some(1))];
        let lines = line_of(&o, &ranges, &[vec![], vec![]]);
        assert_eq!(
            lines,
            format!(
                "applycal(vis='OTHER.ms', spw='0:0~1', gaintable=['g.0'], {end}\n\
                 applycal(vis='OTHER.ms', spw='1:2~3', gaintable=['g.1'], {end}"
            )
        );
    }
}
