//! User name fragments and passwords (RFC 8445 §5.3).

use rtc_core::backend::IceParameters;
use rtc_core::error::{Error, Result};

/// `ice-char` of RFC 8839 §5.4.
const ICE_CHARACTERS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// 48 bits; RFC 8445 asks for 24.
const UFRAG_LENGTH: usize = 8;
/// 144 bits; RFC 8445 asks for 128.
const PWD_LENGTH: usize = 24;
/// RFC 8839 §5.4.
const MAX_LENGTH: usize = 256;

/// Fresh credentials.
pub(crate) fn generate() -> Result<IceParameters> {
    Ok(IceParameters {
        ufrag: characters::<UFRAG_LENGTH>()?,
        pwd: characters::<PWD_LENGTH>()?,
        lite: false,
        options: vec!["ice2".to_owned(), "trickle".to_owned()],
    })
}

fn characters<const COUNT: usize>() -> Result<String> {
    let mut random = [0; COUNT];
    getrandom::fill(&mut random)
        .map_err(|error| Error::failure(format!("make ICE credentials: {error}")))?;
    Ok(random.map(|byte| char::from(ICE_CHARACTERS[usize::from(byte & 63)])).iter().collect())
}

/// The peer's credentials as lines of a description. Refuses those that would not be one line each.
pub(crate) fn description(remote: &IceParameters) -> Result<String> {
    let usable = |text: &str| {
        (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    let IceParameters { ufrag, pwd, lite, .. } = remote;
    if !usable(ufrag) || !usable(pwd) {
        return Err(Error::invalid("set remote ICE credentials: they are not usable"));
    }
    let lite = if *lite { "a=ice-lite\r\n" } else { "" };
    Ok(format!("{lite}a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_long_and_differ() {
        let [one, other] = [(); 2].map(|()| generate().expect("random numbers"));
        assert_eq!((one.ufrag.len(), one.pwd.len()), (UFRAG_LENGTH, PWD_LENGTH));
        assert_ne!(one, other);
        assert!(description(&one).is_ok());
    }

    #[test]
    fn credentials_that_would_break_the_line_are_refused() {
        let long = "x".repeat(257);
        for (ufrag, pwd, usable) in [
            ("abcd", "0123456789012345678901", true),
            ("", "0123456789012345678901", false),
            ("abcd", "", false),
            ("ab\r\na=x", "0123456789012345678901", false),
            ("ab d", "0123456789012345678901", false),
            ("ab\0d", "0123456789012345678901", false),
            (long.as_str(), "0123456789012345678901", false),
            ("abcd", long.as_str(), false),
        ] {
            let remote =
                IceParameters { ufrag: ufrag.into(), pwd: pwd.into(), ..IceParameters::default() };
            assert_eq!(description(&remote).is_ok(), usable, "{ufrag:?} {pwd:?}");
        }
    }
}
