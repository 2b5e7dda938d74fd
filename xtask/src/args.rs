//! Command-line options of a task.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result, anyhow, bail};

/// The options given to a task.
#[derive(Debug, Default)]
pub(crate) struct Args(BTreeMap<String, String>);

impl Args {
    /// Reads `--name value` and `--flag` words, of which `usage` names those that exist.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>, usage: &str) -> Result<Args> {
        let mut args = Args::default();
        while let Some(word) = words.next() {
            let known = usage.split(['[', ']']).flat_map(|part| {
                let mut part = part.split_whitespace().peekable();
                std::iter::from_fn(move || {
                    let option = part.next()?;
                    Some((option, part.next_if(|value| !value.starts_with("--")).is_some()))
                })
            });
            let Some((_, takes_value)) = known.into_iter().find(|(option, _)| *option == word)
            else {
                bail!("`{word}` is not an option");
            };
            let value = if takes_value {
                words.next().ok_or_else(|| anyhow!("{word} needs a value"))?
            } else {
                String::new()
            };
            args.0.insert(word, value);
        }
        Ok(args)
    }

    /// Whether an option was given.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.0.contains_key(option)
    }

    /// An option's value as text.
    pub(crate) fn text(&self, option: &str) -> Option<&str> {
        self.0.get(option).map(String::as_str)
    }

    /// A folder that must be named; it need not exist. The result is absolute.
    pub(crate) fn folder(&self, option: &str) -> Result<PathBuf> {
        self.optional_folder(option)?.ok_or_else(|| anyhow!("{option} DIR is missing"))
    }

    /// A folder that may be named; the result is absolute.
    pub(crate) fn optional_folder(&self, option: &str) -> Result<Option<PathBuf>> {
        let Some(folder) = self.text(option) else { return Ok(None) };
        let folder = std::path::absolute(folder)
            .with_context(|| format!("cannot make {option} {folder:?} absolute"))?;
        Ok(Some(folder))
    }

    /// A number, or `default` when the option was not given.
    pub(crate) fn number<T: FromStr>(&self, option: &str, default: T) -> Result<T> {
        match self.text(option) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| anyhow!("{option} {text:?} is not a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: &str = "--prefix DIR [--rounds N] [--keep-debug]";

    fn parse(words: &str) -> Result<Args> {
        Args::parse(words.split_whitespace().map(String::from), USAGE)
    }

    #[test]
    fn options_are_those_the_usage_names() {
        let args = parse("--keep-debug --rounds 3").unwrap();
        assert!(args.has("--keep-debug"));
        assert_eq!(args.number("--rounds", 1).unwrap(), 3);
        assert_eq!(args.number("--other", 7).unwrap(), 7);
        assert!(args.folder("--prefix").is_err());
        for wrong in ["--unknown", "prefix", "--rounds"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("--rounds x").unwrap().number("--rounds", 1).is_err());
    }
}
