//! Comparing binary interfaces with libabigail.
//!
//! What a C program sees of a library is told by its headers. So a library with just the headers'
//! functions is compiled, with debugging information; that of this project is compared with the
//! stored one of its first release, and with that of the real headers. The libraries themselves are
//! compared by their symbols.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::header;
use crate::process::{self, Need};
use crate::project;

/// The interface that programs rely on, as abidw writes it.
const STORED: &str = "packaging/abi/libdatachannel.so.0.24.abi";

/// Symbols of C++ in the real library are no promise of its C API.
const ONLY_C_API: &str = "[suppress_function]\n  symbol_name_regexp = ^([^r]|r[^t]|rt[^c]).*$\n\
                          [suppress_variable]\n  symbol_name_regexp = .*\n";

/// How many lines of abidiff's report are told.
const LINES: usize = 40;

/// The differences between an installed library's interface and the stored one.
pub(crate) fn compare_with_stored(include: &Path) -> Result<Vec<String>> {
    let work = Work::new()?;
    let ours = work.model(include, "ours")?;
    let stored = project::root().join(STORED);
    let what = "the stored interface differs (cargo xtask abi --store if that is wanted)";
    difference(what, Command::new("abidiff").arg(stored).arg(ours))
}

/// The differences that matter to a program built with the real library in `real` and run with
/// that in `ours`, both prefixes. More functions do not.
pub(crate) fn compare_with_real(ours: &Path, real: &Path) -> Result<Vec<String>> {
    let work = Work::new()?;
    let mut problems = Vec::new();
    let models =
        [work.model(&real.join("include"), "real")?, work.model(&ours.join("include"), "ours")?];
    let mut types = Command::new("abidiff");
    types.arg("--no-added-syms").args(models);
    problems.extend(difference("the real headers differ", &mut types)?);
    let suppressions = work.0.join("suppressions");
    fs::write(&suppressions, ONLY_C_API)
        .with_context(|| format!("cannot write {suppressions:?}"))?;
    let mut symbols = Command::new("abidiff");
    symbols.args(["--no-added-syms", "--suppressions"]).arg(suppressions);
    symbols.args([real, ours].map(|prefix| prefix.join("lib/libdatachannel.so")));
    problems.extend(difference("the real library differs", &mut symbols)?);
    Ok(problems)
}

/// The list of symbols that Debian's packages promise.
const SYMBOLS: &str = "packaging/debian/libdatachannel-rs0.24.symbols";

/// Adds to the list of symbols what it lacks, as new in this release. Those of `rtc_ext.h` need this
/// library (its template 1), the others any that offers the C API.
fn add_symbols(include: &Path) -> Result<()> {
    let path = project::root().join(SYMBOLS);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    let is_symbol = |line: &&str| line.starts_with(' ');
    let mut symbols: Vec<String> = text.lines().filter(is_symbol).map(String::from).collect();
    let release = project::release()?;
    for (file, template) in [("rtc.h", ""), ("rtc_ext.h", " 1")] {
        for function in header::prototypes(include, file, &[])? {
            let start = format!(" {}@Base ", function.name);
            if !symbols.iter().any(|line| line.starts_with(&start)) {
                symbols.push(format!("{start}{release}{template}"));
            }
        }
    }
    symbols.sort();
    let head = text.lines().filter(|line| !is_symbol(line)).map(String::from);
    let all: Vec<String> = head.chain(symbols).collect();
    fs::write(&path, all.join("\n") + "\n").with_context(|| format!("cannot write {path:?}"))
}

/// Stores the interface of the headers.
pub(crate) fn store(include: &Path) -> Result<()> {
    add_symbols(include)?;
    let work = Work::new()?;
    let model = work.model(include, "ours")?;
    let text = process::read(
        Command::new("abidw")
            .args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs"])
            .arg(model),
    )?;
    let to = project::root().join(STORED);
    fs::write(&to, text).with_context(|| format!("cannot write {to:?}"))
}

/// What abidiff has to say; nothing if there is no difference.
fn difference(what: &str, abidiff: &mut Command) -> Result<Vec<String>> {
    let output = abidiff.output().with_context(|| format!("cannot start {abidiff:?}"))?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let said = said.lines().take(LINES).collect::<Vec<_>>().join("\n");
    let errors = String::from_utf8_lossy(&output.stderr);
    Ok(vec![format!("{what} ({}):\n{}\n{errors}", output.status, said)])
}

