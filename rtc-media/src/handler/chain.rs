//! Driving the handlers.

use std::any::Any;
use std::time::Instant;

use super::{Context, Depacketizing, Handler, Packetizing};
use crate::packetizer::Packetizer;
use crate::{Message, Now, Output, Request, RtpConfig};

/// The handlers of a track, and the stream they make.
#[derive(Debug, Default)]
pub struct Chain {
    /// There if and only if the first handler is a packetizer.
    config: Option<RtpConfig>,
    /// Whether the handler after that is a depacketizer.
    has_depacketizer: bool,
    handlers: Vec<Box<dyn Handler>>,
}

impl Chain {
    /// Replaces the whole chain by a packetizer. If there is a depacketizer, the chain stays as it
    /// is otherwise: the track sends frames as well as it receives them. If the chain sent frames
    /// with the same SSRC, their sequence numbers go on.
    pub fn set_packetizer(&mut self, mut config: RtpConfig, packetizer: Box<dyn Packetizer>) {
        let before = self.config.as_ref().filter(|before| before.ssrc == config.ssrc);
        if let Some(before) = before.filter(|before| before.last_frame.is_some()) {
            config.continue_at(before.sequence);
        }
        if !self.has_depacketizer {
            self.clear();
        } else if self.config.is_some() {
            self.handlers.remove(0);
        }
        self.config = Some(config);
        self.handlers.insert(0, Box::new(Packetizing::new(packetizer)));
    }

    /// Replaces the whole chain by a depacketizer. If there is a packetizer, the chain stays as it
    /// is otherwise.
    pub fn set_depacketizer(&mut self, depacketizing: Depacketizing) {
        if self.config.is_none() {
            self.clear();
        } else if self.has_depacketizer {
            self.handlers.remove(1);
        }
        self.has_depacketizer = true;
        let position = usize::from(self.config.is_some());
        self.handlers.insert(position, Box::new(depacketizing));
    }

    /// Appends a handler.
    pub fn push(&mut self, handler: impl Handler) {
        self.handlers.push(Box::new(handler));
    }

    /// Takes all handlers out.
    pub fn clear(&mut self) {
        self.handlers.clear();
        self.config = None;
        self.has_depacketizer = false;
    }

    /// Whether there is a handler of this type.
    pub fn has<H: Handler>(&self) -> bool {
        self.handlers.iter().any(|handler| {
            let handler: &dyn Any = &**handler;
            handler.is::<H>()
        })
    }

    /// Whether there are no handlers.
    pub fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    /// The stream that the chain makes, if it has a packetizer.
    pub fn config(&self) -> Option<&RtpConfig> {
        self.config.as_ref()
    }

    /// The same, to be changed.
    pub fn config_mut(&mut self) -> Option<&mut RtpConfig> {
        self.config.as_mut()
    }

    /// Takes messages from the peer, RTP and RTCP packets that are not protected any more. What is
    /// left in `batch` is for the user.
    pub fn incoming(&mut self, now: Now, batch: &mut Vec<Message>, output: &mut Output) {
        self.pass_incoming(self.handlers.len(), now, batch, output);
    }

    /// Takes messages from the user; the packets for the peer are added to `output`.
    pub fn outgoing(&mut self, now: Now, batch: Vec<Message>, output: &mut Output) {
        self.pass_outgoing(0, now, batch, output);
    }

    /// Takes what the user asks for; false when no handler sees to it.
    pub fn request(&mut self, now: Now, request: Request, output: &mut Output) -> bool {
        let mut context = Context { now, config: self.config.as_mut(), output };
        self.handlers.iter_mut().any(|handler| handler.request(request, &mut context))
    }

    /// When [`Self::handle_timeout`] wants to be called. To be asked again after every call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.handlers.iter().filter_map(|handler| handler.poll_timeout()).min()
    }

    /// Does what is due. Messages for the user are added to `batch`.
    pub fn handle_timeout(&mut self, now: Now, batch: &mut Vec<Message>, output: &mut Output) {
        for position in 0..self.handlers.len() {
            let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
            let mut context = Context { now, config: self.config.as_mut(), output };
            self.handlers[position].handle_timeout(&mut incoming, &mut outgoing, &mut context);
            self.pass_outgoing(position + 1, now, outgoing, output);
            self.pass_incoming(position, now, &mut incoming, output);
            batch.append(&mut incoming);
        }
    }

    /// Passes messages through the handlers before `end`.
    fn pass_incoming(
        &mut self,
        end: usize,
        now: Now,
        batch: &mut Vec<Message>,
        output: &mut Output,
    ) {
        let mut context = Context { now, config: self.config.as_mut(), output };
        for handler in self.handlers[..end].iter_mut().rev() {
            if batch.is_empty() {
                return;
            }
            handler.incoming(batch, &mut context);
        }
    }

    /// Passes messages through the handlers from `start` on.
    fn pass_outgoing(&mut self, start: usize, now: Now, batch: Vec<Message>, output: &mut Output) {
        let mut batch = batch;
        let mut context = Context { now, config: self.config.as_mut(), output };
        for handler in &mut self.handlers[start..] {
            if batch.is_empty() {
                return;
            }
            handler.outgoing(&mut batch, &mut context);
        }
        output.packets.extend(batch.into_iter().map(|message| message.data));
    }
}
