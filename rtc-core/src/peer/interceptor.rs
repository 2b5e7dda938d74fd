//! The media interceptor: user code that sees every incoming packet before the tracks do.
//!
//! It runs on the data lane like all callbacks, so packets make a detour: they wait here, pass the
//! callback, and go on from there.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use super::Peer;
use crate::channel::Backlog;
use crate::runtime::lane::Bell;

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is dropped.
    Drop,
    /// It goes on.
    Forward,
    /// This packet goes on in its place.
    Replace(Bytes),
}

/// A callback for incoming RTP and RTCP packets.
pub type InterceptorHandler = Arc<dyn Fn(&[u8]) -> Verdict + Send + Sync>;

pub(crate) struct Interceptor {
    peer: Weak<Peer>,
    handler: Mutex<Option<InterceptorHandler>>,
    waiting: Backlog<Bytes>,
    rung: AtomicBool,
}

impl Interceptor {
    pub(super) fn new(peer: Weak<Peer>) -> Arc<Self> {
        Arc::new(Self {
            peer,
            handler: Mutex::default(),
            waiting: Backlog::default(),
            rung: AtomicBool::new(false),
        })
    }

    /// Replaces the callback; the old one is returned to be dropped.
    pub(super) fn set(&self, handler: Option<InterceptorHandler>) -> Option<InterceptorHandler> {
        std::mem::replace(&mut *self.handler.lock(), handler)
    }

    /// True while packets have to pass here: also those behind one that waits.
    pub(super) fn is_active(&self) -> bool {
        self.handler.lock().is_some() || !self.waiting.is_empty()
    }

    /// Queues a packet; false when there is no room.
    pub(super) fn push(&self, packet: &[u8]) -> bool {
        self.waiting.push(Bytes::copy_from_slice(packet), packet.len())
    }
}

impl Bell for Interceptor {
    fn run(&self) {
        let Some(peer) = self.peer.upgrade() else { return };
        while let Some(packet) = self.waiting.pop() {
            let handler = self.handler.lock().clone();
            let verdict = handler.map_or(Some(Verdict::Forward), |handler| {
                peer.enter_interceptor().map(|_pass| handler(&packet))
            });
            match verdict {
                Some(Verdict::Forward) => peer.deliver_media(&packet),
                Some(Verdict::Replace(other)) => peer.deliver_media(&other),
                Some(Verdict::Drop) | None => {}
            }
        }
    }

    fn rung(&self) -> &AtomicBool {
        &self.rung
    }
}
