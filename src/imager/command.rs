//! An imager that is any command: a template of its words, filled in and run.

use super::channels::ChannelGroup;
use super::context::ImagerContext;
use super::job::{ImagingJob, Products};
use super::lifecycle::{CycleImager, Imager};
use super::preview::{Capabilities, ImagerPreview, PlannedCall, PlannedMasks};
use super::progress::Progress;
use crate::Result;
use crate::process::{Output, ProcessError, Program};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Placeholders of a template.
const PLACEHOLDERS: [&str; 11] = [
    "action",
    "ms",
    "column",
    "folder",
    "mask",
    "model",
    "threads",
    "memory_gb",
    "update_model",
    "first_channel",
    "channels",
];

/// The template (`campaign.executables.imager`).
///
/// Placeholders in braces are filled in: `{action}` (`image` or `predict`), `{ms}` (all measurement sets; as a word of
/// its own it becomes one word for each), `{column}`, `{folder}` (where `image.fits`, `residual.fits`, `model.fits` and
/// `psf.fits` must be written), `{mask}`, `{model}` (of `predict`), `{threads}`, `{memory_gb}`, `{update_model}`
/// (`true` or `false`); of a group of a cube's channels also `{first_channel}` (0 is the first) and `{channels}` (how many).
/// A word with a placeholder that has no value this time is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandOptions {
    /// Program and arguments.
    pub template: Vec<String>,
}

impl CommandOptions {
    /// Fills in the channels of a group.
    pub(super) fn fill_group(&mut self, group: &ChannelGroup) {
        fill_group(&mut self.template, group);
    }
}

/// Fills the channels of a group into the words of a template.
pub(crate) fn fill_group(words: &mut [String], group: &ChannelGroup) {
    for word in words {
        *word = word.replace("{first_channel}", &group.first.to_string());
        *word = word.replace("{channels}", &group.count.to_string());
    }
}

/// Mistakes of a template, and failures of its command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImagerCommandError {
    /// There are no words.
    #[error("the imager `command` needs a command line: campaign.executables.imager is empty")]
    Empty,
    /// A placeholder that nothing fills.
    #[error(
        "campaign.executables.imager: unknown placeholder {{{name}}} in {word:?}; known are {}",
        PLACEHOLDERS.map(|p| format!("{{{p}}}")).join(", ")
    )]
    UnknownPlaceholder {
        /// The text between the braces.
        name: String,
        /// The word it stands in.
        word: String,
    },
    /// The command ended well, but did not write what an imager must.
    #[error("{program} ended without an error, but did not write {}; see {}", path.display(), log.display())]
    NoProduct {
        /// First word of the command.
        program: String,
        /// The file.
        path: PathBuf,
        /// Where all its words are.
        log: PathBuf,
    },
}

impl From<ImagerCommandError> for crate::Error {
    fn from(e: ImagerCommandError) -> Self {
        match e {
            ImagerCommandError::NoProduct { .. } => Self::external(e),
            _ => Self::bad_input(e),
        }
    }
}

/// One imaging by a command.
pub struct CommandImager {
    job: ImagingJob,
    options: CommandOptions,
    context: ImagerContext,
}

impl CommandImager {
    /// Checks the template.
    ///
    /// # Errors
    /// It is empty, or has an unknown placeholder.
    pub fn new(
        job: ImagingJob,
        mut options: CommandOptions,
        context: ImagerContext,
    ) -> Result<Self, ImagerCommandError> {
        if !context.executable.is_empty() {
            options.template.clone_from(&context.executable);
        }
        if options.template.is_empty() {
            return Err(ImagerCommandError::Empty);
        }
        for word in &options.template {
            if let Some(name) = placeholders(word).into_iter().find(|n| !PLACEHOLDERS.contains(n)) {
                return Err(ImagerCommandError::UnknownPlaceholder { name: name.to_owned(), word: word.clone() });
            }
        }
        Ok(Self { job, options, context })
    }

