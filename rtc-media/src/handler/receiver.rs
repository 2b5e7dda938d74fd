//! Receiver reports, and requests to the sender (RFC 3550 §6.4.2, appendix A).

use std::time::{Duration, Instant};

use super::{Context, Handler};
use crate::rtcp::{self, Pli, ReceiverReport, Remb, ReportBlock, SenderReport, SourceDescription};
use crate::rtp::{self, Header, Packet};
use crate::{Message, NtpTime, Request, clock, sequence};

/// Streams that are reported on; a report has room for 31.
const MAX_STREAMS: usize = 31;
/// Without sender reports there is a report after this time.
const INTERVAL: Duration = Duration::from_secs(5);
/// A jump of more than this is a sender that starts over (RFC 3550 appendix A.1). Backwards it is
/// more than the RFC has, for the sake of retransmissions.
const MAX_DROPOUT: u64 = 3000;
const MAX_MISORDER: u64 = 3000;

/// Reports to the sender how its streams arrive, whenever it reports itself, and passes requests
/// for key frames (PLI) and for a bitrate (REMB) on to it. Takes RTCP packets out.
#[derive(Debug)]
pub struct ReceivingSession {
    ssrc: u32,
    cname: Option<String>,
    clock_rate: u32,
    /// By SSRC, the one that was heard of last at the end.
    streams: Vec<Stream>,
    bitrate: Option<u64>,
    wants_keyframe: bool,
    /// The time that arrivals are counted from.
    origin: Option<Instant>,
    reported: Option<Instant>,
}

/// How a stream arrives.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// The number of the first packet, and the highest so far.
    base: u64,
    highest: u64,
    /// The number behind a packet that was far off.
    restart: Option<u64>,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Sixteen times the jitter, and the transit time it was last compared with.
    jitter: u64,
    transit: Option<u32>,
    /// The last sender report and when it came.
    report: Option<(NtpTime, Instant)>,
}

impl ReceivingSession {
    /// Reports in the name of `ssrc`; `clock_rate` is that of the incoming streams, for the
    /// jitter, which stays 0 without one.
    pub fn new(ssrc: u32, clock_rate: u32) -> Self {
        Self {
            ssrc,
            cname: None,
            clock_rate,
            streams: Vec::new(),
            bitrate: None,
            wants_keyframe: false,
            origin: None,
            reported: None,
        }
    }

    /// Sends a source description with this name along with every report.
    pub fn with_cname(mut self, cname: &str) -> Self {
        self.cname = Some(cname.to_owned());
        self
    }

    fn see(&mut self, header: &Header, now: Instant) {
        let position = match self.streams.iter().position(|stream| stream.ssrc == header.ssrc) {
            Some(position) => position,
            None => {
                if self.streams.len() == MAX_STREAMS {
                    self.streams.remove(0);
                }
                self.streams.push(Stream::new(header));
                self.streams.len() - 1
            }
        };
        self.streams[position..].rotate_left(1);
        let arrival = self.arrival(now);
        if let Some(stream) = self.streams.last_mut() {
            stream.see(header, arrival);
        }
    }

    /// The time on the clock of the streams. Only differences count, so any origin will do.
    fn arrival(&mut self, now: Instant) -> u32 {
        let origin = *self.origin.get_or_insert(now);
        let since = now.saturating_duration_since(origin);
        ((since.as_nanos() * u128::from(self.clock_rate)) / 1_000_000_000) as u32
    }

    fn handle_report(&mut self, report: &SenderReport, now: Instant) {
        let known = self.streams.iter_mut().find(|stream| stream.ssrc == report.ssrc);
        if let Some(stream) = known {
            stream.report = Some((report.ntp, now));
        }
    }

    fn report(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        let blocks = self.streams.iter_mut().map(|stream| stream.block(now)).collect();
        let mut packets =
            vec![rtcp::Packet::ReceiverReport(ReceiverReport { ssrc: self.ssrc, blocks })];
        if let Some(cname) = &self.cname {
            let name = SourceDescription::cname(self.ssrc, cname);
            packets.push(rtcp::Packet::SourceDescription(name));
        }
        context.output.packets.push(rtcp::write(&packets));
        self.limit_bitrate(context);
    }

