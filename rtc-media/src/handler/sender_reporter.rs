//! Sender reports (RFC 3550 §6.4.1).

use std::time::{Duration, Instant};

use super::{Context, Handler};
use crate::rtcp::{self, SenderReport, SourceDescription};
use crate::rtp::{self, Packet};
use crate::{Message, NtpTime, clock};

const INTERVAL: Duration = Duration::from_secs(1);

/// Reports on the stream that the chain makes: with its first packets, and then with the packets
/// that go out a second or more after the previous report. What the RTP time of that instant is
/// follows from when the last frame came from the user, however late its packets go out.
#[derive(Debug, Default)]
pub struct SenderReporter {
    packets: u32,
    octets: u32,
    reported: Option<Instant>,
}

impl Handler for SenderReporter {
    fn outgoing(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        let Some(config) = context.config.as_deref_mut() else { return };
        let mut timestamp = None;
        for message in batch.iter().filter(|message| !rtp::is_rtcp(&message.data)) {
            let Ok(packet) = Packet::parse(&message.data) else { continue };
            if packet.header().ssrc == config.ssrc {
                timestamp = Some(packet.header().timestamp);
                self.packets = self.packets.wrapping_add(1);
                self.octets = self.octets.wrapping_add(packet.payload().len() as u32);
            }
        }
        let Some(mut timestamp) = timestamp else { return };
        let now = context.now;
        if self.reported.is_some_and(|reported| now.instant < reported + INTERVAL) {
            return;
        }
        if let Some((last, at)) = config.last_frame {
            let since = now.instant.saturating_duration_since(at);
            let passed = clock::seconds_to_timestamp(since.as_secs_f64(), config.clock_rate);
            timestamp = last.wrapping_add(passed);
        }
        let report = SenderReport {
            ssrc: config.ssrc,
            ntp: NtpTime::from(now.wall),
            rtp_timestamp: timestamp,
            packets: self.packets,
            octets: self.octets,
            blocks: Vec::new(),
        };
        let name = SourceDescription::cname(config.ssrc, &config.cname);
        context.output.packets.push(rtcp::write(&[
            rtcp::Packet::SenderReport(report),
            rtcp::Packet::SourceDescription(name),
        ]));
        config.last_report_timestamp = timestamp;
        self.reported = Some(now.instant);
    }
}
