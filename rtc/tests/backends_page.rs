//! `docs/backends.md` says what the backends declare. Run with all of them:
//! `cargo test -p librtc --features all-backends --test backends_page`; with `UPDATE_PAGES=1` set, the tables
//! of the page are written anew.

use std::path::PathBuf;

use librtc::backend::support::{Support, dtls_support, ice_support};
use librtc::{DTLS_BACKENDS, ICE_BACKENDS};

type Column = (&'static str, Vec<(&'static str, Support)>);

fn ice() -> Vec<Column> {
    let column = |backend: &&dyn librtc::backend::IceBackend| {
        (backend.name(), ice_support(&backend.capabilities()))
    };
    ICE_BACKENDS.iter().map(column).collect()
}

fn tls() -> Vec<Column> {
    let column = |backend: &&dyn librtc::backend::DtlsBackend| {
        (backend.name(), dtls_support(&backend.capabilities()))
    };
    DTLS_BACKENDS.iter().map(column).collect()
}

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/backends.md")
}

/// The lines of a table.
fn table(columns: &[Column]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let names = columns.iter().map(|(name, _)| format!("`{name}`"));
    let mut out = line(std::iter::once(String::new()).chain(names).collect());
    out += &line(vec!["---".to_owned(); columns.len() + 1]);
    for (row, (what, _)) in columns[0].1.iter().enumerate() {
        let cells = columns.iter().map(|(_, rows)| rows[row].1.to_string());
        out += &line(std::iter::once((*what).to_owned()).chain(cells).collect());
    }
    out
}

/// Where the table of that name begins and ends in the page.
fn place(text: &str, name: &str) -> std::ops::Range<usize> {
    let mark = format!("<!-- {name}, from the declared capabilities -->\n");
    let begin = text.find(&mark).expect("the mark before the table") + mark.len();
    let length = text[begin..].find("<!-- end -->").expect("the mark after the table");
    begin..begin + length
}

/// The columns of a table on the page: the header cell, then the others from the top.
fn columns_on_page(table: &str) -> Vec<Vec<&str>> {
    let lines: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| !line.contains("---"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    (0..lines[0].len()).map(|column| lines.iter().map(|line| line[column]).collect()).collect()
}

#[test]
fn the_page_says_what_the_backends_declare() {
    let path = page();
    let mut text = std::fs::read_to_string(&path).expect("the page");
    for (name, columns) in [("ICE", ice()), ("TLS", tls())] {
        if std::env::var_os("UPDATE_PAGES").is_some() {
            text.replace_range(place(&text, name), &table(&columns));
        }
        // The page has all backends, a build perhaps fewer.
        let on_page = columns_on_page(&text[place(&text, name)]);
        for built in columns_on_page(&table(&columns)) {
            assert!(on_page.contains(&built), "{name}: the page has no column {built:?}");
        }
    }
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(&path, text).expect("the page can be written");
    }
}