/// A folder for what is compiled in between.
struct Work(PathBuf);

impl Work {
    fn new() -> Result<Work> {
        process::require(&[
            (Need::Program("abidiff"), "abigail-tools"),
            (Need::Program("cc"), "gcc"),
        ])?;
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("librtc-abi-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {folder:?}"))?;
        Ok(Work(folder))
    }

    /// Compiles a library that has the functions of the headers in `include/rtc`, and nothing
    /// behind them.
    fn model(&self, include: &Path, name: &str) -> Result<PathBuf> {
        let mut source = String::new();
        for file in ["rtc.h", "rtc_ext.h"] {
            if !include.join("rtc").join(file).is_file() {
                continue;
            }
            source.insert_str(0, &format!("#include <rtc/{file}>\n"));
            for function in header::prototypes(include, file, &[])? {
                source += &format!("{} {{ __builtin_trap(); }}\n", function.declaration);
            }
        }
        let library = self.0.join(format!("{name}.so"));
        let mut cc = Command::new("cc");
        cc.args(["-g", "-shared", "-fPIC", "-w", "-x", "c", "-"]).arg("-I").arg(include);
        cc.arg(format!("-Wl,-soname,{}", project::version()?.soname)).arg("-o").arg(&library);
        process::read_with_input(&mut cc, &source)?;
        Ok(library)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What stays lies where temporary files are cleared away.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Our headers with one change.
    fn changed(work: &Work, old: &str, new: &str) -> PathBuf {
        let include = work.0.join("include");
        fs::create_dir_all(include.join("rtc")).unwrap();
        for file in header::FILES {
            let from = project::root().join("rtc-capi/include/rtc").join(file);
            let text = fs::read_to_string(from).unwrap();
            let is_concerned = file == "rtc.h" && !old.is_empty();
            assert!(!is_concerned || text.contains(old), "{file} has no {old:?}");
            let text = if is_concerned { text.replacen(old, new, 1) } else { text };
            fs::write(include.join("rtc").join(file), text).unwrap();
        }
        include
    }

    #[test]
    fn debian_promises_what_the_headers_declare() {
        let text = fs::read_to_string(project::root().join(SYMBOLS)).unwrap();
        let include = project::root().join("rtc-capi/include");
        let mut declared = header::prototypes(&include, "rtc.h", &[]).unwrap();
        declared.extend(header::prototypes(&include, "rtc_ext.h", &[]).unwrap());
        let mut declared: Vec<&str> =
            declared.iter().map(|function| function.name.as_str()).collect();
        declared.sort_unstable();
        let promised: Vec<&str> = text
            .lines()
            .filter_map(|line| Some(line.strip_prefix(' ')?.split_once("@Base ")?.0))
            .collect();
        assert_eq!(promised, declared, "run cargo xtask abi --store");
    }

    #[test]
    fn breaks_of_the_interface_are_caught() {
        for (what, old, new) in [
            ("a function less", "RTC_C_EXPORT void rtcPreload(void);", ""),
            (
                "a function more",
                "RTC_C_EXPORT void rtcPreload(void);",
                concat!(
                    "RTC_C_EXPORT void rtcPreload(void);\n",
                    "RTC_C_EXPORT void rtcUnload(void);"
                ),
            ),
            ("another parameter", "int rtcClose(int id)", "int rtcClose(int id, int code)"),
            ("another result", "void rtcPreload(void)", "bool rtcPreload(void)"),
            ("another field", "bool enableIceTcp; ", "long enableIceTcp; "),
            ("another value", "RTC_CODEC_VP9 = 2", "RTC_CODEC_VP9 = 7"),
            ("another callback", "(rtcLogLevel level, const char *message)", "(rtcLogLevel level)"),
        ] {
            let work = Work::new().unwrap();
            let include = changed(&work, old, new);
            assert_ne!(compare_with_stored(&include).unwrap(), Vec::<String>::new(), "{what}");
        }
        let work = Work::new().unwrap();
        let unchanged = changed(&work, "", "");
        assert_eq!(compare_with_stored(&unchanged).unwrap(), Vec::<String>::new());
    }
}
