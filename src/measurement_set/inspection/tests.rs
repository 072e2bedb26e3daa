use super::*;

fn tally(all: u64, unflagged: u64, usable: u64) -> Tally {
    Tally { all, unflagged, finite: unflagged, usable }
}

/// Eight antennas, two fields, two windows, nothing wrong.
fn good() -> MsFacts {
    let antenna =
        |k: usize| AntennaFacts { name: format!("ea{k:02}"), diameter_m: 25.0, visibilities: tally(700, 700, 700) };
    let window = |name: &str, low: f64| WindowFacts {
        name: name.into(),
        described: true,
        rows: 56,
        channels: 4,
        lowest_hz: low,
        highest_hz: low + 8e6,
        channel_width_hz: 2e6,
        correlations: vec!["XX".into(), "YY".into()],
        visibilities: tally(1400, 1400, 1400),
        ..WindowFacts::default()
    };
    let correlation = |name: &str| CorrelationFacts { name: name.into(), visibilities: tally(1400, 1400, 1400) };
    MsFacts {
        writable: true,
        rows: 112,
        columns: vec![ColumnFacts { name: "DATA".into(), manager: "TiledShapeStMan".into() }],
        column: "DATA".into(),
        antennas: (0..8).map(antenna).collect(),
        fields: vec![FieldFacts {
            name: "3C48".into(),
            rows: 112,
            visibilities: tally(2800, 2800, 2800),
            ..FieldFacts::default()
        }],
        windows: vec![window("low", 1.0e9), window("high", 1.1e9)],
        correlations: vec![correlation("XX"), correlation("YY")],
        visibilities: tally(2800, 2800, 2800),
        integrations: 4,
        spacing_s: 10.0,
        interval_s: 10.0,
        longest_baseline_m: 1000.0,
        ..MsFacts::default()
    }
}

/// The problems of facts that `change` spoils, a line each.
fn found(purpose: &Purpose, change: impl FnOnce(&mut MsFacts)) -> Vec<String> {
    let mut facts = good();
    change(&mut facts);
    let all = problems(&facts, purpose);
    all.iter().map(|p| format!("{:?}: {}", p.severity, p.message)).collect()
}

fn calibrating(change: impl FnOnce(&mut MsFacts)) -> Vec<String> {
    found(&Purpose::default(), change)
}

#[test]
fn good_data_have_no_problems() {
    assert_eq!(calibrating(|_| {}), Vec::<String>::new());
}

#[test]
fn numbers_follow_from_the_facts() {
    let facts = good();
    assert_eq!(facts.frequencies_hz(), Some((1.0e9, 1.108e9)));
    assert_eq!(facts.on_source_s(), 40.0);
    assert_eq!(facts.dish_diameter_m(), Some(25.0));
    // 1.22 * 0.2998 m / 25 m
    assert!((facts.field_of_view_deg().expect("known") - 0.83824).abs() < 1e-4);
    assert_eq!(MsFacts::default().field_of_view_deg(), None);
}

#[test]
fn parts_that_are_lost_are_warnings_and_all_of_them_an_error() {
    let flag = |t: &mut Tally| *t = tally(t.all, 0, 0);
    assert_eq!(
        calibrating(|f| flag(&mut f.windows[1].visibilities)),
        ["Warning: all data of spectral window 1 (high) are flagged"]
    );
    assert_eq!(
        calibrating(|f| f.antennas[..2].iter_mut().for_each(|a| flag(&mut a.visibilities))),
        ["Warning: all data of antennas ea00, ea01 are flagged"]
    );
    let only = Purpose { windows: Some(vec![1]), ..Purpose::default() };
    assert_eq!(
        found(&only, |f| flag(&mut f.windows[1].visibilities)),
        ["Error: all data of spectral window 1 (high) are flagged"]
    );
    let other = Purpose { windows: Some(vec![0]), ..Purpose::default() };
    assert_eq!(found(&other, |f| flag(&mut f.windows[1].visibilities)), Vec::<String>::new());
    assert_eq!(calibrating(|f| flag(&mut f.visibilities)), ["Error: all its data are flagged"]);
    assert_eq!(calibrating(|f| f.visibilities.usable = 0), ["Error: all weights of its unflagged data are 0"]);
    assert_eq!(
        calibrating(|f| f.correlations[1].visibilities.usable = 0),
        ["Warning: all weights of the unflagged data of correlation YY are 0"]
    );
}

