//! The shell around the core: carries out its output, sends its datagrams, wakes it for timers.
//!
//! Whoever has work does it: a user thread that sends also writes to the socket, a task that
//! receives also answers. Only one thread writes at a time; another that finds it busy leaves its
//! datagrams to it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use log::Level;

use super::Peer;
use super::core::PeerCore;
use super::events::{IceCommand, Output};
use super::transport::TransmitBuffer;
use crate::backend::ice::{IceEvent, IceSink, IceTransport, Transmit};
use crate::engine::Duty;
use crate::notes::{note, write_notes};
use crate::runtime::Timer;

/// When the driver looks again although nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Datagrams that the socket had no room for.
struct Blocked {
    contents: Vec<u8>,
    /// The size of each but the last.
    segment_size: usize,
    dscp: u8,
}

#[derive(Default)]
pub(super) struct DriverState {
    waker: Option<Waker>,
    /// When the driver will wake by itself.
    armed: Option<Instant>,
    /// The driver is to write datagrams.
    flush_wanted: bool,
    /// A thread is writing datagrams.
    flushing: bool,
    blocked: Option<Blocked>,
    /// The socket has room again: what is blocked is to be tried once more.
    writable: bool,
    ended: bool,
}

thread_local! {
    /// Where datagrams are built: one for each thread, because a connection is idle mostly.
    static TRANSMIT: RefCell<TransmitBuffer> = RefCell::default();
    static OUTPUT: RefCell<Output> = RefCell::default();
}

impl Peer {
    /// Changes the core, then carries out what follows from it.
    pub(super) fn with_core<R>(&self, change: impl FnOnce(&mut PeerCore, Instant) -> R) -> R {
        let result = self.change_core(change);
        self.flush();
        result
    }

    /// Changes the core and carries out what follows, but leaves datagrams to be flushed.
    pub(super) fn change_core<R>(&self, change: impl FnOnce(&mut PeerCore, Instant) -> R) -> R {
        let now = Instant::now();
        let mut core = self.core.lock();
        let result = change(&mut core, now);
        self.dispatch(&mut core);
        let commands = core.take_commands();
        let deadline = core.poll_timeout();
        drop(core);
        self.carry_out(commands);
        write_notes();
        self.rearm(deadline);
        result
    }

    /// Puts news for the application on the lanes, in the order in which they came to be.
    fn dispatch(&self, core: &mut PeerCore) {
        if !core.has_news() {
            return;
        }
        let Some(me) = self.me.upgrade() else { return };
        OUTPUT.with_borrow_mut(|output| {
            core.take_news(output);
            for bell in output.bells.drain(..) {
                self.data.ring(bell);
            }
            for event in output.events.drain(..) {
                let me = me.clone();
                self.signalling.push(Box::new(move || me.deliver(event)));
            }
        });
    }

    fn carry_out(&self, commands: Vec<IceCommand>) {
        let Some(ice) = self.ice.get() else { return };
        for command in commands {
            let result = match command {
                IceCommand::SetRemote(parameters) => ice.set_remote_parameters(&parameters),
                IceCommand::AddCandidate(candidate) => ice.add_remote_candidate(&candidate),
                IceCommand::EndOfCandidates => {
                    ice.end_of_remote_candidates();
                    Ok(())
                }
            };
            if let Err(error) = result {
                note(Level::Warn, || format!("ICE: {error}"));
            }
        }
    }

    /// Has the driver write what the core has to send.
    pub(super) fn flush_soon(&self) {
        let mut driver = self.driver.lock();
        if std::mem::replace(&mut driver.flush_wanted, true) {
            return;
        }
        if let Some(waker) = driver.waker.take() {
            drop(driver);
            waker.wake();
        }
    }

    /// Writes what the core has to send, unless another thread is at it.
    pub(super) fn flush(&self) {
        let Some(ice) = self.ice.get() else { return };
        TRANSMIT.with_borrow_mut(|buffer| self.flush_through(ice, buffer));
        write_notes();
    }

