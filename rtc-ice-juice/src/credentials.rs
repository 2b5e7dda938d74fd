//! User name fragments and passwords (RFC 8445 §5.3).

use rtc_core::backend::IceParameters;
use rtc_core::error::{Error, Result};

/// Fresh credentials.
pub(crate) fn generate() -> Result<IceParameters> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Error::failure(format!("make ICE credentials: {error}")))?;
    Ok(IceParameters::from_random(random))
}

/// The peer's credentials as lines of a description. Refuses those that would not be one line each.
pub(crate) fn description(remote: &IceParameters) -> Result<String> {
    remote.validate()?;
    let IceParameters { ufrag, pwd, lite, .. } = remote;
    let lite = if *lite { "a=ice-lite\r\n" } else { "" };
    Ok(format!("{lite}a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_long_and_differ() {
        let [one, other] = [(); 2].map(|()| generate().expect("random numbers"));
        assert_eq!((one.ufrag.len(), one.pwd.len()), (8, 24));
        assert_ne!(one, other);
        assert!(description(&one).is_ok());
    }

    #[test]
    fn what_would_break_the_lines_is_refused() {
        let (one, other) = (generate().expect("random numbers"), "ab\r\na=x".to_owned());
        for broken in [
            IceParameters { ufrag: other.clone(), ..one.clone() },
            IceParameters { pwd: other, ..one },
        ] {
            assert!(description(&broken).is_err(), "{broken:?}");
        }
    }
}
