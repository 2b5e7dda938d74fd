//! Sequence numbers that do not wrap.

/// Room below the first number, for those that come late.
const START: u64 = 1 << 32;

/// The number nearest to `reference` whose low 16 bits are `sequence`.
pub(crate) fn extend(reference: u64, sequence: u16) -> u64 {
    let step = sequence.wrapping_sub(reference as u16) as i16;
    reference.saturating_add_signed(i64::from(step))
}

/// An unwrapped number for the first packet of a stream.
pub(crate) fn first(sequence: u16) -> u64 {
    START + u64::from(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_number_is_chosen() {
        let start = first(65_534);
        assert_eq!(extend(start, 65_535), start + 1);
        assert_eq!(extend(start, 3), start + 5);
        assert_eq!(extend(start + 5, 65_534), start);
        assert_eq!(extend(start, 65_000), start - 534);
    }
}
