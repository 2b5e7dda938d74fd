//! Sender and receiver reports (RFC 3550 §6.4).

use bytes::{BufMut, BytesMut};

use super::{MAX_COUNT, kind, put, word};
use crate::{Malformed, NtpTime};

/// What a sender tells about its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderReport {
    /// Who sends.
    pub ssrc: u32,
    /// When the report was made.
    pub ntp: NtpTime,
    /// The same instant as an RTP timestamp of the stream.
    pub rtp_timestamp: u32,
    /// RTP packets sent.
    pub packets: u32,
    /// Bytes of payload sent.
    pub octets: u32,
    /// What the sender receives, at most 31 of them.
    pub blocks: Vec<ReportBlock>,
}

/// What a receiver tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverReport {
    /// Who receives.
    pub ssrc: u32,
    /// What it receives, at most 31 of them.
    pub blocks: Vec<ReportBlock>,
}

/// How a stream arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Packets lost since the previous report, in 1/256 of those expected.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; negative when more came than were expected. 24 bits.
    pub cumulative_lost: i32,
    /// The highest sequence number, behind the count of its cycles in the upper half.
    pub highest_sequence: u32,
    /// The interarrival jitter in units of the clock rate.
    pub jitter: u32,
    /// [`NtpTime::middle`] of the last sender report; 0 without one.
    pub last_report: u32,
    /// The time since that report in units of 2⁻¹⁶ s.
    pub delay: u32,
}

/// Bytes of a block.
const BLOCK: usize = 24;

impl SenderReport {
    pub(super) fn read(count: u8, mut body: &[u8]) -> Result<Self, Malformed> {
        let mut fields = || word(&mut body).ok_or(Malformed::new("sender report"));
        let (ssrc, high, low) = (fields()?, fields()?, fields()?);
        let (rtp_timestamp, packets, octets) = (fields()?, fields()?, fields()?);
        let ntp = NtpTime((u64::from(high) << 32) | u64::from(low));
        let blocks = read_blocks(count, body)?;
        Ok(Self { ssrc, ntp, rtp_timestamp, packets, octets, blocks })
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        let blocks = bounded(&self.blocks);
        put(out, kind::SENDER_REPORT, blocks.len(), |out| {
            out.put_u32(self.ssrc);
            out.put_u64(self.ntp.0);
            out.put_u32(self.rtp_timestamp);
            out.put_u32(self.packets);
            out.put_u32(self.octets);
            write_blocks(blocks, out);
        });
    }
}

impl ReceiverReport {
    pub(super) fn read(count: u8, mut body: &[u8]) -> Result<Self, Malformed> {
        let ssrc = word(&mut body).ok_or(Malformed::new("receiver report"))?;
        Ok(Self { ssrc, blocks: read_blocks(count, body)? })
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        let blocks = bounded(&self.blocks);
        put(out, kind::RECEIVER_REPORT, blocks.len(), |out| {
            out.put_u32(self.ssrc);
            write_blocks(blocks, out);
        });
    }
}

fn bounded(blocks: &[ReportBlock]) -> &[ReportBlock] {
    blocks.get(..MAX_COUNT).unwrap_or(blocks)
}

/// Reads as many blocks as the header counts; what follows is an extension of some profile.
fn read_blocks(count: u8, body: &[u8]) -> Result<Vec<ReportBlock>, Malformed> {
    let length = usize::from(count) * BLOCK;
    let mut body = body.get(..length).ok_or(Malformed::new("report block"))?;
    let mut blocks = Vec::with_capacity(count.into());
    while let Some(ssrc) = word(&mut body) {
        let mut field = || word(&mut body).ok_or(Malformed::new("report block"));
        let lost = field()?;
        blocks.push(ReportBlock {
            ssrc,
            fraction_lost: (lost >> 24) as u8,
            // The sign is the highest of 24 bits.
            cumulative_lost: (lost << 8) as i32 >> 8,
            highest_sequence: field()?,
            jitter: field()?,
            last_report: field()?,
            delay: field()?,
        });
    }
    Ok(blocks)
}

fn write_blocks(blocks: &[ReportBlock], out: &mut BytesMut) {
    for block in blocks {
        let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        out.put_u32(block.ssrc);
        out.put_u32((u32::from(block.fraction_lost) << 24) | lost);
        out.put_u32(block.highest_sequence);
        out.put_u32(block.jitter);
        out.put_u32(block.last_report);
        out.put_u32(block.delay);
    }
}
