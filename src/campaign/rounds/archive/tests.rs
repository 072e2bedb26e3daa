//! Files of the archive, their names, and a kill in between.

use super::patterns::flint_name;
use super::*;
use flate2::read::GzDecoder;
use std::io::Read;

fn folder_with(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, file).unwrap();
    }
    folder
}

const FILES: [&str; 7] = [
    "final/image.fits",
    "final/gains.cal/table.dat",
    "round-01/calibration/gains.cal/table.dat",
    "round-01/logs/solve.log",
    "report/index.html",
    "record.json",
    "lock",
];

fn options(copy: &[&str], compress: &[&str]) -> ArchiveOptions {
    let list = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    ArchiveOptions { copy: list(copy), compress: list(compress), ..ArchiveOptions::default() }
}

fn packed(path: &Path) -> Vec<(String, String)> {
    let mut tar = tar::Archive::new(GzDecoder::new(File::open(path).unwrap()));
    let mut files = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.push((name, text));
    }
    files
}

#[test]
fn chosen_files_are_copied_and_packed_with_their_paths() {
    let root = folder_with(&FILES);
    let options = options(&["final/*.fits"], &["**/*.cal", "**/logs", "nothing*"]);
    let target = root.path().join("archive");
    let made = collect(&options, root.path(), ArchivePart::MeasurementSet, "beam").unwrap();
    assert_eq!(made.copied, [target.join("final/image.fits")]);
    assert_eq!(made.unmatched, ["nothing*"]);
    assert!(made.is_there());
    let inside: Vec<(String, String)> =
        packed(&made.packed.clone().unwrap()).into_iter().filter(|(_, text)| !text.is_empty()).collect();
    let expected = ["final/gains.cal/table.dat", "round-01/calibration/gains.cal/table.dat", "round-01/logs/solve.log"];
    assert_eq!(inside, expected.map(|name| (name.to_owned(), name.to_owned())));
    std::fs::remove_file(target.join("final/image.fits")).unwrap();
    assert!(!made.is_there());
}

#[test]
fn each_part_is_collected_by_itself_and_locks_never() {
    let root = folder_with(&FILES);
    let options = options(&["*", "**/*"], &[]);
    let collect = |part, name: &str| collect(&options, root.path(), part, name);
    let made = collect(ArchivePart::MeasurementSet, "beam").unwrap();
    let names = |made: &Archived| -> Vec<String> {
        let archive = root.path().join("archive");
        made.copied.iter().map(|p| p.strip_prefix(&archive).unwrap().display().to_string()).collect()
    };
    assert_eq!(names(&made), ["final", "round-01"]);
    let made = collect(ArchivePart::Campaign, "campaign").unwrap();
    assert_eq!(names(&made), ["record.json", "report"]);
    assert_eq!(std::fs::read_to_string(root.path().join("archive/report/index.html")).unwrap(), "report/index.html");
}