#[test]
fn what_matters_depends_on_the_purpose() {
    let few = |f: &mut MsFacts| f.antennas.truncate(3);
    let imaging = Purpose { calibrates: false, casa: false, ..Purpose::default() };
    let written = Purpose { written: true, ..Purpose::default() };
    assert_eq!(calibrating(few), ["Error: it has data of 3 antennas only (ea00, ea01, ea02)"]);
    assert_eq!(found(&imaging, few), ["Warning: it has data of 3 antennas only (ea00, ea01, ea02)"]);
    assert_eq!(calibrating(|f| f.antennas.truncate(2)), ["Error: it has data of a single baseline (ea00 and ea01)"]);
    let incomplete = |f: &mut MsFacts| f.missing_subtables = vec!["STATE".into(), "POINTING".into()];
    assert_eq!(calibrating(incomplete), ["Error: it lacks the subtables STATE, POINTING, which CASA opens"]);
    assert_eq!(found(&imaging, incomplete), ["Warning: it lacks the subtables STATE, POINTING, which CASA opens"]);
    let broken = |f: &mut MsFacts| {
        f.visibilities = Tally { finite: 2100, usable: 2100, ..f.visibilities };
        f.antennas.iter_mut().for_each(|a| a.visibilities = Tally { finite: 600, usable: 600, ..a.visibilities });
        f.antennas[3].visibilities = Tally { finite: 0, usable: 0, ..f.antennas[3].visibilities };
    };
    let said = "700 unflagged visibilities or their weights are no numbers (NaN, infinite): those of antenna ea03";
    assert_eq!(calibrating(broken), [format!("Warning: {said}")]);
    assert_eq!(found(&written, broken), [format!("Error: {said}")]);
    let crossed = |f: &mut MsFacts| {
        let visibilities = Tally { finite: 0, usable: 0, ..tally(700, 700, 0) };
        f.correlations.push(CorrelationFacts { name: "XY".into(), visibilities });
        f.visibilities = Tally { all: 3500, unflagged: 3500, ..f.visibilities };
    };
    let said = "700 unflagged visibilities or their weights are no numbers (NaN, infinite): those of correlation XY";
    assert_eq!(found(&written, crossed), [format!("Note: {said}")]);
    assert_eq!(calibrating(|f| f.writable = false), Vec::<String>::new());
    assert_eq!(found(&written, |f| f.writable = false), ["Error: it cannot be written"]);
}

#[test]
fn tables_that_cannot_be_read_come_alone() {
    let all = calibrating(|f| {
        f.foreign_manager = Some("dyscostman".into());
        f.rows = 0;
    });
    assert_eq!(all, ["Error: its visibilities are compressed with Dysco, which CASA cannot read"]);
    let all = calibrating(|f| {
        f.unreadable = vec![UnreadablePart { what: "DATA".into(), why: "end of file".into() }];
        f.visibilities = Tally::default();
    });
    assert_eq!(all, ["Error: DATA cannot be read, as if a file were cut off or missing (end of file)"]);
    let all = calibrating(|f| {
        f.windows[0].shapes = vec!["[2, 4]".into(), "[2, 2]".into()];
        f.uvw_not_finite = 3;
        f.unreadable = vec![UnreadablePart { what: "DATA".into(), why: "shapes".into() }];
    });
    assert_eq!(
        all,
        [
            "Error: cells of one spectral window have several shapes ([2, 4], [2, 2]), as after averaging by baseline",
            "Error: UVW is no number in 3 of its rows"
        ]
    );
    assert_eq!(
        calibrating(|f| f.column = "CORRECTED_DATA".into()),
        ["Error: it has no column CORRECTED_DATA; it has DATA"]
    );
    assert_eq!(calibrating(|f| f.rows = 0), ["Error: it has no rows: there are no data"]);
    assert_eq!(
        calibrating(|f| f.visibilities = Tally::default()),
        ["Error: it has autocorrelations only: no baseline of two antennas"]
    );
}

#[test]
fn surprises_are_told() {
    let all = calibrating(|f| {
        f.interval_s = 0.04;
        f.windows[0].descending = true;
        f.windows[1].channels = 64;
        f.windows[1].correlations.truncate(1);
        f.windows.push(WindowFacts { name: "none".into(), ..WindowFacts::default() });
        f.antennas[2].name = "5".into();
        f.antennas[6].name = f.antennas[7].name.clone();
        f.fields.push(FieldFacts { name: "3C286".into(), ..f.fields[0].clone() });
    });
    assert_eq!(
        all,
        [
            "Warning: it has data of 2 fields with phase centres of their own (0 (3C48), 1 (3C286))",
            "Warning: spectral window 1 (high) has one correlation (XX)",
            "Warning: antennas have no name, or one that others have, too (numbers 6, 7)",
            "Note: INTERVAL says 0.040 s, but its times are 10.000 s apart",
            "Note: the channels of spectral window 0 (low) are in descending order",
            "Note: no row of DATA_DESCRIPTION names spectral window 2",
            "Note: its spectral windows have different numbers of channels (4, 64)",
            "Note: names of antennas are numbers of others in the table ANTENNA (5)"
        ]
    );
}
