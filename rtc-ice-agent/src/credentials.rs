//! User name fragments and passwords (RFC 8445 §5.3).

use rand::Rng;
use rtc_core::backend::IceParameters;
use rtc_core::error::{Error, Result};

/// Fresh credentials of a full agent.
pub(crate) fn generate(rng: &mut impl Rng) -> IceParameters {
    IceParameters::from_random(std::array::from_fn(|_| rng.random()))
}

/// Refuses credentials that no check could be built with.
pub(crate) fn validate(parameters: &IceParameters) -> Result<()> {
    parameters.validate()?;
    // USERNAME has a colon between ours and the peer's (RFC 8445 §7.2.2).
    if parameters.ufrag.contains(':') {
        return Err(Error::invalid("set remote ICE credentials: unusable user name fragment"));
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
