//! Writing Rust declarations of `rtc/rtc.h` for `datachannel-sys`, in the shape that bindgen gives
//! them: enumerators are constants named `TYPE_ENUMERATOR`, callbacks are optional functions.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::args::Args;
use crate::{header, process, project};

/// `cargo xtask bindings`.
pub(crate) fn run(_: Args) -> Result<()> {
    let to = path();
    std::fs::write(&to, text()?).with_context(|| format!("cannot write {to:?}"))
}

fn path() -> PathBuf {
    project::root().join("datachannel-sys/src/bindings.rs")
}

/// The declarations.
fn text() -> Result<String> {
    let include = project::root().join("rtc-capi/include");
    let mut text = String::from(
        "//! Written by `cargo xtask bindings` from rtc/rtc.h.\n\n\
         use std::os::raw::{c_char, c_int, c_uint, c_void};\n\n",
    );
    macros(&include, &mut text)?;
    let mut cc = Command::new("cc");
    let header = process::read(
        cc.args(["-E", "-P"]).arg("-I").arg(&include).arg(include.join("rtc/rtc.h")),
    )?;
    for part in header.split("typedef ").skip(1) {
        if let Some(declaration) = of_typedef(part) {
            text += &declaration;
            text += "\n";
        }
    }
    text += "unsafe extern \"C\" {\n";
    for function in header::prototypes(&include, "rtc.h", &[])? {
        let (result, parameters) =
            function.declaration.split_once(&function.name).context("no function")?;
        let signature = of_signature(result, parameters);
        writeln!(text, "    pub fn {}{signature};", function.name)?;
    }
    text += "}\n";
    rustfmt(&text)
}

/// Macros that are numbers.
fn macros(include: &Path, text: &mut String) -> Result<()> {
    let header = include.join("rtc/rtc.h");
    let lines =
        std::fs::read_to_string(&header).with_context(|| format!("cannot read {header:?}"))?;
    for line in lines.lines().filter_map(|line| line.strip_prefix("#define RTC_")) {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(value)) = (words.next(), words.next())
            && let Ok(number) = value.parse::<i32>()
        {
            let kind = if number < 0 { "i32" } else { "u32" };
            writeln!(text, "pub const RTC_{name}: {kind} = {number};")?;
        }
    }
    text.push('\n');
    Ok(())
}

/// A type of ours, after the word `typedef`.
fn of_typedef(c: &str) -> Option<String> {
    let (head, rest) = c.split_once(['{', ';'])?;
    if !c[head.len()..].starts_with('{') {
        return of_plain_typedef(head);
    }
    let (body, name) = rest.split_once('}')?;
    let name = name.split(';').next()?.trim();
    if !name.starts_with("rtc") {
        return None;
    }
    let mut text = String::new();
    if head.trim() == "enum" {
        text += &format!("pub type {name} = c_uint;\n");
        for enumerator in body.split(',') {
            let (enumerator, value) = enumerator.split_once('=')?;
            let (enumerator, value) = (enumerator.trim(), value.trim());
            text += &format!("pub const {name}_{enumerator}: {name} = {value};\n");
        }
    } else {
        text += &format!("#[repr(C)]\n#[derive(Debug, Copy, Clone)]\npub struct {name} {{\n");
        for field in body.split(';').map(str::trim).filter(|field| !field.is_empty()) {
            let (name, kind) = of_variable(field);
            text += &format!("    pub {name}: {kind},\n");
        }
        text += "}\n";
    }
    Some(text)
}

/// `R( *rtcNameFunc)(PARAMETERS)`, or a type and its new name.
fn of_plain_typedef(c: &str) -> Option<String> {
    // The calling convention stands before the asterisk; here it is empty.
    if let Some((result, rest)) = c.split_once("( *") {
        let (name, parameters) = rest.split_once(')')?;
        let name = name.trim();
        let signature = of_signature(result, parameters);
        return name
            .starts_with("rtc")
            .then(|| format!("pub type {name} = Option<unsafe extern \"C\" fn{signature}>;\n"));
    }
    let (name, kind) = of_variable(c.trim());
    name.starts_with("rtc").then(|| format!("pub type {name} = {kind};\n"))
}

/// A result and `(PARAMETERS)` as Rust's.
fn of_signature(result: &str, parameters: &str) -> String {
    let parameters = parameters.trim().trim_start_matches('(').trim_end_matches(')');
    let parameters: Vec<String> = parameters
        .split(',')
        .map(str::trim)
        .filter(|parameter| !parameter.is_empty() && *parameter != "void")
        .map(|parameter| {
            let (name, kind) = of_variable(parameter);
            format!("{name}: {kind}")
        })
        .collect();
    let result = match result.trim() {
        "void" => String::new(),
        other => format!(" -> {}", of_type(other)),
    };
    format!("({}){result}", parameters.join(", "))
}

/// `TYPE NAME`: the name, and the type as Rust's.
fn of_variable(c: &str) -> (&str, String) {
    let kind = c.trim_end_matches(|letter: char| letter.is_alphanumeric() || letter == '_');
    let name = match &c[kind.len()..] {
        "type" => "type_",
        other => other,
    };
    (name, of_type(kind))
}

fn of_type(c: &str) -> String {
    let c = c.trim();
    if let Some(pointed) = c.strip_suffix('*').map(str::trim) {
        return match pointed.strip_prefix("const ") {
            // In `const char **` it is the characters that are constant.
            Some(constant) if !pointed.ends_with('*') => format!("*const {}", of_type(constant)),
            _ => format!("*mut {}", of_type(pointed)),
        };
    }
    // `const` on a value only binds the function's own body.
    match c.strip_prefix("const ").unwrap_or(c) {
        "int" => "c_int",
        "unsigned int" => "c_uint",
        "char" => "c_char",
        "void" => "c_void",
        "double" => "f64",
        "_Bool" => "bool",
        "uint8_t" => "u8",
        "uint16_t" => "u16",
        "uint32_t" => "u32",
        "uint64_t" => "u64",
        other => other,
    }
    .into()
}

fn rustfmt(text: &str) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024", "--config-path"]).arg(project::root());
    process::read_with_input(&mut rustfmt, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_those_of_the_header() {
        let stored = std::fs::read_to_string(path()).unwrap();
        assert!(stored == text().unwrap(), "run cargo xtask bindings");
    }

    #[test]
    fn declarations_have_the_shape_bindgen_gives_them() {
        for (c, rust) in [
            (
                "enum { RTC_NEW = 0, RTC_CLOSED = 5 } rtcState;",
                "pub const rtcState_RTC_CLOSED: rtcState = 5;",
            ),
            ("struct { const char **names; int n; } rtcX;", "pub names: *mut *const c_char,"),
            ("void *rtcMessage;", "pub type rtcMessage = *mut c_void;"),
            (
                "void *( *rtcFFunc)(int pc, const char *m, void *ptr);",
                "pub type rtcFFunc = Option<unsafe extern \"C\" \
                 fn(pc: c_int, m: *const c_char, ptr: *mut c_void) -> *mut c_void>;",
            ),
        ] {
            let declaration = of_typedef(c).unwrap();
            assert!(declaration.contains(rust), "{declaration}");
        }
        assert_eq!(of_typedef("unsigned char __u_char;"), None);
    }
}
