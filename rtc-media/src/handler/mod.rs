//! The chain of a track.
//!
//! Messages to the peer pass the handlers from the first to the last, messages from the peer from
//! the last to the first. So the packetizer or depacketizer comes first.

mod bitrate;
mod chain;
mod depacketizing;
mod keyframe;
mod nack_requester;
mod nack_responder;
mod pacing;
mod packetizing;
mod receiver;
mod sender_reporter;

#[cfg(test)]
mod tests;

pub use bitrate::BitrateHandler;
pub use chain::Chain;
pub use depacketizing::{DEFAULT_MAX_WAIT, Depacketizing};
pub use keyframe::KeyframeHandler;
pub use nack_requester::NackRequester;
pub use nack_responder::{DEFAULT_MAX_PACKETS, NackResponder};
pub use pacing::Pacing;
pub use packetizing::Packetizing;
pub use receiver::ReceivingSession;
pub use sender_reporter::SenderReporter;

use std::any::Any;
use std::fmt::Debug;
use std::time::Instant;

use crate::{Message, Now, Output, Request, RtpConfig};

/// A link of a chain. What it does not care for passes it unchanged.
pub trait Handler: Any + Send + Debug {
    /// Messages from the peer: they may be changed, taken out and added.
    fn incoming(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        let _ = (batch, context);
    }

    /// Messages to the peer: they may be changed, taken out and added.
    fn outgoing(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        let _ = (batch, context);
    }

    /// What the user asks for; true when this handler sees to it, so that no other one is asked.
    fn request(&mut self, request: Request, context: &mut Context<'_>) -> bool {
        let _ = (request, context);
        false
    }

    /// When [`Self::handle_timeout`] wants to be called.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what is due. Messages in `incoming` go on to the user and those in `outgoing` to the
    /// peer, past the other handlers on their way.
    fn handle_timeout(
        &mut self,
        incoming: &mut Vec<Message>,
        outgoing: &mut Vec<Message>,
        context: &mut Context<'_>,
    ) {
        let _ = (incoming, outgoing, context);
    }
}

/// What a handler sees of the world.
#[derive(Debug)]
pub struct Context<'a> {
    /// The time.
    pub now: Now,
    /// The stream that the chain makes, if it has a packetizer.
    pub config: Option<&'a mut RtpConfig>,
    /// Packets put here go to the peer directly, past the other handlers.
    pub output: &'a mut Output,
}
