//! Estimates of the peer.

use super::{Context, Handler};
use crate::rtcp::{self, Packet};
use crate::rtp;
use crate::{Event, Message};

/// Tells the user how many bits per second the peer estimates to get, by REMB.
#[derive(Debug, Default)]
pub struct BitrateHandler;

impl Handler for BitrateHandler {
    fn incoming(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        for message in batch.iter().filter(|message| rtp::is_rtcp(&message.data)) {
            for packet in rtcp::compound(&message.data).map_while(Result::ok) {
                if let Packet::Remb(remb) = packet {
                    context.output.events.push(Event::BitrateEstimated(remb.bitrate));
                }
            }
        }
    }
}
