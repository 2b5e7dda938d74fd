//! The state cookie (RFC 9260 §5.1.3): what we must know about a peer, kept by the peer itself and
//! protected by a MAC until it comes back in a COOKIE-ECHO.

use crate::clock::{Nanos, SECOND};
use crate::random::hmac;
use crate::wire::Capabilities;

/// How long a cookie is good for (RFC 9260 §16: Valid.Cookie.Life).
const LIFETIME: Nanos = 60 * SECOND;
const BODY: usize = 41;
const MAC: usize = 16;

/// The contents of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) created: Nanos,
    pub(crate) local_tag: u32,
    pub(crate) peer_tag: u32,
    pub(crate) local_tsn: u32,
    pub(crate) peer_tsn: u32,
    pub(crate) peer_window: u32,
    pub(crate) peer_outbound: u16,
    pub(crate) peer_inbound: u16,
    pub(crate) peer_capabilities: Capabilities,
    /// Tags of the association that existed when the cookie was made; zero when none did.
    pub(crate) tie_tags: (u32, u32),
}

/// Signs and checks cookies.
pub(crate) struct CookieJar {
    key: [u8; 32],
}

impl CookieJar {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self { key: hmac(seed, &[b"cookies"]) }
    }

    pub(crate) fn seal(&self, cookie: &Cookie) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BODY + MAC);
        bytes.extend_from_slice(&cookie.created.to_be_bytes());
        for word in [
            cookie.local_tag,
            cookie.peer_tag,
            cookie.local_tsn,
            cookie.peer_tsn,
            cookie.peer_window,
            cookie.tie_tags.0,
            cookie.tie_tags.1,
        ] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&cookie.peer_outbound.to_be_bytes());
        bytes.extend_from_slice(&cookie.peer_inbound.to_be_bytes());
        bytes.push(cookie.peer_capabilities.to_bits());
        let mac = self.mac(&bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }

    /// The contents of a cookie of ours, however old; `None` when it is not ours.
    pub(crate) fn open(&self, bytes: &[u8]) -> Option<Cookie> {
        let (body, mac) = bytes.split_first_chunk::<BODY>()?;
        let expected = self.mac(body);
        // No early exit: the time must not tell how much of a forged MAC is right.
        let difference = expected.iter().zip(mac).fold(0, |sum, (a, b)| sum | (a ^ b));
        if mac.len() != MAC || difference != 0 {
            return None;
        }
        let (created, rest) = body.split_first_chunk::<8>()?;
        let (words, rest) = rest.as_chunks::<4>();
        let [local_tag, peer_tag, local_tsn, peer_tsn, peer_window, tie0, tie1, streams] =
            *words.first_chunk::<8>()?;
        let [o0, o1, i0, i1] = streams;
        Some(Cookie {
            created: u64::from_be_bytes(*created),
            local_tag: u32::from_be_bytes(local_tag),
            peer_tag: u32::from_be_bytes(peer_tag),
            local_tsn: u32::from_be_bytes(local_tsn),
            peer_tsn: u32::from_be_bytes(peer_tsn),
            peer_window: u32::from_be_bytes(peer_window),
            peer_outbound: u16::from_be_bytes([o0, o1]),
            peer_inbound: u16::from_be_bytes([i0, i1]),
            peer_capabilities: Capabilities::from_bits(*rest.first()?),
            tie_tags: (u32::from_be_bytes(tie0), u32::from_be_bytes(tie1)),
        })
    }

    fn mac(&self, body: &[u8]) -> [u8; MAC] {
        let digest = hmac(&self.key, &[body]);
        digest.first_chunk().copied().unwrap_or_default()
    }
}

impl Cookie {
    /// How much too old the cookie is, in microseconds; `None` when it is good.
    pub(crate) fn staleness(&self, now: Nanos) -> Option<u32> {
        let age = now.saturating_sub(self.created);
        (age > LIFETIME).then(|| u32::try_from((age - LIFETIME) / 1000).unwrap_or(u32::MAX))
    }
}

impl std::fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieJar")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_comes_back_whole_and_any_changed_bit_is_noticed() {
        let jar = CookieJar::new(&[7; 32]);
        let cookie = Cookie {
            created: 5 * SECOND,
            local_tag: 1,
            peer_tag: 2,
            local_tsn: 3,
            peer_tsn: 4,
            peer_window: 5,
            peer_outbound: 6,
            peer_inbound: 7,
            peer_capabilities: Capabilities { reconfig: true, ..Capabilities::default() },
            tie_tags: (8, 9),
        };
        let sealed = jar.seal(&cookie);
        assert_eq!(jar.open(&sealed), Some(cookie));
        assert_eq!(CookieJar::new(&[8; 32]).open(&sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(jar.open(&forged), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(jar.open(&sealed[..length]), None);
        }
        assert_eq!(cookie.staleness(65 * SECOND), None);
        assert_eq!(cookie.staleness(66 * SECOND), Some(1_000_000));
    }
}
