//! Environment variables in strings: `$NAME` and `${NAME}`; `$$` is a dollar sign.

/// A variable that is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undefined(pub String);

/// Replaces the variables of a text.
///
/// # Errors
/// The first variable that `lookup` does not know.
pub(crate) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Undefined> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, tail) = braced.unwrap_or_else(|| {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            after.split_at(end)
        });
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            out.push('$');
            rest = after;
            continue;
        }
        out.push_str(&lookup(name).ok_or_else(|| Undefined(name.to_owned()))?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("$MEMDIR", "/dev/shm")]
    #[case("${MEMDIR}/a", "/dev/shm/a")]
    #[case("$MEMDIR/$USER.ms", "/dev/shm/me.ms")]
    #[case("5$$", "5$")]
    #[case("$ 5 $1 $", "$ 5 $1 $")]
    #[case("plain", "plain")]
    fn variables_are_replaced(#[case] text: &str, #[case] expected: &str) {
        let lookup = |name: &str| match name {
            "MEMDIR" => Some("/dev/shm".to_owned()),
            "USER" => Some("me".to_owned()),
            _ => None,
        };
        assert_eq!(expand(text, &lookup).unwrap(), expected);
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        assert_eq!(expand("/x/$NOWHERE/y", &|_| None), Err(Undefined("NOWHERE".to_owned())));
    }
}
