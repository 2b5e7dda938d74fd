//! The network as OpenSSL sees it: one datagram at a time, in the caller's memory.
//!
//! The `openssl` crate turns a reader and writer into a BIO. This one reads from memory that is lent
//! for one call, and writes records of data into such memory: that saves a copy each way.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::ptr::{self, NonNull};

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::{self, SslStream};
use openssl_sys as sys;

use super::record::{self, APPLICATION_DATA};
use crate::{failure, ffi};

/// Datagrams on their way into OpenSSL and out of it.
#[derive(Default)]
pub(super) struct Wire {
    /// What OpenSSL reads next. Set only while the function runs that borrows the memory.
    incoming: Option<NonNull<[u8]>>,
    /// Where the next record of data goes. Set only while the function runs that borrows the
    /// memory.
    place: Option<NonNull<[u8]>>,
    /// Length of the record that was put there.
    sealed: Option<usize>,
    /// Everything else that OpenSSL wrote.
    outgoing: VecDeque<Vec<u8>>,
    /// The sequence number after the last one of our unprotected records.
    next_unprotected: u64,
    /// We have sent protected records.
    protects: bool,
}

// SAFETY: the pointers are set only during a call that holds both the wire and the memory
// exclusively, so that no other thread can have either.
unsafe impl Send for Wire {}

/// What OpenSSL made of a datagram.
pub(super) enum Opened {
    /// So many bytes of data.
    Data(usize),
    /// Nothing, or nothing more.
    Nothing,
    /// The peer will send no more.
    CloseNotify,
    /// The connection is over, for this reason.
    Failed(String),
}

impl Wire {
    /// The next handshake or alert datagram to send.
    pub(super) fn poll(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
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

/// Lets OpenSSL go on with a handshake, with `datagram` to read.
pub(super) fn handshake(
    stream: &mut SslStream<Wire>,
    datagram: &[u8],
) -> std::result::Result<(), ssl::Error> {
    ffi::clear_errors();
    // Nobody writes through this pointer: see `Read::read`.
    let readable = ptr::slice_from_raw_parts_mut(datagram.as_ptr().cast_mut(), datagram.len());
    stream.get_mut().incoming = NonNull::new(readable).filter(|_| !datagram.is_empty());
    let outcome = stream.do_handshake();
    stream.get_mut().incoming = None;
    outcome
}

/// Lets OpenSSL open a datagram; the data of its first record takes its place.
pub(super) fn open(stream: &mut SslStream<Wire>, datagram: &mut [u8]) -> Opened {
    let lent = ptr::from_mut(datagram);
    stream.get_mut().incoming = NonNull::new(lent);
    let opened = read(stream, lent);
    stream.get_mut().incoming = None;
    opened
}

/// Puts the data of the next record of the datagram that was opened last into `buffer`.
pub(super) fn open_next(stream: &mut SslStream<Wire>, buffer: &mut [u8]) -> Opened {
    read(stream, ptr::from_mut(buffer))
}

/// `buffer` is memory that the caller borrows exclusively, and where [`Wire::incoming`] may stand.
fn read(stream: &mut SslStream<Wire>, buffer: *mut [u8]) -> Opened {
    ffi::clear_errors();
    let ssl = stream.ssl().as_ptr();
    let mut length = 0;
    // OpenSSL reads the datagram from `buffer`, through our BIO, before it writes there: it has
    // nothing else left that it could write, since the datagram before was read to its end.
    // SAFETY: both pointers are valid for the call and for writing.
    let outcome = unsafe { sys::SSL_read_ex(ssl, buffer.cast(), buffer.len(), &mut length) };
    if outcome == 1 {
        return Opened::Data(length);
    }
    // SAFETY: the pointer is valid, and `outcome` is what the last call on this thread returned.
    match unsafe { sys::SSL_get_error(ssl, outcome) } {
        sys::SSL_ERROR_WANT_READ => Opened::Nothing,
        sys::SSL_ERROR_ZERO_RETURN => Opened::CloseNotify,
        _ => Opened::Failed(failure::of_stack(&ErrorStack::get())),
    }
}

/// Protects the `length` bytes that stand in `record` behind `head` bytes; returns the length of
/// the record, which starts at `record[0]`. The reason when that fails.
pub(super) fn seal(
    stream: &mut SslStream<Wire>,
    record: &mut [u8],
    head: usize,
    length: usize,
) -> Result<usize, String> {
    if head.checked_add(length).is_none_or(|end| end > record.len()) {
        return Err("the payload lies outside the record".to_owned());
    }
    ffi::clear_errors();
    let lent = ptr::from_mut(record);
    stream.get_mut().place = NonNull::new(lent);
    let mut written = 0;
    // SAFETY: the payload lies within `record`, as was checked above; both pointers are valid for
    // the call. OpenSSL copies the payload before it writes to our BIO, which writes over it.
    let outcome = unsafe {
        let payload = lent.cast::<u8>().add(head);
        sys::SSL_write_ex(stream.ssl().as_ptr(), payload.cast(), length, &mut written)
    };
    let wire = stream.get_mut();
    wire.place = None;
    match (outcome, wire.sealed.take()) {
        (1, Some(length)) => Ok(length),
        (1, None) => Err("the record is longer than its place".to_owned()),
        _ => Err(failure::of_stack(&ErrorStack::get())),
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(datagram) = self.incoming.take() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let length = datagram.len().min(buffer.len());
        // SAFETY: the pointer is set only while the memory is lent for reading, and `buffer` is
        // OpenSSL's own; `length` fits both.
        unsafe {
            ptr::copy_nonoverlapping(
                datagram.as_ptr().cast::<u8>().cast_const(),
                buffer.as_mut_ptr(),
                length,
            );
        }
        Ok(length)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if datagram.first() == Some(&APPLICATION_DATA) {
            self.sealed = None;
            if let Some(place) = self.place.take().filter(|place| place.len() >= datagram.len()) {
                // SAFETY: the pointer is set only while the memory is lent for writing, and
                // `datagram` is OpenSSL's own; its length fits, as was checked above.
                unsafe {
                    ptr::copy_nonoverlapping(
                        datagram.as_ptr(),
                        place.as_ptr().cast::<u8>(),
                        datagram.len(),
                    );
                }
                self.sealed = Some(datagram.len());
            }
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
