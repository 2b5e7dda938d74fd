//! User name fragments and passwords of ICE (RFC 8445 §5.3), for backends that choose their own.

use super::ice::IceParameters;
use crate::error::{Error, Result};

/// `ice-char` of RFC 8839 §5.4.
const ICE_CHARACTERS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// 48 bits; RFC 8445 asks for 24.
const UFRAG_LENGTH: usize = 8;
/// 144 bits; RFC 8445 asks for 128.
const PWD_LENGTH: usize = 24;
/// RFC 8839 §5.4.
const MAX_LENGTH: usize = 256;

impl IceParameters {
    /// Credentials of a full agent, made of random bytes.
    pub fn from_random(random: [u8; UFRAG_LENGTH + PWD_LENGTH]) -> Self {
        let (ufrag, pwd) = random.split_at(UFRAG_LENGTH);
        Self { ufrag: characters(ufrag), pwd: characters(pwd), lite: false, options: options() }
    }

    /// Refuses a peer's credentials that no check could be built with. Short ones are the peer's
    /// own loss.
    pub fn validate(&self) -> Result<()> {
        let usable = |text: &str| {
            (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        if !usable(&self.ufrag) {
            return Err(Error::invalid("set remote ICE credentials: unusable user name fragment"));
        }
        if !usable(&self.pwd) {
            return Err(Error::invalid("set remote ICE credentials: unusable password"));
        }
        Ok(())
    }
}

fn characters(random: &[u8]) -> String {
    random.iter().map(|byte| char::from(ICE_CHARACTERS[usize::from(byte & 63)])).collect()
}

/// The options of an agent that follows RFC 8445 (its §10) and trickles (RFC 8838).
pub fn options() -> Vec<String> {
    vec!["ice2".to_owned(), "trickle".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_long_differ_and_are_usable() {
        let [one, other] = [0, 1].map(|first| {
            IceParameters::from_random(std::array::from_fn(|index| first + 8 * index as u8))
        });
        assert_eq!((one.ufrag.len(), one.pwd.len()), (UFRAG_LENGTH, PWD_LENGTH));
        assert_ne!(one.ufrag, other.ufrag);
        assert_ne!(one.pwd, other.pwd);
        assert!(one.validate().is_ok());
    }

    #[test]
    fn credentials_that_no_check_could_be_built_with_are_refused() {
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
            assert_eq!(remote.validate().is_ok(), usable, "{ufrag:?} {pwd:?}");
        }
    }
}
