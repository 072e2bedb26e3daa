//! The list of commands in `cleanloop --help`: under headings, in the order in which people use them.

use super::Cli;
use clap::CommandFactory;
use clap::builder::StyledStr;
use std::fmt::Write;

/// Headings, each with the first command below it.
const HEADINGS: [(&str, &str); 4] =
    [("Campaigns", "init"), ("Masks and images", "mask"), ("Measurements", "inspect"), ("Setup", "setup")];

/// An example of each command; its `--help` begins with it.
const EXAMPLES: [(&str, &str); 29] = [
    ("init", "cleanloop init field.yaml --from field.ms"),
    ("validate", "cleanloop validate field.yaml"),
    ("plan", "cleanloop plan field.yaml"),
    ("run", "cleanloop run field.ms"),
    ("status", "cleanloop status field-selfcal"),
    ("watch", "cleanloop watch field-selfcal --serve"),
    ("cancel", "cleanloop cancel field-selfcal"),
    ("report", "cleanloop report field-selfcal"),
    ("apply", "cleanloop apply field-selfcal"),
    ("image", "cleanloop image field.yaml --round 2"),
    ("demo", "cleanloop demo --output demo"),
    ("task", "cleanloop task field-selfcal --help"),
    ("mask", "cleanloop mask field-image.fits --auto --psf field-psf.fits --output field-mask.fits"),
    ("automask", "cleanloop automask residual.fits --state state --output mask.fits"),
    ("combine", "cleanloop combine first.fits second.fits --dilate 2 --output both.fits"),
    ("extractmask", "cleanloop extractmask beam07-image.fits field-mask.fits"),
    ("kernel", "cleanloop kernel field-image.fits"),
    ("deconvolve", "cleanloop deconvolve residual.fits --psf psf.fits --output cleaned"),
    ("mosaic", "cleanloop mosaic beam*.fits --output field.fits"),
    ("inspect", "cleanloop inspect field.ms"),
    ("noise", "cleanloop noise field-image.fits"),
    ("metrics", "cleanloop metrics field-image.fits --residual field-residual.fits"),
    ("confetti", "cleanloop confetti cube-model.fits --residual cube-residual.fits"),
    ("setup", "cleanloop setup casa"),
    ("doctor", "cleanloop doctor"),
    ("simulate", "cleanloop simulate --output data"),
    ("schema", "cleanloop schema summary"),
    ("completions", "cleanloop completions bash > ~/.local/share/bash-completion/completions/cleanloop"),
    ("man", "cleanloop man ~/.local/share/man/man1"),
];

/// The command line with its help.
pub(super) fn command() -> clap::Command {
    let command = with_examples();
    let template = template(&command);
    command.help_template(template)
}

/// The command line; the long help of each command begins with one line and an example.
pub(super) fn with_examples() -> clap::Command {
    EXAMPLES.iter().fold(Cli::command(), |command, (name, example)| {
        command.mut_subcommand(name, |sub| {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            let long = sub.get_long_about().map(ToString::to_string).unwrap_or_default();
            // The long text repeats the first line.
            let rest = long.split_once("\n\n").map(|(_, rest)| format!("\n\n{rest}")).unwrap_or_default();
            sub.long_about(format!("{about}\n\n  {example}{rest}"))
        })
    })
}

fn template(command: &clap::Command) -> StyledStr {
    let header = command.get_styles().get_header();
    let literal = command.get_styles().get_literal();
    let commands: Vec<&clap::Command> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    let width = commands.iter().map(|c| c.get_name().len()).max().unwrap_or(0);
    let mut text = StyledStr::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for command in commands {
        let name = command.get_name();
        if let Some((heading, _)) = HEADINGS.iter().find(|(_, first)| *first == name) {
            let _ = writeln!(text, "\n{header}{heading}:{header:#}");
        }
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "  {literal}{name:<width$}{literal:#}  {about}");
    }
    let _ =
        write!(text, "\n{header}Options:{header:#}\n{{options}}\n\n`cleanloop COMMAND --help` describes a command.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_under_headings_in_the_order_of_use() {
        let help = command().render_help().to_string();
        let list = help.lines().skip_while(|line| *line != "Campaigns:").take_while(|line| *line != "Options:");
        let words: Vec<&str> = list.filter_map(|line| line.split_whitespace().next()).collect();
        let expected = "Campaigns: init validate plan run status watch cancel report apply image demo \
                        Masks mask automask combine extractmask kernel deconvolve mosaic \
                        Measurements: inspect noise metrics confetti \
                        Setup: setup doctor simulate schema completions man";
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn every_command_has_an_example_that_is_understood() {
        let command = command();
        for sub in command.get_subcommands() {
            let name = sub.get_name();
            let (_, example) =
                EXAMPLES.iter().find(|(of, _)| *of == name).unwrap_or_else(|| panic!("{name}: no example"));
            let long = sub.get_long_about().unwrap().to_string();
            let mut lines = long.lines();
            assert!(lines.next().is_some_and(|line| !line.is_empty()), "{name}");
            assert_eq!(lines.nth(1).map(str::trim), Some(*example));
            let words = example.split(" > ").next().unwrap().split_whitespace();
            if let Err(error) = command.clone().try_get_matches_from(words) {
                assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp, "{example}: {error}");
            }
        }
        assert_eq!(command.get_subcommands().count(), EXAMPLES.len());
    }

    #[test]
    fn every_heading_has_its_command() {
        let command = Cli::command();
        assert_eq!(command.get_subcommands().next().map(clap::Command::get_name), Some(HEADINGS[0].1));
        for (heading, first) in HEADINGS {
            assert!(command.find_subcommand(first).is_some_and(|c| !c.is_hide_set()), "{heading}");
        }
    }

    #[test]
    fn the_readme_lists_the_commands_in_the_same_order() {
        let readme = include_str!("../../README.md");
        let rows = readme.lines().filter_map(|line| line.strip_prefix("| `cleanloop ")?.split_once('`'));
        let listed: Vec<&str> = rows.map(|(name, _)| name).collect();
        let command = Cli::command();
        let names: Vec<&str> =
            command.get_subcommands().filter(|c| !c.is_hide_set()).map(clap::Command::get_name).collect();
        assert_eq!(listed, names);
    }
}
