//! Comparing the Rust functions that C calls with their declarations in the headers.
//!
//! Nothing checks this when the library is built: a function that takes its arguments otherwise
//! than declared links all the same. Both sides are read as text, in the plain forms they have here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::header::Prototype;
use crate::process::progress;

/// The differences between `api` and the `extern "C"` functions in the folder `sources`.
///
/// Functions in `exported` without a source that can be read are told as progress.
pub(crate) fn compare(
    sources: &Path,
    api: &[Prototype],
    exported: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let mut functions = BTreeMap::new();
    collect(sources, &mut functions)?;
    let mut problems = Vec::new();
    let mut unseen = Vec::new();
    for Prototype { name, declaration } in api {
        let declared = of_c(name, declaration);
        match functions.remove(name) {
            None if exported.contains(name) => unseen.push(name.as_str()),
            None => {}
            Some(defined) if defined != declared => problems
                .push(format!("{name} is declared as {declared} and defined as {defined} in Rust")),
            Some(_) => {}
        }
    }
    for name in functions.keys() {
        problems.push(format!("{name} is defined in Rust and declared by no header"));
    }
    if !unseen.is_empty() {
        progress(format_args!("no Rust source found of {}: {}", unseen.len(), unseen.join(" ")));
    }
    Ok(problems)
}

/// Finds `extern "C" fn rtc…` in all Rust files below a folder: signatures by name.
fn collect(folder: &Path, functions: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {folder:?}"))? {
        let path = entry.with_context(|| format!("cannot list {folder:?}"))?.path();
        if path.is_dir() {
            collect(&path, functions)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
            for part in text.split("extern \"C\" fn ").skip(1) {
                if let Some((name, signature)) = of_rust(part) {
                    functions.insert(name, signature);
                }
            }
        }
    }
    Ok(())
}

/// `rtcName(a: T, b: U) -> R {…` (or `;…`, as in a macro's list) as its name and `(T, U) -> R`.
fn of_rust(text: &str) -> Option<(String, String)> {
    let (name, rest) = text.split_once('(')?;
    let (parameters, rest) = rest.split_once(')')?;
    let name = name.trim();
    if !name.starts_with("rtc") {
        return None;
    }
    let short = |path: &str| -> String {
        let words = path.split_whitespace();
        words.map(|word| word.rsplit("::").next().unwrap_or(word)).collect::<Vec<_>>().join(" ")
    };
    let types: Vec<String> = parameters
        .split(',')
        .filter_map(|parameter| parameter.split_once(':'))
        .map(|(_, kind)| short(kind))
        .collect();
    let result = rest.split(['{', ';']).next().unwrap_or_default();
    let result = result.trim().strip_prefix("->").map_or("()".into(), short);
    Some((name.into(), format!("({}) -> {result}", types.join(", "))))
}

/// A C declaration as `(T, U) -> R` in Rust's types.
fn of_c(name: &str, declaration: &str) -> String {
    let (result, parameters) = declaration.split_once(name).unwrap_or((declaration, ""));
    let parameters = parameters.trim().trim_start_matches('(').trim_end_matches(')');
    let types: Vec<String> = parameters
        .split(',')
        .map(str::trim)
        .filter(|parameter| !parameter.is_empty() && *parameter != "void")
        .map(|parameter| {
            let end = parameter.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
            of_c_type(end)
        })
        .collect();
    let result = match result.trim() {
        "void" => "()".into(),
        other => of_c_type(other),
    };
    format!("({}) -> {result}", types.join(", "))
}

/// One C type in Rust's spelling.
fn of_c_type(c: &str) -> String {
    let c = c.trim();
    if let Some(pointed) = c.strip_suffix('*') {
        let pointed = pointed.trim();
        return match pointed.strip_prefix("const ") {
            Some(pointed) => format!("*const {}", of_c_type(pointed)),
            None => format!("*mut {}", of_c_type(pointed)),
        };
    }
    // `const` on a value only binds the function's own body.
    let c = c.strip_prefix("const ").unwrap_or(c);
    let rust = match c {
        "int"
        | "rtcLogLevel"
        | "rtcDirection"
        | "rtcBackendRole"
        | "rtcNalUnitSeparator"
        | "rtcObuPacketization" => "c_int",
        "unsigned int" => "c_uint",
        "uint32_t" => "u32",
        "uint64_t" => "u64",
        "double" => "c_double",
        "char" => "c_char",
        "void" => "c_void",
        "rtcMessage" => "*mut c_void",
        "_Bool" => "bool",
        other => {
            let other = other.strip_prefix("rtc").unwrap_or(other);
            other.strip_suffix("Func").unwrap_or(other)
        }
    };
    rust.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_both_languages_meet() {
        for (c, rust) in [
            ("int rtcClose(int id)", "rtcClose(id: c_int) -> c_int {"),
            ("void rtcPreload(void)", "rtcPreload() {"),
            ("_Bool rtcIsOpen(int id)", "rtcIsOpen(id: c_int) -> bool {"),
            ("void *rtcGetUserPointer(int i)", "rtcGetUserPointer(i: c_int) -> *mut c_void {"),
            (
                "int rtcSetOpenCallback(int id, rtcOpenCallbackFunc cb)",
                "rtcSetOpenCallback(\n    id: c_int,\n    cb: abi::OpenCallback,\n) -> c_int {",
            ),
            (
                "int rtcCreateDataChannelEx(int pc, const char *label, const rtcDataChannelInit *i)",
                "rtcCreateDataChannelEx(pc: c_int, l: *const c_char, i: *const DataChannelInit) \
                 -> c_int {",
            ),
            (
                "int rtcSetThreadPoolSize(unsigned int count)",
                "rtcSetThreadPoolSize(count: std::ffi::c_uint) -> c_int; pub extern",
            ),
        ] {
            let (name, signature) = of_rust(rust).unwrap();
            assert_eq!(of_c(&name, c), signature, "{name}");
        }
        let (name, wrong) = of_rust("rtcClose(id: u32) -> c_int {").unwrap();
        assert_ne!(of_c(&name, "int rtcClose(int id)"), wrong);
    }
}
