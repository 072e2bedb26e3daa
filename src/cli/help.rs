//! The list of commands in `cleanloop --help`: under headings, in the order in which people use them.

use super::Cli;
use clap::CommandFactory;
use clap::builder::StyledStr;
use std::fmt::Write;

/// Headings, each with the first command below it.
const HEADINGS: [(&str, &str); 4] =
    [("Campaigns", "init"), ("Masks and images", "mask"), ("Measurements", "inspect"), ("Setup", "setup")];

/// The command line with its help.
pub(super) fn command() -> clap::Command {
    let command = Cli::command();
    let template = template(&command);
    command.help_template(template)
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
        let expected = "Campaigns: init validate plan run status cancel report apply image demo \
                        Masks mask automask combine extractmask kernel deconvolve mosaic \
                        Measurements: inspect noise metrics confetti \
                        Setup: setup doctor simulate completions man";
        assert_eq!(words.join(" "), expected);
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