#[test]
fn what_a_killed_run_left_does_no_harm() {
    let root = folder_with(&FILES);
    let options = options(&["final/image.fits", "final/gains.cal"], &["final"]);
    let target = root.path().join("archive");
    // Half a copy, half a table, half a tar file, and a table of an earlier time.
    std::fs::create_dir_all(target.join("final/.gains.cal.part")).unwrap();
    std::fs::write(target.join("final/.gains.cal.part/stale"), "x").unwrap();
    std::fs::write(target.join("final/.image.fits.part"), "half").unwrap();
    std::fs::write(target.join(".beam.tar.gz.part"), "half").unwrap();
    std::fs::create_dir_all(target.join("final/gains.cal")).unwrap();
    std::fs::write(target.join("final/gains.cal/old"), "x").unwrap();
    let made = collect(&options, root.path(), ArchivePart::MeasurementSet, "beam").unwrap();
    assert!(made.is_there());
    let mut left: Vec<String> = std::fs::read_dir(target.join("final"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["gains.cal", "image.fits"]);
    assert_eq!(std::fs::read_dir(target.join("final/gains.cal")).unwrap().count(), 1, "the table is the new one");
    assert_eq!(packed(&target.join("beam.tar.gz")).last().unwrap().1, "final/image.fits");
    assert!(!target.join(".beam.tar.gz.part").exists());
}

#[test]
fn what_patterns_want_is_known_beforehand() {
    let options = options(&["final/*.fits"], &["**/*.cal", "round-01/image"]);
    let root = Path::new("/out");
    for (path, wanted) in [
        ("/out/final/image.fits", true),
        ("/out/final/deeper/image.fits", false),
        ("/out/round-00/calibration/g.cal/table.dat", true),
        ("/out/round-01/image/residual.fits", true),
        ("/out/round-02/image/residual.fits", false),
        ("/elsewhere/final/image.fits", false),
    ] {
        assert_eq!(Wanted::of(&options, root, "beam").holds(Path::new(path)), wanted, "{path}");
    }
}

#[test]
fn flint_s_patterns_find_what_flint_would_call_so() {
    let root = folder_with(&[
        "data/beam03.ms/table.dat",
        "data/beam03.ms/ANTENNA/table.dat",
        "round-04/image/image-MFS-image.fits",
        "round-04/image/image-MFS-residual.fits",
        "round-03/image/image-MFS-image.fits",
        "round-00/image/image-0000-image.fits",
        "round-04/calibration/gains.cal/table.dat",
        "final/apply-solutions.txt",
        "report/plot.png",
        "field/round-04/image.fits",
        "field/round-04/image.weight.fits",
        "record.json",
    ]);
    let re = |copy: &[&str], tar: &[&str]| ArchiveOptions {
        copy_file_re_patterns: copy.iter().map(ToString::to_string).collect(),
        tar_file_re_patterns: tar.iter().map(ToString::to_string).collect(),
        copy_to: Some(root.path().join("archive/copies")),
        ..ArchiveOptions::default()
    };
    let names = |made: &Archived| -> (Vec<String>, Vec<String>) {
        let copies = |p: &PathBuf| {
            let parts: Vec<_> = p.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
            parts[parts.iter().position(|c| c == "copies").unwrap() + 2..].join("/")
        };
        let inside = made.packed.iter().flat_map(|tar| packed(tar)).filter(|(_, text)| !text.is_empty());
        (made.copied.iter().map(copies).collect(), inside.map(|(name, _)| name).collect())
    };
    let options = re(
        &[r".*linmos.*fits", r".*png", r"round4.*MFS.*(image|model)\.fits"],
        &[r".*beam[0-9]+\.ms", r".*\.caltable$", r"^beam0[0-3].*round3.*image\.fits$", "txt"],
    );
    let (copied, tar) = names(&collect(&options, root.path(), ArchivePart::MeasurementSet, "beam03").unwrap());
    assert_eq!(copied, ["round-04/image/image-MFS-image.fits"]);
    let expected = [
        "data/beam03.ms/ANTENNA/table.dat",
        "data/beam03.ms/table.dat",
        "final/apply-solutions.txt",
        "round-03/image/image-MFS-image.fits",
        "round-04/calibration/gains.cal/table.dat",
    ];
    assert_eq!(tar, expected);
    let (copied, tar) = names(&collect(&options, root.path(), ArchivePart::Campaign, "campaign").unwrap());
    assert_eq!(copied, ["field/round-04/image.fits", "field/round-04/image.weight.fits", "report/plot.png"]);
    assert!(tar.is_empty(), "{tar:?}");
    // Once more: what the archive holds is not collected itself.
    let again = collect(&re(&[], &[".*fits"]), root.path(), ArchivePart::MeasurementSet, "beam03").unwrap();
    assert_eq!(again.packed_files, 4);
    let wanted = |path: &str| Wanted::of(&options, root.path(), "beam03").holds(&root.path().join(path));
    assert!(wanted("round-04/image/image-MFS-image.fits") && !wanted("round-04/image/image-MFS-residual.fits"));
    assert!(wanted("data/beam03.ms/ANTENNA/table.dat") && !wanted("round-00/image/image-0000-image.fits"));
}

#[test]
fn names_are_told_in_flint_s_way() {
    let name = |part, path: &str| flint_name(part, "b1", Path::new(path));
    assert_eq!(name(ArchivePart::MeasurementSet, "round-00/a.cal"), "b1/round0/a.caltable");
    assert_eq!(name(ArchivePart::MeasurementSet, "round-12-retry/field/x"), "b1/round12-retry/field/x");
    assert_eq!(name(ArchivePart::Campaign, "field/round-10/image.fits"), "linmos/round10/image.fits");
}
