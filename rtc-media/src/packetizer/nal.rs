//! NAL units in a frame (ITU-T H.264 and H.265 annex B; ISO 14496-15).

use crate::Malformed;

/// How NAL units are set apart in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NalSeparator {
    /// Four bytes of length before each, most significant first.
    #[default]
    Length,
    /// `00 00 00 01` before each.
    LongStart,
    /// `00 00 01` before each.
    ShortStart,
    /// Either of the two before each.
    Start,
}

impl NalSeparator {
    /// Appends a NAL unit with what goes before it; the long start code where either may.
    pub(crate) fn append(self, unit: &[u8], frame: &mut Vec<u8>) {
        match self {
            Self::Length => frame.extend((unit.len() as u32).to_be_bytes()),
            Self::LongStart | Self::Start => frame.extend([0, 0, 0, 1]),
            Self::ShortStart => frame.extend([0, 0, 1]),
        }
        frame.extend(unit);
    }

    /// The NAL units of a frame. An `Err` is about the rest of the frame, and the end.
    pub(crate) fn split(self, frame: &[u8]) -> Units<'_> {
        let (rest, is_lost) = match self {
            Self::Length => (frame, false),
            _ => match self.find(frame) {
                Some((start, length)) => (&frame[start + length..], false),
                None => (&[][..], true),
            },
        };
        Units { separator: self, rest, is_lost }
    }

    /// The first start code: where it starts, and its length.
    fn find(self, data: &[u8]) -> Option<(usize, usize)> {
        let mut from = 0;
        loop {
            let short = from + find_short(&data[from..])?;
            let has_zero = short > 0 && data[short - 1] == 0;
            match self {
                Self::LongStart if !has_zero => from = short + 3,
                Self::LongStart | Self::Start if has_zero => return Some((short - 1, 4)),
                _ => return Some((short, 3)),
            }
        }
    }
}

/// Where `00 00 01` is.
fn find_short(data: &[u8]) -> Option<usize> {
    // The third byte decides how far the next look may be: three bytes on if it is above 1.
    let mut at = 2;
    while let Some(&third) = data.get(at) {
        if third > 1 {
            at += 3;
        } else if third == 1 {
            if data[at - 1] == 0 && data[at - 2] == 0 {
                return Some(at - 2);
            }
            at += 3;
        } else {
            at += 1;
        }
    }
    None
}

/// The iterator that [`NalSeparator::split`] returns.
pub(crate) struct Units<'a> {
    separator: NalSeparator,
    rest: &'a [u8],
    is_lost: bool,
}

impl<'a> Iterator for Units<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::take(&mut self.is_lost) {
            return Some(Err(Malformed::new("frame: no start code")));
        }
        while !self.rest.is_empty() {
            let unit = match self.separator {
                NalSeparator::Length => {
                    let cut = cut(self.rest);
                    self.rest = cut.map_or(&[], |(_, rest)| rest);
                    let Some((unit, _)) = cut else {
                        return Some(Err(Malformed::new("frame: a length beyond its end")));
                    };
                    unit
                }
                _ => {
                    let (end, skip) =
                        self.separator.find(self.rest).unwrap_or((self.rest.len(), 0));
                    let unit = &self.rest[..end];
                    self.rest = &self.rest[end + skip..];
                    // Zeros may follow a unit (annex B); its own last byte is never zero.
                    let end = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                    &unit[..end]
                }
            };
            if !unit.is_empty() {
                return Some(Ok(unit));
            }
        }
        None
    }
}

/// Cuts off a unit behind its length.
fn cut(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)
}

/// The payloads of a fragmented unit: their size as libdatachannel chooses it. The number of
/// packets is that of the whole unit cut by `limit`, and the headers then take from each.
pub(crate) fn fragments(
    unit: usize,
    content: &[u8],
    limit: usize,
    overhead: usize,
) -> std::slice::Chunks<'_, u8> {
    let size = unit.div_ceil(unit.div_ceil(limit).max(1));
    content.chunks(size.saturating_sub(overhead).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use NalSeparator::{Length, LongStart, ShortStart, Start};

    fn split(separator: NalSeparator, frame: &[u8]) -> (Vec<Vec<u8>>, bool) {
        let mut is_lost = false;
        let found = separator.split(frame).filter_map(|unit| {
            is_lost |= unit.is_err();
            unit.ok().map(<[u8]>::to_vec)
        });
        (found.collect(), is_lost)
    }

    #[test]
    fn units_are_found_behind_their_separators() {
        for (separator, frame, units, is_lost) in [
            (Length, &[0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9][..], &[&[7, 8][..], &[9]][..], false),
            (Length, &[0, 0, 0, 0, 0, 0, 0, 1, 9], &[&[9]], false),
            (Length, &[0, 0, 0, 1, 9, 0, 0, 0, 2, 7], &[&[9]], true),
            (Length, &[0, 0, 0, 1, 9, 0, 0], &[&[9]], true),
            (Length, &[0xff, 0xff, 0xff, 0xff, 1], &[], true),
            (Start, &[0, 0, 0, 1, 7, 8, 0, 0, 1, 9], &[&[7, 8], &[9]], false),
            (Start, &[0, 0, 1, 7, 0, 0, 0, 1, 9, 0, 0], &[&[7], &[9]], false),
            (Start, &[5, 5, 0, 0, 1, 7], &[&[7]], false),
            (Start, &[0, 0, 1, 0, 0, 1, 7], &[&[7]], false),
            (Start, &[7, 8, 9], &[], true),
            (Start, &[], &[], true),
            (Start, &[0, 0, 1], &[], false),
            (
                LongStart,
                &[0, 0, 0, 1, 7, 0, 0, 1, 8, 0, 0, 0, 1, 9],
                &[&[7, 0, 0, 1, 8], &[9]],
                false,
            ),
            (LongStart, &[0, 0, 1, 7], &[], true),
            (ShortStart, &[0, 0, 1, 7, 0, 0, 1, 9], &[&[7], &[9]], false),
            (ShortStart, &[0, 0, 0, 1, 7, 0, 0, 0, 1, 9], &[&[7], &[9]], false),
        ] {
            let expected: Vec<Vec<u8>> = units.iter().map(|unit| unit.to_vec()).collect();
            assert_eq!(split(separator, frame), (expected, is_lost), "{separator:?} {frame:?}");
        }
    }

    #[test]
    fn what_is_appended_is_found() {
        let units = [vec![7, 1, 2], vec![8], vec![5; 300]];
        for separator in [Length, LongStart, ShortStart, Start] {
            let mut frame = Vec::new();
            for unit in &units {
                separator.append(unit, &mut frame);
            }
            assert_eq!(split(separator, &frame), (units.to_vec(), false), "{separator:?}");
        }
    }

    #[test]
    fn start_codes_are_found_wherever_they_are() {
        for before in 0..8 {
            for filler in [0, 1, 2, 255] {
                let mut data = vec![filler; before];
                data.extend([0, 0, 1, 9]);
                let expected = data.windows(3).position(|window| window == [0, 0, 1]);
                assert_eq!(find_short(&data), expected, "{data:?}");
            }
        }
    }
}