    fn words(&self, action: &str, folder: &Path, mask: Option<&Path>, model: Option<&Path>) -> Vec<String> {
        let job = &self.job;
        let path = |p: &Path| p.to_string_lossy().into_owned();
        let sets: Vec<String> = job.measurement_sets.iter().map(|m| path(m)).collect();
        let value = |name: &str| match name {
            "action" => Some(action.to_owned()),
            "ms" => Some(sets.join(" ")),
            "column" => Some(job.data_column.clone()),
            "folder" => Some(path(folder)),
            "mask" => mask.map(path),
            "model" => model.map(path),
            "threads" => Some(job.threads.to_string()),
            "memory_gb" => job.memory_gb.map(|gb| gb.to_string()),
            "update_model" => Some(job.update_model.to_string()),
            _ => None,
        };
        let mut words = Vec::new();
        for word in &self.options.template {
            if word == "{ms}" {
                words.extend(sets.iter().cloned());
                continue;
            }
            let filled = placeholders(word)
                .into_iter()
                .try_fold(word.clone(), |text, name| value(name).map(|v| text.replace(&format!("{{{name}}}"), &v)));
            words.extend(filled);
        }
        words
    }

    fn run(&self, words: Vec<String>) -> Result<(), ProcessError> {
        let mut program = Program::new(words, &self.job.log);
        program.limits = self.context.limits;
        program.cancel.clone_from(&self.context.cancel);
        program.install_hint = "it is the first word of campaign.executables.imager".into();
        let progress = &self.context.progress;
        progress(Progress::Stage(format!("running {}", program.words[0])));
        program.run(&mut |piece| {
            if let Output::Line(line) = piece {
                progress(Progress::Message(line.to_owned()));
            }
        })?;
        Ok(())
    }

    fn scratch(&self) -> PathBuf {
        self.job.folder.join(".command")
    }

    fn products(&self, folder: &Path) -> Result<Products, ImagerCommandError> {
        Products::in_folder(folder).map_err(|path| {
            let program = self.options.template[0].clone();
            ImagerCommandError::NoProduct { program, path, log: self.job.log.clone() }
        })
    }
}

/// The one call of an imaging by a command.
///
/// # Errors
/// As [`CommandImager::new`].
pub(super) fn preview(
    job: &ImagingJob,
    options: &CommandOptions,
    context: &ImagerContext,
    masks: &PlannedMasks,
) -> Result<ImagerPreview, ImagerCommandError> {
    let imager = CommandImager::new(job.clone(), options.clone(), context.clone())?;
    let one_run = |mask: Option<&Path>| {
        let lines = imager.command_lines(mask);
        lines.into_iter().map(|words| PlannedCall { what: "one run".into(), words }).collect()
    };
    let calls = match masks {
        PlannedMasks::None => one_run(None),
        PlannedMasks::Fixed(mask) => one_run(Some(mask)),
        PlannedMasks::PerCycle(_) => Vec::new(),
    };
    Ok(ImagerPreview { capabilities: imager.capabilities(), calls, notes: Vec::new() })
}

/// Names between braces, in order.
fn placeholders(word: &str) -> Vec<&str> {
    word.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
}

fn files_error(path: &Path, e: std::io::Error) -> crate::Error {
    crate::Error::internal(format!("{}: {e}", path.display()))
}

