//! A TCP connection with or without TLS: plaintext in and out.

use std::io;
use std::task::{Context, Poll, ready};

use crate::backend::tls::{TlsRead, TlsSession};
use crate::error::{Error, Result};
use crate::runtime::TcpStream;

/// How much ciphertext is read at once: a few records.
const CIPHERTEXT: usize = 64 * 1024;

/// An emptied output keeps room for this much.
const SPARE: usize = 256 * 1024;

/// One connection. What is written is queued without bound; [`Link::poll_flush`] sends it.
pub(super) struct Link {
    stream: Box<dyn TcpStream>,
    secure: Option<Secure>,
    /// Bytes for the socket, of which `sent` are gone.
    output: Vec<u8>,
    sent: usize,
    /// Plaintext that was read too early.
    unread: Vec<u8>,
    is_shut: bool,
}

struct Secure {
    session: Box<dyn TlsSession>,
    /// Ciphertext, of which the part from `taken` to `filled` waits for the session.
    input: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl Link {
    pub(super) fn new(stream: Box<dyn TcpStream>) -> Self {
        Self {
            stream,
            secure: None,
            output: Vec::new(),
            sent: 0,
            unread: Vec::new(),
            is_shut: false,
        }
    }

    /// Begins TLS; [`Self::poll_handshake`] completes it.
    pub(super) fn secure(&mut self, session: Box<dyn TlsSession>) {
        self.secure = Some(Secure { session, input: Vec::new(), taken: 0, filled: 0 });
    }

    /// Bytes that wait for the socket.
    pub(super) fn waiting(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Has these bytes read before the others.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.unread.splice(..0, bytes.iter().copied());
    }

    /// Queues what `write` appends to the buffer.
    pub(super) fn write_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let Some(secure) = &mut self.secure else {
            write(&mut self.output);
            return Ok(());
        };
        let mut plaintext = Vec::new();
        write(&mut plaintext);
        let mut rest = plaintext.as_slice();
        while !rest.is_empty() {
            let taken = secure.session.write(rest)?;
            rest = rest.get(taken..).unwrap_or_default();
            let moved = secure.session.write_ciphertext(&mut self.output);
            if taken == 0 && !moved {
                return Err(Error::failure("cannot write to TLS: it takes nothing"));
            }
        }
        Ok(())
    }

    /// Queues bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_with(|output| output.extend_from_slice(bytes))
    }

    /// Sends what is queued; ready when nothing is left.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(self.stream.poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
            // Moving the rest costs less than what was sent before it.
            if self.sent > SPARE && self.sent * 2 > self.output.len() {
                self.output.drain(..self.sent);
                self.sent = 0;
            }
        }
        self.sent = 0;
        match self.output.capacity() > SPARE {
            true => self.output = Vec::new(),
            false => self.output.clear(),
        }
        Poll::Ready(Ok(()))
    }

    /// Goes on with the handshake of TLS; ready when it is over.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let Some(secure) = &mut self.secure else { return Poll::Ready(Ok(())) };
            secure.session.write_ciphertext(&mut self.output);
            let handshaking = secure.session.is_handshaking();
            ready!(self.poll_flush(cx)).map_err(broken)?;
            if !handshaking {
                return Poll::Ready(Ok(()));
            }
            let Some(secure) = &mut self.secure else { return Poll::Ready(Ok(())) };
            if !ready!(secure.poll_fill(&mut self.stream, cx)).map_err(broken)? {
                return Poll::Ready(Err(Error::failure("TLS: the connection ended")));
            }
            if let Err(error) = secure.take() {
                // The peer should learn why.
                secure.session.write_ciphertext(&mut self.output);
                let _ = self.poll_flush(cx);
                return Poll::Ready(Err(error));
            }
        }
    }

    /// Reads plaintext; 0 bytes mean that the other side has ended its direction.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buffer.len());
            for (place, byte) in buffer.iter_mut().zip(self.unread.drain(..length)) {
                *place = byte;
            }
            return Poll::Ready(Ok(length));
        }
        let Some(secure) = &mut self.secure else { return self.stream.poll_read(cx, buffer) };
        let mut length = 0;
        loop {
            let rest = buffer.get_mut(length..).unwrap_or_default();
            match secure.session.read(rest).map_err(io::Error::other)? {
                _ if rest.is_empty() => return Poll::Ready(Ok(length)),
                TlsRead::Data(read) => {
                    length += read;
                    continue;
                }
                _ if length > 0 => return Poll::Ready(Ok(length)),
                TlsRead::Closed => return Poll::Ready(Ok(0)),
                TlsRead::Truncated => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                TlsRead::WouldBlock => {}
            }
            if !secure.is_filled() && !ready!(secure.poll_fill(&mut self.stream, cx))? {
                secure.session.end_of_ciphertext();
                continue;
            }
            let taken = secure.take();
            secure.session.write_ciphertext(&mut self.output);
            taken.map_err(io::Error::other)?;
        }
    }

    /// Ends our direction once everything is sent.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(secure) = self.secure.as_mut().filter(|_| !self.is_shut) {
            secure.session.close();
            secure.session.write_ciphertext(&mut self.output);
        }
        self.is_shut = true;
        ready!(self.poll_flush(cx))?;
        self.stream.poll_shutdown(cx)
    }
}

impl Secure {
    fn is_filled(&self) -> bool {
        self.taken < self.filled
    }

    /// Reads ciphertext; false at the end.
    fn poll_fill(
        &mut self,
        stream: &mut Box<dyn TcpStream>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        if self.is_filled() {
            return Poll::Ready(Ok(true));
        }
        self.input.resize(CIPHERTEXT, 0);
        self.taken = 0;
        self.filled = 0;
        self.filled = ready!(stream.poll_read(cx, &mut self.input))?;
        Poll::Ready(Ok(self.filled > 0))
    }

    /// Hands ciphertext to the session, as much as it takes.
    fn take(&mut self) -> Result<()> {
        let waiting = self.input.get(self.taken..self.filled).unwrap_or_default();
        self.taken += self.session.read_ciphertext(waiting)?;
        Ok(())
    }
}

pub(super) fn broken(error: io::Error) -> Error {
    Error::failure("the connection broke").caused_by(error)
}
