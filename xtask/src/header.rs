//! Reading our C headers and the symbols of a library.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// The headers of the C API.
pub(crate) const FILES: [&str; 3] = ["rtc.h", "version.h", "rtc_ext.h"];

/// A function that a header declares as exported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prototype {
    /// Its name.
    pub(crate) name: String,
    /// The whole declaration up to the semicolon.
    pub(crate) declaration: String,
}

/// The exported functions of `header` in order, as the preprocessor leaves them.
///
/// `defines` are preprocessor definitions such as `RTC_ENABLE_MEDIA=0`.
pub(crate) fn prototypes(include: &Path, header: &str, defines: &[&str]) -> Result<Vec<Prototype>> {
    // The macro is redefined after the header has chosen its own meaning, so it is replaced in the
    // text: that way its uses survive the preprocessor.
    const MARK: &str = "exported_function";
    let path = include.join("rtc").join(header);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    let marked: String = text
        .lines()
        .map(|line| match line.trim_start().starts_with('#') {
            true => format!("{line}\n"),
            false => format!("{}\n", line.replace("RTC_C_EXPORT", MARK)),
        })
        .collect();
    let mut cc = Command::new("cc");
    cc.args(["-E", "-P", "-x", "c"]).arg("-I").arg(include).arg("-I").arg(include.join("rtc"));
    for define in defines {
        cc.arg(format!("-D{define}"));
    }
    let preprocessed = process::read_with_input(cc.arg("-"), &marked)?;
    let mut found = Vec::new();
    for part in preprocessed.split(MARK).skip(1) {
        let Some((declaration, _)) = part.split_once(';') else {
            bail!("{path:?}: a declaration has no end: {part:.60}");
        };
        let declaration = declaration.split_whitespace().collect::<Vec<_>>().join(" ");
        let declaration = declaration.replace("__attribute__((deprecated)) ", "");
        let name = declaration
            .split(['(', ' ', '*'])
            .find(|word| word.starts_with("rtc") && declaration.contains(&format!("{word}(")))
            .with_context(|| format!("{path:?}: `{declaration}` declares no rtc function"))?;
        found.push(Prototype { name: name.into(), declaration: declaration.clone() });
    }
    Ok(found)
}

/// The dynamic symbols that a shared library defines.
pub(crate) fn exported(library: &Path) -> Result<BTreeSet<String>> {
    symbols(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(library))
}

/// The global symbols that a static library defines.
pub(crate) fn global(archive: &Path) -> Result<BTreeSet<String>> {
    symbols(Command::new("nm").args(["--extern-only", "--defined-only"]).arg(archive))
}

fn symbols(nm: &mut Command) -> Result<BTreeSet<String>> {
    let listing = process::read(nm)?;
    // `ADDRESS KIND NAME[@VERSION]`; other lines name the members of an archive.
    let mut symbols = BTreeSet::new();
    for line in listing.lines() {
        if let [_, _, name] = line.split_whitespace().collect::<Vec<_>>()[..] {
            symbols.insert(name.to_owned());
        }
    }
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project;

    #[test]
    fn the_headers_declare_the_whole_api() {
        let include = project::root().join("rtc-capi/include");
        let names = |header: &str, defines: &[&str]| -> Vec<String> {
            let found = prototypes(&include, header, defines).unwrap();
            found.into_iter().map(|prototype| prototype.name).collect()
        };
        let all = names("rtc.h", &[]);
        // 99 of 0.24.5, 17 of the release after it.
        assert_eq!(all.len(), 116);
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 116);
        for name in ["rtcGetUserPointer", "rtcCreateOpaqueMessage", "rtcSetNeedsToSendRtcpSr"] {
            assert!(all.iter().any(|other| other == name), "{name}");
        }
        assert_eq!(names("rtc.h", &["RTC_ENABLE_MEDIA=0", "RTC_ENABLE_WEBSOCKET=0"]).len(), 65);
        assert!(names("rtc_ext.h", &[]).contains(&"rtcCleanupNow".into()));
    }
}
