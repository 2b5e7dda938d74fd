//! User name fragments and passwords of ICE (RFC 8445 §5.3): those that backends or applications
//! choose, and the peer's.

use std::fmt;

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

/// Credentials that the application chose (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    ufrag: String,
    pwd: String,
}

impl IceCredentials {
    /// Refuses what is not 4 to 256 (the user name fragment) or 22 to 256 (the password) letters,
    /// digits, `+` and `/`.
    pub fn new(ufrag: &str, pwd: &str) -> Result<Self> {
        for (text, least, what) in [(ufrag, 4, "user name fragment"), (pwd, 22, "password")] {
            let is_ice = |byte| ICE_CHARACTERS.contains(&byte);
            if !(least..=MAX_LENGTH).contains(&text.len()) || !text.bytes().all(is_ice) {
                let why =
                    format!("an ICE {what} has {least} to {MAX_LENGTH} letters, digits, + and /");
                return Err(Error::invalid(why));
            }
        }
        Ok(Self { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
    }

    /// The user name fragment.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The password.
    pub fn pwd(&self) -> &str {
        &self.pwd
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays out of logs.
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
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

    #[test]
    fn credentials_have_the_characters_and_lengths_of_the_rfc() {
        let (ufrag, pwd) = ("aZ0+", "/234567890123456789012");
        for (ufrag, pwd, expected) in [
            (ufrag, pwd, true),
            (&*"u".repeat(256), &*"p".repeat(256), true),
            ("abc", pwd, false),
            (&"u".repeat(257), pwd, false),
            (ufrag, "012345678901234567890", false),
            (ufrag, &"p".repeat(257), false),
            ("ab:d", pwd, false),
            ("ab\r\n", pwd, false),
            ("abcé", pwd, false),
            (ufrag, "01234567890123456789-_", false),
        ] {
            assert_eq!(IceCredentials::new(ufrag, pwd).is_ok(), expected, "{ufrag:?} {pwd:?}");
        }
        let shown = format!("{:?}", IceCredentials::new(ufrag, pwd).expect("good ones"));
        assert!(!shown.contains(pwd), "{shown}");
    }
}