    fn flush_through(&self, ice: &Arc<dyn IceTransport>, buffer: &mut TransmitBuffer) {
        loop {
            let held = {
                let mut core = self.core.lock();
                let mut driver = self.driver.lock();
                if driver.flushing || driver.ended {
                    return;
                }
                let writable = std::mem::take(&mut driver.writable);
                let held = driver.blocked.take_if(|_| writable);
                let blocked = driver.blocked.is_some() && !core.is_closed();
                if held.is_none() && (blocked || !core.poll_transmit(Instant::now(), buffer)) {
                    let end = core.is_closed();
                    driver.ended = end;
                    drop((core, driver));
                    if end {
                        self.end(ice);
                    }
                    return;
                }
                driver.flushing = true;
                held
            };
            let blocked = match held {
                Some(held) => send_batch(ice, &held.contents, held.segment_size, held.dscp),
                None => send_batches(ice, buffer),
            };
            let mut driver = self.driver.lock();
            driver.flushing = false;
            driver.blocked = blocked;
        }
    }

    fn end(&self, ice: &Arc<dyn IceTransport>) {
        ice.close();
        let waker = self.driver.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Goes on after the socket was full. The thread that found it full may not have said so yet:
    /// then it goes on itself.
    fn resume_sending(&self) {
        self.driver.lock().writable = true;
        self.flush();
    }

    /// Makes sure that the driver wakes in time for `deadline`.
    fn rearm(&self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let mut driver = self.driver.lock();
        // A deadline that moved away is noticed when the old one comes; that is cheaper than
        // moving the timer for each packet.
        if driver.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        if let Some(waker) = driver.waker.take() {
            driver.armed = Some(deadline);
            drop(driver);
            waker.wake();
        }
    }

    pub(super) fn start_driver(&self) {
        let Some(peer) = self.me.upgrade() else { return };
        let timer = self.engine.runtime().timer(Instant::now() + IDLE);
        let duty = self.engine.enlist(self.me.clone());
        self.engine.runtime().spawn(Box::pin(Driver { _duty: duty, peer, timer }));
    }
}

/// Sends the batches in `buffer`; what the socket had no room for is returned. A batch that does
/// not fit behind another blocked one is lost, as on a network.
fn send_batches(ice: &Arc<dyn IceTransport>, buffer: &TransmitBuffer) -> Option<Blocked> {
    let mut blocked = None;
    for (contents, segment) in buffer.batches() {
        if blocked.is_none() {
            blocked = send_batch(ice, contents, segment, buffer.dscp);
        }
    }
    blocked
}

fn send_batch(
    ice: &Arc<dyn IceTransport>,
    contents: &[u8],
    segment_size: usize,
    dscp: u8,
) -> Option<Blocked> {
    let taken = ice.send(Transmit { contents, segment_size, dscp });
    match contents.get(taken.saturating_mul(segment_size)..) {
        Some(rest) if !rest.is_empty() => {
            Some(Blocked { contents: rest.to_vec(), segment_size, dscp })
        }
        _ => None,
    }
}

/// The task of one connection: it wakes the core when a timer is due, and keeps the connection
/// alive until it is closed.
struct Driver {
    _duty: Duty,
    peer: Arc<Peer>,
    timer: Pin<Box<dyn Timer>>,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let now = Instant::now();
            if std::mem::take(&mut this.peer.driver.lock().flush_wanted) {
                this.peer.flush();
            }
            let deadline = {
                let core = this.peer.core.lock();
                let mut driver = this.peer.driver.lock();
                if driver.ended {
                    return Poll::Ready(());
                }
                if driver.flush_wanted {
                    continue;
                }
                let deadline = core.poll_timeout().unwrap_or(now + IDLE);
                driver.armed = Some(deadline);
                driver.waker = Some(cx.waker().clone());
                deadline
            };
            if deadline <= now {
                this.peer.with_core(|core, now| core.handle_timeout(now));
                continue;
            }
            this.timer.as_mut().reset(deadline);
            if this.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// Where a backend delivers what happens to a connection.
pub(super) struct PeerSink {
    peer: Weak<Peer>,
}

impl PeerSink {
    pub(super) fn new(peer: Weak<Peer>) -> Self {
        Self { peer }
    }
}

impl IceSink for PeerSink {
    fn event(&self, event: IceEvent) {
        let Some(peer) = self.peer.upgrade() else { return };
        match event {
            IceEvent::Writable => peer.resume_sending(),
            event => peer.with_core(|core, now| core.handle_ice_event(now, event)),
        }
    }

    fn datagrams(&self, batch: &mut dyn Iterator<Item = &mut [u8]>) {
        let Some(peer) = self.peer.upgrade() else { return };
        peer.with_core(|core, now| {
            for datagram in batch {
                core.handle_datagram(now, datagram);
            }
            core.handle_sctp_events(now);
        });
    }
}
