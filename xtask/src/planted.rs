//! Breaks of the binary interface, planted in copies of an installed library to see that each
//! comparison that should notice one does.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::abi::Subject;
use crate::process::{self, progress};
use crate::{header, project};

/// A break, and what of the comparisons' reports must tell of it.
struct Break {
    what: &'static str,
    plant: Plant,
    noticed_as: &'static [&'static str],
}

enum Plant {
    /// Another text in `rtc.h`.
    Header(&'static str, &'static str),
    /// Another text in the Rust file that defines the function.
    Rust(&'static str, &'static str, &'static str),
    /// The library linked otherwise: a version script, and a name for the loader.
    Linked(&'static str, &'static str),
}

const STORED: &str = "the stored interface differs";
const REAL_TYPES: &str = "the real headers differ";
const REAL_LIBRARY: &str = "the real library differs";
const SONAME: &str = "libdatachannel.so.0.24";
const MAP: &str = "{ global: rtc*; local: *; };";

const BREAKS: &[Break] = &[
    Break {
        what: "a function that takes one argument more",
        plant: Plant::Header("int rtcClose(int id)", "int rtcClose(int id, int code)"),
        noticed_as: &["the real header declares otherwise", REAL_TYPES, STORED, "defined as"],
    },
    Break {
        what: "a function that returns something else",
        plant: Plant::Header("void rtcPreload(void)", "bool rtcPreload(void)"),
        noticed_as: &["the real header declares otherwise", REAL_TYPES, STORED, "defined as"],
    },
    Break {
        what: "a function less in the header",
        plant: Plant::Header("RTC_C_EXPORT void rtcPreload(void);", ""),
        noticed_as: &[REAL_TYPES, STORED, "exports undeclared: rtcPreload"],
    },
    Break {
        what: "a field of another size",
        plant: Plant::Header("bool enableIceTcp; ", "long enableIceTcp; "),
        noticed_as: &["enableIceTcp) is ", REAL_TYPES, STORED],
    },
    Break {
        what: "a field at another place",
        plant: Plant::Header("\tint mtu; ", "\tint reserved, mtu; "),
        noticed_as: &["offsetof(rtcConfiguration, ", REAL_TYPES, STORED],
    },
    Break {
        what: "another value of an enumerator",
        plant: Plant::Header("RTC_CODEC_VP9 = 2", "RTC_CODEC_VP9 = 7"),
        noticed_as: &["RTC_CODEC_VP9 is 7, really 2", REAL_TYPES, STORED],
    },
    Break {
        what: "another error code",
        plant: Plant::Header("#define RTC_ERR_TOO_SMALL -4", "#define RTC_ERR_TOO_SMALL -5"),
        noticed_as: &["RTC_ERR_TOO_SMALL is -5, really -4"],
    },
    Break {
        what: "a callback with other parameters",
        plant: Plant::Header("(rtcLogLevel level, const char *message)", "(rtcLogLevel level)"),
        noticed_as: &[REAL_TYPES, STORED],
    },
    Break {
        what: "a Rust function that takes its arguments otherwise than declared",
        plant: Plant::Rust("api/channel.rs", "fn rtcClose(id: c_int)", "fn rtcClose(id: i64)"),
        noticed_as: &["rtcClose is declared as"],
    },
    Break {
        what: "a function that is no longer exported",
        plant: Plant::Linked("{ global: rtc*; local: rtcClose; *; };", SONAME),
        noticed_as: &["libdatachannel.so lacks 1: rtcClose", REAL_LIBRARY],
    },
    Break {
        what: "symbols with versions",
        plant: Plant::Linked("LIBDATACHANNEL_0.24 { global: rtc*; local: *; };", SONAME),
        noticed_as: &["(VERDEF)"],
    },
    Break {
        what: "another name for the loader",
        plant: Plant::Linked(MAP, "libdatachannel.so.0.25"),
        noticed_as: &["is not named libdatachannel.so.0.24", REAL_LIBRARY],
    },
];

/// Plants each break in a copy of what is installed in `prefix`, and compares that with the real
/// library in `real`.
pub(crate) fn run(prefix: &Path, real: &Path) -> Result<()> {
    let work = project::target().join("planted");
    // First the copy as it is: what is noticed without a break shows nothing.
    let none = Break { what: "no break", plant: Plant::Linked(MAP, SONAME), noticed_as: &[] };
    let noticed = problems(&none, prefix, real, &work)?;
    if !noticed.is_empty() {
        bail!("without a break there are problems:\n  {}", noticed.join("\n  "));
    }
    let mut unnoticed = Vec::new();
    for planted in BREAKS {
        let noticed = problems(planted, prefix, real, &work)?;
        let missing: Vec<_> = planted
            .noticed_as
            .iter()
            .filter(|wanted| !noticed.iter().any(|problem| problem.contains(*wanted)))
            .map(|wanted| format!("{}: nothing says {wanted:?}, but:", planted.what))
            .collect();
        progress(format_args!("{}: {} comparisons tell", planted.what, noticed.len()));
        if !missing.is_empty() {
            unnoticed.extend(missing);
            unnoticed.extend(noticed);
        }
    }
    if !unnoticed.is_empty() {
        bail!("breaks that were not noticed:\n  {}", unnoticed.join("\n  "));
    }
    println!("abi: {} planted breaks noticed", BREAKS.len());
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {work:?}"))
}

/// What the comparisons say of a copy with a break.
fn problems(planted: &Break, prefix: &Path, real: &Path, work: &Path) -> Result<Vec<String>> {
    let copy = Copy::new(prefix, work)?;
    match planted.plant {
        Plant::Header(old, new) => replace(&copy.header, old, new)?,
        Plant::Rust(file, old, new) => replace(&copy.sources.join(file), old, new)?,
        Plant::Linked(map, soname) => copy.link(prefix, map, soname)?,
    }
    let subject = Subject { prefix: &copy.prefix, real: Some(real), sources: &copy.sources };
    Ok(subject.problems(&[])?.1)
}

/// A copy of an installed library and of its source.
struct Copy {
    prefix: PathBuf,
    header: PathBuf,
    sources: PathBuf,
}

impl Copy {
    fn new(prefix: &Path, work: &Path) -> Result<Copy> {
        if work.exists() {
            fs::remove_dir_all(work).with_context(|| format!("cannot empty {work:?}"))?;
        }
        let (copy, sources) = (work.join("prefix"), work.join("src"));
        process::copy_tree(&project::root().join("rtc-capi/src"), &sources)?;
        let include = copy.join("include/rtc");
        fs::create_dir_all(&include).with_context(|| format!("cannot create {include:?}"))?;
        for file in header::FILES {
            let from = prefix.join("include/rtc").join(file);
            fs::copy(&from, include.join(file)).with_context(|| format!("cannot copy {from:?}"))?;
        }
        let lib = copy.join("lib");
        fs::create_dir_all(&lib).with_context(|| format!("cannot create {lib:?}"))?;
        for file in ["libdatachannel.so", "libdatachannel.a"] {
            let from = prefix.join("lib").join(file);
            symlink(&from, lib.join(file)).with_context(|| format!("cannot link {from:?}"))?;
        }
        Ok(Copy { prefix: copy, header: include.join("rtc.h"), sources })
    }

    /// Links the shared library anew. The system's libraries are left out: nobody runs it.
    fn link(&self, prefix: &Path, map: &str, soname: &str) -> Result<()> {
        let script = self.prefix.join("exports.map");
        fs::write(&script, map).with_context(|| format!("cannot write {script:?}"))?;
        let library = self.prefix.join("lib/libdatachannel.so");
        fs::remove_file(&library).with_context(|| format!("cannot remove {library:?}"))?;
        process::run_quietly(
            Command::new("cc")
                .args(["-shared", "-Wl,-z,now,--unresolved-symbols=ignore-all", "-o"])
                .arg(&library)
                .arg(format!("-Wl,-soname,{soname},--version-script={}", script.display()))
                .arg("-Wl,--whole-archive")
                .arg(prefix.join("lib/libdatachannel.a"))
                .arg("-Wl,--no-whole-archive"),
        )
    }
}

fn replace(file: &Path, old: &str, new: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file:?}"))?;
    if !text.contains(old) {
        bail!("{file:?} has no {old:?}: where is this break to be planted?");
    }
    fs::write(file, text.replacen(old, new, 1)).with_context(|| format!("cannot write {file:?}"))
}