    fn limit_bitrate(&self, context: &mut Context<'_>) {
        let Some(bitrate) = self.bitrate else { return };
        let sources = self.streams.iter().map(|stream| stream.ssrc).collect();
        let remb = Remb { sender: self.ssrc, bitrate, sources };
        context.output.packets.push(rtcp::write(&[rtcp::Packet::Remb(remb)]));
    }

    /// Asks for a key frame of the stream that was heard of last, or as soon as there is one.
    fn ask_for_keyframe(&mut self, context: &mut Context<'_>) {
        self.wants_keyframe = self.streams.is_empty();
        if let Some(stream) = self.streams.last() {
            let pli = Pli { sender: self.ssrc, media: stream.ssrc };
            context.output.packets.push(rtcp::write(&[rtcp::Packet::Pli(pli)]));
        }
    }
}

impl Stream {
    fn new(header: &Header) -> Self {
        let first = sequence::first(header.sequence);
        Self {
            ssrc: header.ssrc,
            base: first,
            highest: first,
            restart: None,
            received: 0,
            expected_before: 0,
            received_before: 0,
            jitter: 0,
            transit: None,
            report: None,
        }
    }

    fn see(&mut self, header: &Header, arrival: u32) {
        let number = sequence::extend(self.highest, header.sequence);
        let is_far = number > self.highest + MAX_DROPOUT || number + MAX_MISORDER < self.highest;
        if is_far {
            // Two in a row are a sender that starts over, one is a stray.
            if self.restart.replace(number + 1) != Some(number) {
                return;
            }
            let report = self.report;
            *self = Self { report, ..Self::new(header) };
        } else {
            self.highest = self.highest.max(number);
        }
        self.restart = None;
        self.received += 1;
        // RFC 3550 appendix A.8, in sixteenths.
        let transit = arrival.wrapping_sub(header.timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = u64::from((transit.wrapping_sub(before) as i32).unsigned_abs());
            self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
        }
    }

    /// RFC 3550 appendix A.3.
    fn block(&mut self, now: Instant) -> ReportBlock {
        let expected = self.highest + 1 - self.base;
        let lost = expected as i64 - self.received as i64;
        let expected_now = expected - self.expected_before;
        let lost_now = expected_now as i64 - (self.received - self.received_before) as i64;
        self.expected_before = expected;
        self.received_before = self.received;
        let fraction = match u64::try_from(lost_now) {
            Ok(lost) if expected_now > 0 => (lost << 8) / expected_now,
            _ => 0,
        };
        let cycles = (self.highest >> 16) - (self.base >> 16);
        let (last_report, delay) = self.report.map_or((0, 0), |(ntp, at)| {
            (ntp.middle(), clock::to_short_ntp(now.saturating_duration_since(at)))
        });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: ((cycles as u32) << 16) | (self.highest & 0xffff) as u32,
            jitter: (self.jitter >> 4) as u32,
            last_report,
            delay,
        }
    }
}

impl Handler for ReceivingSession {
    fn incoming(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        let now = context.now.instant;
        let mut reports_due = false;
        batch.retain(|message| {
            if rtp::is_rtcp(&message.data) {
                for packet in rtcp::compound(&message.data).map_while(Result::ok) {
                    if let rtcp::Packet::SenderReport(report) = packet {
                        self.handle_report(&report, now);
                        reports_due = true;
                    }
                }
                return false;
            }
            match Packet::parse(&message.data) {
                Ok(packet) => self.see(&packet.header(), now),
                Err(_) => {
                    context.output.dropped += 1;
                    return false;
                }
            }
            true
        });
        let last = *self.reported.get_or_insert(now);
        if reports_due || now >= last + INTERVAL {
            self.reported = Some(now);
            self.report(context);
        }
        if self.wants_keyframe {
            self.ask_for_keyframe(context);
        }
    }

    fn request(&mut self, request: Request, context: &mut Context<'_>) -> bool {
        match request {
            Request::Keyframe => self.ask_for_keyframe(context),
            Request::Bitrate(bitrate) => {
                self.bitrate = Some(bitrate);
                self.limit_bitrate(context);
            }
        }
        true
    }
}
