//! The network as OpenSSL sees it: one datagram at a time.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use super::record::{self, APPLICATION_DATA};

/// Datagrams on their way into OpenSSL and out of it.
#[derive(Default)]
pub(super) struct Wire {
    /// What OpenSSL reads next, unless it is empty. The memory is used again and again.
    incoming: Vec<u8>,
    /// The record of data that OpenSSL wrote last.
    sealed: Vec<u8>,
    /// Everything else it wrote.
    outgoing: VecDeque<Vec<u8>>,
    /// The sequence number after the last one of our unprotected records.
    next_unprotected: u64,
    /// We have sent protected records.
    protects: bool,
}

impl Wire {
    /// Makes `datagram` what OpenSSL reads next.
    pub(super) fn feed(&mut self, datagram: &[u8]) {
        self.incoming.clear();
        self.incoming.extend_from_slice(datagram);
    }

    /// The next handshake or alert datagram to send.
    pub(super) fn poll(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
    }

    /// The record of data that was written last.
    pub(super) fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// True once a protected record was written.
    pub(super) fn protects(&self) -> bool {
        self.protects
    }

    /// Queues an unprotected alert in place of everything that has not been sent yet.
    pub(super) fn give_up(&mut self, description: u8) {
        self.outgoing.clear();
        self.outgoing.push_back(record::unprotected_alert(self.next_unprotected, description));
        self.next_unprotected += 1;
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = self.incoming.len().min(buffer.len());
        let (Some(to), Some(from)) = (buffer.get_mut(..length), self.incoming.get(..length)) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        to.copy_from_slice(from);
        self.incoming.clear();
        Ok(length)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if datagram.first() == Some(&APPLICATION_DATA) {
            self.sealed.clear();
            self.sealed.extend_from_slice(datagram);
        } else {
            for (epoch, sequence) in record::numbers(datagram) {
                match epoch {
                    0 => self.next_unprotected = sequence + 1,
                    _ => self.protects = true,
                }
            }
            self.outgoing.push_back(datagram.to_vec());
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
