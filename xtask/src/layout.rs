//! Comparing the structures, enumerations and macros of two headers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

/// Types of the release after 0.24.5, which the real header does not have.
pub(crate) const LATER: [&str; 3] =
    ["rtcFrameInfo", "rtcFrameCallbackFunc", "rtcLocalDescriptionInit"];

/// What our header tells about types and values, each as a C expression.
fn facts(include: &Path) -> Result<Vec<String>> {
    let header = include.join("rtc/rtc.h");
    let mut cc = Command::new("cc");
    let text = process::read(cc.args(["-E", "-P"]).arg("-I").arg(include).arg(&header))?;
    let mut facts = Vec::new();
    // Each `typedef struct|enum { BODY } NAME;`: neither kind nests here.
    for part in text.split("typedef ").skip(1) {
        let Some((kind, rest)) = part.split_once('{') else { continue };
        let Some((body, name)) = rest.split_once('}') else { continue };
        let name = name.split(';').next().unwrap_or_default().trim();
        match kind.trim() {
            "struct" => {
                facts.push(format!("sizeof({name})"));
                facts.push(format!("_Alignof({name})"));
                for field in body.split(';') {
                    let field = field.rsplit([' ', '*', '\n']).next().unwrap_or_default();
                    if !field.is_empty() {
                        facts.push(format!("offsetof({name}, {field})"));
                        facts.push(format!("sizeof((({name} *)0)->{field})"));
                    }
                }
            }
            "enum" => {
                facts.push(format!("sizeof({name})"));
                for value in body.split(',') {
                    let value = value.split('=').next().unwrap_or_default().trim();
                    if !value.is_empty() {
                        facts.push(value.into());
                    }
                }
            }
            _ => {}
        }
    }
    let macros = std::fs::read_to_string(&header)
        .with_context(|| format!("cannot read {header:?}"))?
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_whitespace().next())
        .filter(|name| name.starts_with("RTC_ERR_") || name.starts_with("RTC_DEFAULT_"))
        .map(String::from)
        .collect::<Vec<_>>();
    facts.extend(macros);
    Ok(facts)
}

/// The values of `facts` under a header.
fn values(include: &Path, facts: &[String]) -> Result<Vec<String>> {
    let mut source = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include <rtc/rtc.h>\nint main(void) {\n",
    );
    for fact in facts {
        source += &format!("printf(\"%lld\\n\", (long long)({fact}));\n");
    }
    source += "return 0;\n}\n";
    let program = std::env::temp_dir().join(format!("librtc-layout-{}", std::process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-x", "c"]).arg("-I").arg(include).arg("-o").arg(&program).arg("-");
    process::read_with_input(&mut cc, &source)?;
    let printed = process::read(&mut Command::new(&program));
    std::fs::remove_file(&program).with_context(|| format!("cannot remove {program:?}"))?;
    Ok(printed?.lines().map(String::from).collect())
}

/// The differences between our header and the real one, for everything ours declares.
pub(crate) fn compare(ours: &Path, real: &Path) -> Result<Vec<String>> {
    let mut facts = facts(ours)?;
    facts.retain(|fact| !LATER.iter().any(|later| fact.contains(later)));
    let (our_values, real_values) = (values(ours, &facts)?, values(real, &facts)?);
    let differing = facts
        .iter()
        .zip(our_values.iter().zip(&real_values))
        .filter(|(_, (ours, real))| ours != real)
        .map(|(fact, (ours, real))| format!("{fact} is {ours}, really {real}"));
    Ok(differing.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project;

    #[test]
    fn facts_cover_structures_enumerations_and_macros() {
        let include = project::root().join("rtc-capi/include");
        let facts = facts(&include).unwrap();
        let values = values(&include, &facts).unwrap();
        assert_eq!(facts.len(), values.len());
        for (fact, value) in [
            ("sizeof(rtcConfiguration)", "56"),
            ("offsetof(rtcConfiguration, iceServers)", "0"),
            ("offsetof(rtcPacketizerInit, colorMatrix)", "56"),
            ("sizeof(((rtcDataChannelInit *)0)->stream)", "2"),
            ("RTC_CODEC_G722", "132"),
            ("RTC_ERR_TOO_SMALL", "-4"),
            ("RTC_DEFAULT_MAX_FRAGMENT_SIZE", "1220"),
        ] {
            let at = facts.iter().position(|other| other == fact).unwrap_or_else(|| {
                panic!("{fact} is not among {facts:#?}");
            });
            assert_eq!(values[at], value, "{fact}");
        }
    }
}
