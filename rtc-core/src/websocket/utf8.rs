//! UTF-8 that arrives in pieces.

/// Checks text piece by piece, and refuses it at the first byte that cannot be right.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8Check {
    /// The beginning of a character whose rest has not arrived.
    begun: [u8; 4],
    length: usize,
}

/// The text is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

impl Utf8Check {
    /// Takes the next piece.
    pub(super) fn check(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.length > 0 {
            let Some((byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            let Some(place) = self.begun.get_mut(self.length) else { return Err(NotUtf8) };
            *place = *byte;
            self.length += 1;
            match std::str::from_utf8(self.begun.get(..self.length).unwrap_or_default()) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return Err(NotUtf8),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NotUtf8),
            Err(error) => {
                let begun = piece.get(error.valid_up_to()..).unwrap_or_default();
                for (place, byte) in self.begun.iter_mut().zip(begun) {
                    *place = *byte;
                }
                self.length = begun.len();
                Ok(())
            }
        }
    }

    /// True unless a character has begun and not ended.
    pub(super) fn is_complete(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_text(bytes: &[u8], cut: usize) -> bool {
        let mut check = Utf8Check::default();
        bytes.chunks(cut).all(|piece| check.check(piece).is_ok()) && check.is_complete()
    }

    #[test]
    fn invalid_text_is_refused_at_its_first_wrong_byte() {
        for (text, right) in [
            (&b"\xce\xba\xed\xa0\x80"[..], 3),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xc0\xaf", 0),
            (b"ab\xff", 2),
            (b"\xe2\x82a", 2),
        ] {
            let mut check = Utf8Check::default();
            let accepted = text.chunks(1).take_while(|byte| check.check(byte).is_ok()).count();
            assert_eq!(accepted, right, "{text:x?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole(
            bytes in prop_oneof![
                any::<Vec<u8>>(),
                any::<String>().prop_map(String::into_bytes),
                proptest::collection::vec(prop_oneof![Just(0xed), Just(0xa0), Just(0x80), Just(0xf0), Just(0xe2), Just(0x41)], 0..12),
            ],
            cut in 1usize..7,
        ) {
            prop_assert_eq!(is_text(&bytes, cut), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
