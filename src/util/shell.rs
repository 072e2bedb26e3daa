//! Command lines that a POSIX shell reads back as the same words.

use std::borrow::Cow;

/// One word as it is typed in a shell: unchanged if it consists of plain characters only, else in single quotes.
pub(crate) fn quote(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-^".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

/// The words as one line, separated by spaces, each quoted where needed.
pub(crate) fn line<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn only_what_needs_quotes_has_them() {
        let words = ["wsclean", "-name", "a b", "", "it's", "$x", "-select", "^1~2", "^1"];
        assert_eq!(line(&words), r"wsclean -name 'a b' '' 'it'\''s' '$x' -select '^1~2' ^1");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_reads_the_same_words(words in proptest::collection::vec("[^\0]{0,12}", 1..8)) {
            let script = format!("printf '%s\\0' {}", line(&words));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let read: Vec<&str> = text.strip_suffix('\0').unwrap().split('\0').collect();
            prop_assert_eq!(read, words);
        }
    }
}
