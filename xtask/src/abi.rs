//! Comparing what is installed with what the headers promise, in both directions.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::args::Args;
use crate::header::{self, Prototype};
use crate::process::{self, progress};
use crate::project;
use crate::{abidiff, layout, planted, signatures};

/// `cargo xtask abi`.
pub(crate) fn run(args: Args) -> Result<()> {
    if args.has("--store") {
        return abidiff::store(&project::root().join("rtc-capi/include"));
    }
    let prefix = args.folder("--prefix")?;
    let without = args.text("--without").unwrap_or_default();
    let defines = without
        .split(',')
        .filter(|group| !group.is_empty())
        .map(|group| match group {
            "media" => Ok("RTC_ENABLE_MEDIA=0"),
            "websocket" => Ok("RTC_ENABLE_WEBSOCKET=0"),
            other => bail!("--without knows media and websocket, not {other:?}"),
        })
        .collect::<Result<Vec<_>>>()?;

    let real = args.optional_folder("--real")?;
    if args.has("--planted") {
        let real = real.context("--planted needs --real DIR")?;
        return planted::run(&prefix, &real);
    }
    let sources = project::root().join("rtc-capi/src");
    let subject = Subject { prefix: &prefix, real: real.as_deref(), sources: &sources };
    let (count, problems) = subject.problems(&defines)?;
    if !problems.is_empty() {
        bail!("{} departs from its headers:\n  {}", prefix.display(), problems.join("\n  "));
    }
    println!("abi: {count} functions as declared");
    Ok(())
}

/// What is compared.
pub(crate) struct Subject<'a> {
    /// Where the library is installed.
    pub(crate) prefix: &'a Path,
    /// Where the real library is.
    pub(crate) real: Option<&'a Path>,
    /// The Rust files that define the functions.
    pub(crate) sources: &'a Path,
}

impl Subject<'_> {
    /// How many functions there are, and what is wrong with them. `defines` are what the
    /// preprocessor is to know.
    pub(crate) fn problems(&self, defines: &[&str]) -> Result<(usize, Vec<String>)> {
        let prefix = self.prefix;
        let include = prefix.join("include");
        let mut api = header::prototypes(&include, "rtc.h", defines)?;
        let mut problems = Vec::new();
        if let Some(real) = self.real {
            progress("comparing the header with the real one");
            problems.extend(compare_prototypes(&real.join("include"), &api)?);
            problems.extend(layout::compare(&include, &real.join("include"))?);
            problems.extend(abidiff::compare_with_real(prefix, real)?);
        }
        progress("comparing with the stored interface");
        problems.extend(abidiff::compare_with_stored(&include)?);
        api.append(&mut header::prototypes(&include, "rtc_ext.h", defines)?);
        progress("comparing symbols with the headers");
        problems.extend(compare_symbols(&prefix.join("lib"), &api)?);
        problems.extend(check_elf(&prefix.join("lib/libdatachannel.so"))?);
        progress("comparing the Rust functions with the headers");
        let exported = header::exported(&prefix.join("lib/libdatachannel.so"))?;
        // The source has what this library may have been built without.
        let mut whole = header::prototypes(&include, "rtc.h", &[])?;
        whole.append(&mut header::prototypes(&include, "rtc_ext.h", &[])?);
        problems.extend(signatures::compare(self.sources, &whole, &exported)?);
        Ok((api.len(), problems))
    }
}

/// Exactly the declared functions must be exported, by both libraries.
fn compare_symbols(lib: &Path, api: &[Prototype]) -> Result<Vec<String>> {
    let declared: BTreeSet<String> = api.iter().map(|function| function.name.clone()).collect();
    let shared = header::exported(&lib.join("libdatachannel.so"))?;
    let archive = header::global(&lib.join("libdatachannel.a"))?;
    let mut problems = Vec::new();
    for (file, symbols) in [("libdatachannel.so", shared), ("libdatachannel.a", archive)] {
        let list = |names: Vec<&String>| {
            names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
        };
        let missing: Vec<_> = declared.difference(&symbols).collect();
        if !missing.is_empty() {
            problems.push(format!("{file} lacks {}: {}", missing.len(), list(missing)));
        }
        let stray: Vec<_> = symbols.difference(&declared).collect();
        if !stray.is_empty() {
            problems.push(format!("{file} exports undeclared: {}", list(stray)));
        }
    }
    Ok(problems)
}

/// Declares each of our functions after the real header: a different type does not compile.
fn compare_prototypes(real: &Path, api: &[Prototype]) -> Result<Vec<String>> {
    let mut source = String::from("#include <rtc/rtc.h>\n");
    let is_later =
        |function: &&Prototype| layout::LATER.iter().any(|l| function.declaration.contains(l));
    for function in api.iter().filter(|function| !is_later(function)) {
        source += &function.declaration;
        source += ";\n";
    }
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wno-deprecated-declarations", "-fsyntax-only", "-x", "c"]);
    match process::read_with_input(cc.arg("-I").arg(real).arg("-"), &source) {
        Ok(_) => Ok(Vec::new()),
        Err(error) => Ok(vec![format!("the real header declares otherwise: {error}")]),
    }
}

/// What the loader and packagers look at.
fn check_elf(library: &Path) -> Result<Vec<String>> {
    let soname = project::version()?.soname;
    let dynamic = process::read(Command::new("readelf").args(["--wide", "--dynamic"]).arg(library))
        .with_context(|| format!("cannot read {library:?}"))?;
    let mut problems = Vec::new();
    if !dynamic.contains(&format!("[{soname}]")) {
        problems.push(format!("{library:?} is not named {soname} for the loader"));
    }
    if !dynamic.contains("BIND_NOW") && !dynamic.contains("Flags: NOW") {
        problems.push(format!("{library:?} is bound lazily"));
    }
    for unwanted in ["(RPATH)", "(RUNPATH)", "(TEXTREL)", "(VERDEF)"] {
        if dynamic.contains(unwanted) {
            problems.push(format!("{library:?} has {unwanted}"));
        }
    }
    Ok(problems)
}
