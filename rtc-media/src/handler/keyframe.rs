//! Requests of the peer for key frames.

use super::{Context, Handler};
use crate::rtcp::{self, Packet};
use crate::rtp;
use crate::{Event, Message};

/// Tells the user when the peer wants a key frame, by PLI or FIR. A FIR that is repeated counts
/// once (RFC 5104 §4.3.1.1).
#[derive(Debug, Default)]
pub struct KeyframeHandler {
    /// The last FIR: who asked, for which stream, and its number.
    fir: Option<(u32, u32, u8)>,
}

impl KeyframeHandler {
    fn is_request(&mut self, packet: &Packet) -> bool {
        match packet {
            Packet::Pli(_) => true,
            Packet::Fir(fir) => fir.entries.iter().fold(false, |is_new, entry| {
                let this = Some((fir.sender, entry.ssrc, entry.sequence));
                // The older form has neither sender nor number.
                let is_repeated = fir.sender != 0 && self.fir == this;
                self.fir = this;
                is_new || !is_repeated
            }),
            _ => false,
        }
    }
}

impl Handler for KeyframeHandler {
    fn incoming(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        for message in batch.iter().filter(|message| rtp::is_rtcp(&message.data)) {
            let mut packets = rtcp::compound(&message.data).map_while(Result::ok);
            if packets.any(|packet| self.is_request(&packet)) {
                context.output.events.push(Event::KeyframeRequested);
            }
        }
    }
}