impl Imager for CommandImager {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            program: self.options.template[0].clone(),
            mask_per_cycle: false,
            mask_cube_per_channel: true,
            multiscale_bit_masks: false,
            primary_beam: Err("the command decides whether it writes pb.fits".into()),
        }
    }

    fn setup(&mut self) -> Result<()> {
        let program = &self.options.template[0];
        if crate::process::find_program(program).is_none() {
            let hint = "it is the first word of campaign.executables.imager".to_owned();
            return Err(ProcessError::NotFound { program: program.clone(), hint }.into());
        }
        std::fs::create_dir_all(&self.job.folder).map_err(|e| files_error(&self.job.folder, e))
    }

    fn teardown(&mut self) {
        let _ = std::fs::remove_dir_all(self.scratch());
    }

    fn image_once(&mut self, mask: Option<&Path>) -> Result<Products> {
        self.setup()?;
        let folder = self.scratch();
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|e| files_error(&folder, e))?;
        self.run(self.words("image", &folder, mask, None))?;
        self.products(&folder)?;
        // Whole at last: under their names together.
        for entry in std::fs::read_dir(&folder).map_err(|e| files_error(&folder, e))? {
            let entry = entry.map_err(|e| files_error(&folder, e))?;
            let to = self.job.folder.join(entry.file_name());
            std::fs::rename(entry.path(), &to).map_err(|e| files_error(&to, e))?;
        }
        std::fs::remove_dir_all(&folder).map_err(|e| files_error(&folder, e))?;
        Ok(self.products(&self.job.folder)?)
    }

    fn predict(&mut self, model: &Path) -> Result<()> {
        Ok(self.run(self.words("predict", &self.job.folder, None, Some(model)))?)
    }

    fn command_lines(&self, mask: Option<&Path>) -> Vec<Vec<String>> {
        vec![self.words("image", &self.scratch(), mask, None)]
    }

    fn cycles(&mut self) -> Option<&mut dyn CycleImager> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ProcessError;
    use crate::util::testing::inner;

    fn imager(folder: &Path, template: &[&str]) -> Result<CommandImager, ImagerCommandError> {
        let job = ImagingJob {
            measurement_sets: vec!["a.ms".into(), "b.ms".into()],
            data_column: "DATA".into(),
            folder: folder.join("image"),
            log: folder.join("log"),
            threads: 2,
            memory_gb: None,
            update_model: true,
            facets: None,
        };
        let template = template.iter().map(|w| (*w).to_owned()).collect();
        CommandImager::new(job, CommandOptions { template }, ImagerContext::default())
    }

    #[test]
    fn words_are_filled_in_and_left_out() {
        let template = ["prog", "{action}", "{ms}", "--mask={mask}", "-m{memory_gb}", "-j{threads}", "{ms}:{column}"];
        let imager = imager(Path::new("/x"), &template).expect("a template");
        let words = imager.command_lines(None).remove(0);
        assert_eq!(words, ["prog", "image", "a.ms", "b.ms", "-j2", "a.ms b.ms:DATA"]);
        let words = imager.command_lines(Some(Path::new("m.fits"))).remove(0);
        assert_eq!(words[4], "--mask=m.fits");
    }

    #[test]
    fn bad_templates_are_refused() {
        assert!(matches!(imager(Path::new("/x"), &[]), Err(ImagerCommandError::Empty)));
        let error = imager(Path::new("/x"), &["prog", "{mas}"]).err().expect("refused");
        assert!(matches!(error, ImagerCommandError::UnknownPlaceholder { .. }), "{error:?}");
        insta::assert_snapshot!(error, @r#"campaign.executables.imager: unknown placeholder {mas} in "{mas}"; known are {action}, {ms}, {column}, {folder}, {mask}, {model}, {threads}, {memory_gb}, {update_model}, {first_channel}, {channels}"#);
    }

    #[test]
    fn its_products_appear_when_all_are_there() {
        let folder = tempfile::tempdir().expect("folder");
        let all = "cd {folder}; for k in image residual model psf pb; do echo $k > $k.fits; done";
        let mut good = imager(folder.path(), &["sh", "-c", all]).expect("a template");
        let products = good.image_once(None).expect("it writes all");
        assert!(products.image.is_file() && products.pb.is_some() && products.pbcor.is_none());
        assert!(!folder.path().join("image/.command").exists());

        let mut bad = imager(folder.path(), &["sh", "-c", "echo new > {folder}/image.fits"]).expect("a template");
        let error = bad.image_once(None).expect_err("no residual");
        let ImagerCommandError::NoProduct { program, path, .. } = inner(&error) else { panic!("{error:?}") };
        assert!(program == "sh" && path.ends_with("residual.fits"), "{error}");
        assert_eq!(std::fs::read_to_string(products.image).expect("the old one"), "image\n", "nothing half done");
    }

    #[test]
    fn its_failure_is_an_external_one() {
        let folder = tempfile::tempdir().expect("folder");
        let mut imager = imager(folder.path(), &["sh", "-c", "echo no data; exit 7"]).expect("a template");
        let error = imager.image_once(None).expect_err("it fails");
        assert_eq!(error.exit_status(), crate::ExitStatus::External);
        let ProcessError::Failed { status, last_lines, .. } = inner(&error) else { panic!("{error:?}") };
        assert_eq!((*status, last_lines.as_slice()), (7, &["no data".to_owned()][..]));
        assert!(imager.cycles().is_none() && !imager.capabilities().mask_per_cycle);
    }
}
