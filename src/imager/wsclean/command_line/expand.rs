//! Environment variables in the values of options.

use crate::imager::wsclean::error::WscleanError;
use std::path::Path;

/// A path option with its environment variables expanded.
///
/// # Errors
/// [`WscleanError::BadValue`]: a variable is not set.
pub(crate) fn expanded_path(option: &str, path: &Path) -> Result<std::path::PathBuf, WscleanError> {
    expand(&path.to_string_lossy()).map(Into::into).map_err(|reason| WscleanError::bad_value(option, reason))
}

/// `$NAME` and `${NAME}` replaced by the environment's values.
pub(super) fn expand(text: &str) -> Result<String, String> {
    expand_with(text, &|name| std::env::var(name).ok())
}

fn expand_with(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, used) = match after.strip_prefix('{') {
            Some(inner) => {
                let end = inner.find('}').ok_or_else(|| format!("{text:?}: no closing bracket after ${{"))?;
                (&inner[..end], end + 2)
            }
            None => {
                let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        if name.is_empty() {
            out.push('$');
        } else {
            let value = lookup(name).ok_or_else(|| format!("{text:?}: the environment variable {name} is not set"))?;
            out.push_str(&value);
        }
        rest = &after[used..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("plain", Ok("plain"))]
    #[case("$A/x", Ok("1/x"))]
    #[case("${A}b$A", Ok("1b1"))]
    #[case("5$", Ok("5$"))]
    #[case("$Ab", Err(()))]
    #[case("${A", Err(()))]
    fn variables(#[case] text: &str, #[case] expected: Result<&str, ()>) {
        let lookup = |name: &str| (name == "A").then(|| "1".to_owned());
        assert_eq!(expand_with(text, &lookup).map_err(drop), expected.map(str::to_owned));
    }
}
