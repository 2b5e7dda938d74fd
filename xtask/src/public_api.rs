//! The Rust API as a text, so that a release breaks no program unless its version says so.
//!
//! It is taken from what rustdoc writes: the declarations on the pages of librtc and rtc-media,
//! without what the compiler implements by itself. A declaration that reads otherwise counts as
//! gone, so a few harmless changes are taken for breaks, a trait's new method with a body for one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::process::{self, progress};
use crate::project;

/// The packages that Rust programs use, and the folders of their pages.
const DOCUMENTED: [(&str, &str); 2] = [("librtc", "librtc"), ("rtc-media", "rtc_media")];

/// The API of the last release.
const STORED: &str = "docs/public-api.txt";

/// `cargo xtask public-api`.
pub(crate) fn run(args: Args) -> Result<()> {
    let now = Listing::of_workspace()?;
    let path = project::root().join(STORED);
    if args.has("--store") {
        // Before the first release there is nothing to keep: whoever deletes the file says so.
        if path.is_file() {
            compare(&Listing::read(&path)?, &now)?;
        }
        return fs::write(&path, now.text()).with_context(|| format!("cannot write {path:?}"));
    }
    println!("public-api: {}", compare(&Listing::read(&path)?, &now)?);
    Ok(())
}

/// An API: each declaration on a line, after who made the list of what.
#[derive(Debug, PartialEq, Eq)]
struct Listing {
    version: String,
    rustdoc: String,
    lines: BTreeSet<String>,
}

impl Listing {
    fn of_workspace() -> Result<Listing> {
        let mut cargo = project::cargo();
        cargo.args(["doc", "--quiet", "--no-deps", "--locked"]);
        for (package, folder) in DOCUMENTED {
            cargo.args(["--package", package]);
            // Pages of items that are no more would stay.
            let pages = project::target().join("doc").join(folder);
            if pages.exists() {
                fs::remove_dir_all(&pages).with_context(|| format!("cannot remove {pages:?}"))?;
            }
        }
        progress("documenting the Rust API");
        process::run_quietly(&mut cargo)?;
        let mut lines = BTreeSet::new();
        for (_, folder) in DOCUMENTED {
            collect(&project::target().join("doc").join(folder), folder, &mut lines)?;
        }
        let rustdoc = process::read(Command::new("rustdoc").arg("--version"))?;
        let rustdoc = rustdoc.split_whitespace().nth(1).unwrap_or_default().into();
        Ok(Listing { version: project::version()?.full, rustdoc, lines })
    }

    fn read(path: &Path) -> Result<Listing> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
        Listing::parse(&text).with_context(|| format!("{path:?} does not begin as it should"))
    }

    fn text(&self) -> String {
        let head = format!("librtc {}, as rustdoc {} shows it\n", self.version, self.rustdoc);
        [head].into_iter().chain(self.lines.iter().map(|line| format!("{line}\n"))).collect()
    }

    fn parse(text: &str) -> Option<Listing> {
        let (head, rest) = text.split_once('\n')?;
        let head = head.strip_prefix("librtc ")?.strip_suffix(" shows it")?;
        let (version, rustdoc) = head.split_once(", as rustdoc ")?;
        Some(Listing {
            version: version.into(),
            rustdoc: rustdoc.into(),
            lines: rest.lines().map(String::from).collect(),
        })
    }
}

/// Tells what changed; an error if programs may no longer compile and the version does not say so.
fn compare(before: &Listing, now: &Listing) -> Result<String> {
    if before.rustdoc != now.rustdoc {
        // Its pages are no interface: the same declaration may read otherwise.
        return Ok(format!(
            "NOT COMPARED: {STORED} is of rustdoc {}, this is {}",
            before.rustdoc, now.rustdoc
        ));
    }
    let gone: Vec<_> =
        before.lines.difference(&now.lines).map(|line| format!("- {line}\n")).collect();
    let new: Vec<_> =
        now.lines.difference(&before.lines).map(|line| format!("+ {line}\n")).collect();
    let changes = [&gone[..], &new[..]].concat().concat();
    if !gone.is_empty() && compatible(&before.version) == compatible(&now.version) {
        bail!(
            "{} declarations of {} are gone or changed, and {} promises that programs still \
             compile:\n{changes}\
             Raise the version, or, as long as nothing was released, delete {STORED} and store it \
             anew.",
            gone.len(),
            before.version,
            now.version
        );
    }
    Ok(format!(
        "{} declarations of {} are there, {} gone with {}, {} new\n{changes}",
        before.lines.len() - gone.len(),
        before.version,
        gone.len(),
        now.version,
        new.len()
    ))
}

/// The part of a version that cargo takes for the promise of compatibility: up to the first number
/// that is not zero.
fn compatible(version: &str) -> &str {
    let mut end = 0;
    for number in version.split('.') {
        end += number.len();
        if number != "0" {
            break;
        }
        end += 1;
    }
    version.get(..end).unwrap_or(version)
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
            let declaration = plain(part.split(end).next().unwrap_or_default());
            // Variants may join these, and have lines of their own.
            let is_open = declaration.contains("#[non_exhaustive]pub enum ");
            let head = declaration.split_once('{').filter(|_| is_open);
            found.push(head.map_or(declaration.clone(), |(head, _)| format!("{head}{{ .. }}")));
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
        let open =
            "<pre class=\"rust item-decl\"><code>#[non_exhaustive]pub enum E { A, }</code></pre>";
        assert_eq!(declarations(open), ["#[non_exhaustive]pub enum E { .. }"]);
    }

    fn listing(version: &str, lines: &str) -> Listing {
        Listing {
            version: version.into(),
            rustdoc: "1.95.0".into(),
            lines: lines.split_whitespace().map(String::from).collect(),
        }
    }

    #[test]
    fn a_break_needs_a_version_that_says_so() {
        let before = listing("0.24.5", "a b");
        for (version, lines, is_fine) in [
            ("0.24.5", "a b", true),
            ("0.24.5", "a b c", true),
            ("0.24.5", "a", false),
            ("0.24.5", "a c d", false),
            ("0.24.6", "a", false),
            ("0.25.0", "a", true),
            ("1.0.0", "", true),
        ] {
            let outcome = compare(&before, &listing(version, lines));
            assert_eq!(outcome.is_ok(), is_fine, "{version}, {lines}: {outcome:?}");
        }
        assert_eq!(["1.2.3", "0.0.7", "0.24.5"].map(compatible), ["1", "0.0.7", "0.24"]);
    }

    #[test]
    fn a_listing_is_read_as_it_was_written() {
        let listing = listing("0.24.5", "a b");
        assert_eq!(Listing::parse(&listing.text()), Some(listing));
        assert_eq!(Listing::parse("a\nb\n"), None);
    }
}
