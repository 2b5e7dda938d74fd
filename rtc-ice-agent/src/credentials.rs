//! User name fragments and passwords (RFC 8445 §5.3).

use rand::Rng;
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

/// Fresh credentials of a full agent.
pub(crate) fn generate(rng: &mut impl Rng) -> IceParameters {
    IceParameters {
        ufrag: characters(rng, UFRAG_LENGTH),
        pwd: characters(rng, PWD_LENGTH),
        lite: false,
        options: vec!["ice2".to_owned(), "trickle".to_owned()],
    }
}

fn characters(rng: &mut impl Rng, count: usize) -> String {
    let mut character = || char::from(ICE_CHARACTERS[usize::from(rng.random::<u8>() & 63)]);
    (0..count).map(|_| character()).collect()
}

/// Refuses credentials that no check could be built with. Short ones are the peer's own loss.
pub(crate) fn validate(parameters: &IceParameters) -> Result<()> {
    let IceParameters { ufrag, pwd, .. } = parameters;
    let usable = |text: &str| {
        (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    if !usable(ufrag) || ufrag.contains(':') {
        return Err(Error::invalid("set remote ICE credentials: unusable user name fragment"));
    }
    if !usable(pwd) {
        return Err(Error::invalid("set remote ICE credentials: unusable password"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_credentials_are_refused() {
        let long = "x".repeat(257);
        let cases = [
            ("abcd", "0123456789012345678901", true),
            ("", "0123456789012345678901", false),
            ("abcd", "", false),
            ("ab:d", "0123456789012345678901", false),
            ("ab d", "0123456789012345678901", false),
            (long.as_str(), "0123456789012345678901", false),
            ("abcd", long.as_str(), false),
        ];
        for (ufrag, pwd, expected) in cases {
            let parameters =
                IceParameters { ufrag: ufrag.into(), pwd: pwd.into(), ..IceParameters::default() };
            assert_eq!(validate(&parameters).is_ok(), expected, "{ufrag:?} {pwd:?}");
        }
    }
}
