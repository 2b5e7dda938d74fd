//! The way that data takes: a socket, a source and a destination.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rtc_core::backend::Transmit;
use rtc_core::runtime::{UdpSocket, UdpTransmit};

use super::connection::Connection;

/// Largest UDP payload, which bounds what one system call can send (IPv4, RFC 768).
const MAX_PAYLOAD: usize = 65_507;

#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) outlet: Outlet,
    pub(crate) source: Option<IpAddr>,
    /// The peer, or the TURN server.
    pub(crate) destination: SocketAddr,
    pub(crate) relayed: Option<Relayed>,
}

/// What datagrams are put into.
#[derive(Clone, Debug)]
pub(crate) enum Outlet {
    Socket(Arc<dyn UdpSocket>),
    Connection(Arc<Connection>),
}

/// What makes a path go through a TURN server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed {
    /// The relayed address.
    pub(crate) base: SocketAddr,
    pub(crate) peer: SocketAddr,
}

/// Whether everything was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    All,
    /// The socket is full after so many segments.
    Blocked(usize),
}

impl Path {
    /// Sends datagrams, as many per system call as the socket takes. One that the system refuses
    /// for another reason than a full buffer is lost, as it could be on the network.
    pub(crate) fn send(&self, batch: Transmit<'_>) -> Sent {
        let segment_size = batch.segment_size.max(1);
        match &self.outlet {
            Outlet::Connection(connection) => connection.send(batch.contents, segment_size),
            Outlet::Socket(socket) => self.send_by(&**socket, batch, segment_size),
        }
    }

    fn send_by(&self, socket: &dyn UdpSocket, batch: Transmit<'_>, segment_size: usize) -> Sent {
        let mut rest = batch.contents;
        let mut taken = 0;
        let mut retried = false;
        while !rest.is_empty() {
            let limit = segments_per_call(socket, segment_size);
            let (now, later) = rest.split_at(rest.len().min(limit.saturating_mul(segment_size)));
            match socket.try_send(&self.transmit(now, segment_size)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Sent::Blocked(taken);
                }
                // The socket has learnt that this network takes no batches.
                Err(_) if segments_per_call(socket, segment_size) < limit => continue,
                // An ICMP error for an earlier datagram, which says nothing about this one.
                Err(error) if is_asynchronous(&error) && !retried => {
                    retried = true;
                    continue;
                }
                Err(_) => {}
            }
            retried = false;
            taken += now.len().div_ceil(segment_size);
            rest = later;
        }
        Sent::All
    }

    fn transmit<'a>(&self, contents: &'a [u8], segment_size: usize) -> UdpTransmit<'a> {
        UdpTransmit {
            destination: self.destination,
            ecn: None,
            contents,
            segment_size: (segment_size < contents.len()).then_some(segment_size),
            src_ip: self.source,
        }
    }
}

fn segments_per_call(socket: &dyn UdpSocket, segment_size: usize) -> usize {
    socket.max_send_segments().min(MAX_PAYLOAD / segment_size).max(1)
}

/// Whether an error of a send was caused by the answer to an earlier datagram.
pub(crate) fn is_asynchronous(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}
