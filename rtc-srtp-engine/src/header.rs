//! As much of a header as protection needs to know.

use crate::Error;

/// Bytes of an RTP header without CSRCs and extension.
const RTP_FIXED: usize = 12;
/// Bytes of an RTCP packet that stay in the clear.
pub(crate) const RTCP_CLEAR: usize = 8;

/// Where things are in an RTP packet.
pub(crate) struct RtpHeader {
    /// Bytes before the payload, extension included.
    pub(crate) length: usize,
    pub(crate) sequence: u16,
    pub(crate) ssrc: u32,
}

impl RtpHeader {
    /// Reads the header of `packet`; RFC 3550 §5.1.
    pub(crate) fn read(packet: &[u8]) -> Result<Self, Error> {
        let fixed: &[u8; RTP_FIXED] = packet.first_chunk().ok_or(Error::Malformed)?;
        let &[first, _, seq_high, seq_low, _, _, _, _, ssrc @ ..] = fixed;
        if first >> 6 != 2 {
            return Err(Error::Malformed);
        }
        let mut length = RTP_FIXED + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let rest = packet.get(length..).ok_or(Error::Malformed)?;
            let &[_, _, words_high, words_low] = rest.first_chunk().ok_or(Error::Malformed)?;
            length += 4 + 4 * usize::from(u16::from_be_bytes([words_high, words_low]));
        }
        if length > packet.len() {
            return Err(Error::Malformed);
        }
        let sequence = u16::from_be_bytes([seq_high, seq_low]);
        Ok(Self { length, sequence, ssrc: u32::from_be_bytes(ssrc) })
    }
}

/// The SSRC of the sender in the first packet of an RTCP compound; RFC 3550 §6.1.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Error> {
    let &[first, _, _, _, ref ssrc @ ..] =
        packet.first_chunk::<RTCP_CLEAR>().ok_or(Error::Malformed)?;
    if first >> 6 != 2 {
        return Err(Error::Malformed);
    }
    Ok(u32::from_be_bytes(*ssrc))
}
