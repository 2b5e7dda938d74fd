//! The matrix as text for a terminal and as a page that needs nothing beside it.

use super::cell::{Cell, Colour, Verdict};
use std::fmt::Write as _;
use std::path::Path;

/// A cell with its verdict.
pub(super) type Judged = (Cell, Verdict);

/// The sections in the order of their first cells.
fn sections(judged: &[Judged]) -> Vec<&'static str> {
    unique(judged.iter().map(|(cell, _)| cell.section))
}

fn unique<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

/// One section: names of rows and of columns, and a way to its verdicts.
struct Grid<'a> {
    section: &'static str,
    rows: Vec<&'a str>,
    columns: Vec<&'a str>,
    judged: &'a [Judged],
}

impl<'a> Grid<'a> {
    fn of(section: &'static str, judged: &'a [Judged]) -> Self {
        let cells = || judged.iter().map(|(cell, _)| cell).filter(|cell| cell.section == section);
        Self {
            section,
            rows: unique(cells().map(|cell| cell.row.as_str())),
            columns: unique(cells().map(|cell| cell.column.as_str())),
            judged,
        }
    }

    fn verdict(&self, row: &str, column: &str) -> Option<&'a Verdict> {
        let at =
            |cell: &Cell| cell.section == self.section && cell.row == row && cell.column == column;
        self.judged.iter().find(|(cell, _)| at(cell)).map(|(_, verdict)| verdict)
    }
}

/// The tables for a terminal.
pub(super) fn text(judged: &[Judged]) -> String {
    let mut out = String::new();
    for section in sections(judged) {
        let grid = Grid::of(section, judged);
        let words = |row: &str, column: &str| {
            grid.verdict(row, column).map_or("-".to_owned(), Verdict::words)
        };
        let first = grid.rows.iter().map(|row| row.len()).max().unwrap_or(0).max(section.len());
        let widths: Vec<usize> = grid
            .columns
            .iter()
            .map(|column| {
                let cells = grid.rows.iter().map(|row| words(row, column).len());
                cells.max().unwrap_or(0).max(column.len())
            })
            .collect();
        let _ = write!(out, "\n{section:first$}");
        for (column, width) in grid.columns.iter().zip(&widths) {
            let _ = write!(out, " | {column:width$}");
        }
        for row in &grid.rows {
            let _ = write!(out, "\n{row:first$}");
            for (column, width) in grid.columns.iter().zip(&widths) {
                let _ = write!(out, " | {:width$}", words(row, column));
            }
        }
        out.push('\n');
    }
    out
}

const STYLE: &str = "body{font:15px system-ui,sans-serif;margin:2em;color:#222}\
    table{border-collapse:collapse;margin:1em 0 2em}\
    td,th{border:1px solid #bbb;padding:.4em .7em;text-align:left;vertical-align:top}\
    th{background:#f3f3f3}.passed{background:#cdeccd}.failed{background:#f5b7b1}\
    .unsupported{background:#dfe6f5}.skipped{background:#eee;color:#666}\
    small{color:#555}details{margin:.3em 0}pre{white-space:pre-wrap;margin:.3em 0}";

fn class(verdict: &Verdict) -> &'static str {
    match verdict.colour() {
        Colour::Passed => "passed",
        Colour::Failed => "failed",
        Colour::Unsupported => "unsupported",
        Colour::Skipped => "skipped",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The page.
pub(super) fn page(judged: &[Judged], library: &Path) -> String {
    let title = "Backends: every combination against rtc.h";
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>Library: {}. Rows of \
         <i>pairs</i> offer, columns answer; the real library takes both roles. Grey cells were \
         not run, blue ones are not supported by a backend.</p>\n",
        escaped(&library.display().to_string())
    );
    for section in sections(judged) {
        let grid = Grid::of(section, judged);
        let _ = write!(out, "<h2>{section}</h2>\n<table><tr><th></th>");
        for column in &grid.columns {
            let _ = write!(out, "<th>{}</th>", escaped(column));
        }
        out.push_str("</tr>\n");
        for row in &grid.rows {
            let _ = write!(out, "<tr><th>{}</th>", escaped(row));
            for column in &grid.columns {
                out.push_str(&table_cell(grid.verdict(row, column)));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</table>\n");
    }
    out.push_str("<h2>Reasons</h2>\n");
    for (cell, verdict) in judged {
        out.push_str(&reasons(cell, verdict));
    }
    out.push_str("</body></html>\n");
    out
}

fn table_cell(verdict: Option<&Verdict>) -> String {
    match verdict {
        Some(verdict) => format!(
            "<td class=\"{}\">{}<br><small>{:.1} s</small></td>",
            class(verdict),
            escaped(&verdict.words()),
            verdict.took.as_secs_f32()
        ),
        None => "<td></td>".to_owned(),
    }
}

/// Why tests of a cell did not pass, failures unfolded.
fn reasons(cell: &Cell, verdict: &Verdict) -> String {
    let groups = [
        ("failed", &verdict.failed),
        ("not supported", &verdict.unsupported),
        ("skipped", &verdict.skipped),
    ];
    let mut out = String::new();
    for (name, lines) in groups.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        let open = if name == "failed" { " open" } else { "" };
        let _ = writeln!(
            out,
            "<details{open}><summary>{}: {} {name}</summary><pre>{}</pre></details>",
            escaped(&cell.title()),
            lines.len(),
            escaped(&lines.join("\n"))
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged() -> Vec<Judged> {
        let cell = |row: &str, column: &str| Cell {
            section: "pairs",
            row: row.into(),
            column: column.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            obstacle: None,
        };
        let good = Verdict { passed: 3, ..Verdict::default() };
        let bad = Verdict { failed: vec!["a <b> & c".into()], ..Verdict::default() };
        vec![(cell("one", "x"), good), (cell("two", "y"), bad)]
    }

    #[test]
    fn the_text_has_a_row_and_a_column_for_each_name() {
        let text = text(&judged());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "pairs | x        | y       ");
        assert_eq!(lines[2], "one   | 3 passed | -       ");
        assert_eq!(lines[3], "two   | -        | 1 FAILED");
    }

    #[test]
    fn the_page_escapes_what_tests_print() {
        let page = page(&judged(), Path::new("lib.so"));
        assert!(page.contains("a &lt;b&gt; &amp; c") && !page.contains("<b>"));
        assert!(page.contains("class=\"passed\"") && page.contains("class=\"failed\""));
        assert!(!page.contains("http"));
    }
}
