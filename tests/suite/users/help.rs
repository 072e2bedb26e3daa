//! Help and errors.

use crate::support::words::dialogue;

#[test]
fn the_help_of_a_command_begins_with_one_line_and_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let help = dialogue(folder.path(), ["report --help", "watch --help"]);
    insta::assert_snapshot!(help);
}

#[test]
fn an_error_ends_with_the_page_that_explains_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.yaml"), "version: 0.2\ncampaign: {imagr: wsclean}\n").unwrap();
    std::fs::write(folder.path().join("bad.fits"), "no image").unwrap();
    let lines =
        ["run bad.yaml", "status nowhere", "watch nowhere", "metrics bad.fits", "mask bad.fits", "noise none.fits"];
    insta::assert_snapshot!(dialogue(folder.path(), lines));
}
