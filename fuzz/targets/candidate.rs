//! A candidate: parsed, printed and parsed again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_core::candidate::Candidate;

fuzz_target!(|text: &str| {
    let Ok(candidate) = Candidate::parse(text) else { return };
    let printed = candidate.to_string();
    assert!(!printed.contains(['\r', '\n', '\0']));
    let again = Candidate::parse(&printed).expect("our own text is parsed");
    assert_eq!(again, candidate);
    assert_eq!(Candidate::parse(&format!("a={printed}")).expect("so it is with a="), candidate);
});
