//! Frames become RTP packets.

use super::{Context, Handler};
use crate::Message;
use crate::packetizer::{Packetizer, Payloads};
use crate::rtp::HEADER;

/// Makes RTP packets of every outgoing message, which is a frame.
#[derive(Debug)]
pub struct Packetizing {
    packetizer: Box<dyn Packetizer>,
}

impl Packetizing {
    /// Cuts frames by `packetizer`; headers are made as the chain's
    /// [`RtpConfig`](crate::RtpConfig) says.
    pub fn new(packetizer: Box<dyn Packetizer>) -> Self {
        Self { packetizer }
    }
}

impl Handler for Packetizing {
    fn outgoing(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        let Some(config) = context.config.as_deref_mut() else { return };
        let extensions = config.extensions.block();
        let mut packets = Vec::new();
        for message in batch.drain(..) {
            if let Some(frame) = message.frame {
                if frame.payload_type != 0 && frame.payload_type != config.payload_type {
                    context.output.dropped += 1;
                    continue;
                }
                config.timestamp = match frame.seconds {
                    Some(seconds) => {
                        config.start_timestamp.wrapping_add(config.seconds_to_timestamp(seconds))
                    }
                    None => frame.timestamp,
                };
            }
            config.last_frame = Some((config.timestamp, context.now.instant));
            let mut payloads = Payloads::new(HEADER + extensions.len());
            if self.packetizer.packetize(&message.data, &mut payloads).is_err() {
                context.output.dropped += 1;
            }
            config.packets(&extensions, payloads, &mut packets);
        }
        batch.extend(packets.into_iter().map(Message::from));
    }
}
