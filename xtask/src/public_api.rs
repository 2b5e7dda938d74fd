//! The Rust API as a text, so that a release shows what it changes.
//!
//! It is taken from what rustdoc writes: the declarations on the pages of librtc, without what
//! the compiler implements by itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::{self, progress};
use crate::project;

/// `cargo xtask public-api`.
pub(crate) fn run(args: Args) -> Result<()> {
    // Pages of items that are no more would stay.
    let folder = project::target().join("doc/librtc");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {folder:?}"))?;
    }
    progress("documenting librtc");
    process::run_quietly(project::cargo().args([
        "doc",
        "--quiet",
        "--no-deps",
        "--locked",
        "--package",
        "librtc",
    ]))?;
    let mut lines = BTreeSet::new();
    collect(&folder, "librtc", &mut lines)?;
    let stored = project::root().join("docs/public-api.txt");
    if args.has("--store") {
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        return fs::write(&stored, text).with_context(|| format!("cannot write {stored:?}"));
    }
    let text = fs::read_to_string(&stored).with_context(|| format!("cannot read {stored:?}"))?;
    let before: BTreeSet<String> = text.lines().map(String::from).collect();
    let gone: Vec<_> = before.difference(&lines).map(|line| format!("- {line}")).collect();
    let new: Vec<_> = lines.difference(&before).map(|line| format!("+ {line}")).collect();
    println!("{}", [&gone[..], &new[..]].concat().join("\n"));
    if !gone.is_empty() {
        bail!("{} declarations are gone or changed: programs may no longer compile", gone.len());
    }
    println!("public-api: {} declarations as before, {} new", before.len(), new.len());
    Ok(())
}

/// Adds the declarations on all pages below a folder, each after the item's path.
fn collect(folder: &Path, path: &str, lines: &mut BTreeSet<String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {folder:?}"))?;
    let mut pages: Vec<PathBuf> = Vec::new();
    for entry in entries {
        pages.push(entry.with_context(|| format!("cannot list {folder:?}"))?.path());
    }
    for page in pages {
        let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if page.is_dir() {
            collect(&page, &format!("{path}::{name}"), lines)?;
        } else if let [kind, item, "html"] = name.split('.').collect::<Vec<_>>()[..] {
            let html =
                fs::read_to_string(&page).with_context(|| format!("cannot read {page:?}"))?;
            // Items that are shown elsewhere, since their module is private.
            if html.contains("<title>Redirection</title>") {
                continue;
            }
            let item = format!("{path}::{item}");
            lines.insert(format!("{kind} {item}"));
            lines.extend(declarations(&html).into_iter().map(|line| format!("{item}: {line}")));
        }
    }
    Ok(())
}

/// The declarations on one page.
fn declarations(html: &str) -> Vec<String> {
    const STARTS: [(&str, &str); 3] = [
        ("<pre class=\"rust item-decl\">", "</pre>"),
        ("<h3 class=\"code-header\">", "</h3>"),
        ("<h4 class=\"code-header\">", "</h4>"),
    ];
    // What follows is the same for all types.
    let own = ["<h2 id=\"synthetic-implementations\"", "<h2 id=\"blanket-implementations\""]
        .iter()
        .filter_map(|heading| html.find(heading))
        .min()
        .map_or(html, |end| &html[..end]);
    let mut found = Vec::new();
    for (start, end) in STARTS {
        for part in own.split(start).skip(1) {
            let declaration = part.split(end).next().unwrap_or_default();
            found.push(plain(declaration));
        }
    }
    found
}

/// Text without tags, entities and line breaks.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut parts = html.split('<');
    text += parts.next().unwrap_or_default();
    for part in parts {
        text += part.split_once('>').map_or("", |(_, rest)| rest);
    }
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " ")]
    {
        text = text.replace(entity, character);
    }
    let text = text.replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read_from_rustdoc_pages() {
        let page = "<pre class=\"rust item-decl\"><code>pub struct <a href=\"x\">A</a>&lt;T&gt; {\n \
                    /* private fields */ }</code></pre><p>Text</p>\
                    <h4 class=\"code-header\">pub fn f(&amp;self)</h4>\
                    <h2 id=\"blanket-implementations\"></h2><h3 class=\"code-header\">no</h3>";
        assert_eq!(
            declarations(page),
            ["pub struct A<T> { /* private fields */ }", "pub fn f(&self)"]
        );
    }
}
