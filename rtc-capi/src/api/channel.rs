//! What data channels, tracks and WebSockets have in common.

use std::ffi::{c_char, c_int};

use librtc::{Channel, Error, ErrorKind, Message, MessageKind, Result};

use crate::boundary::{SUCCESS, bytes, clamp, copy_out, copy_text, required_mut, slice};
use crate::handles;
use crate::{abi, callbacks};

exports! {
    /// Sets or clears the callback for the channel having opened.
    pub extern "C" fn rtcSetOpenCallback(id: c_int, cb: abi::OpenCallback) -> c_int {
        let channel = handles::channel(id)?;
        channel.on_open(cb.map(|cb| callbacks::plain(id, cb)));
        SUCCESS
    }

    /// Sets or clears the callback for the channel having closed.
    pub extern "C" fn rtcSetClosedCallback(id: c_int, cb: abi::ClosedCallback) -> c_int {
        let channel = handles::channel(id)?;
        channel.on_closed(cb.map(|cb| callbacks::plain(id, cb)));
        SUCCESS
    }

    /// Sets or clears the callback for errors.
    pub extern "C" fn rtcSetErrorCallback(id: c_int, cb: abi::ErrorCallback) -> c_int {
        let channel = handles::channel(id)?;
        channel.on_error(cb.map(|cb| callbacks::error(id, cb)));
        SUCCESS
    }

    /// Sets or clears the callback for messages.
    pub extern "C" fn rtcSetMessageCallback(id: c_int, cb: abi::MessageCallback) -> c_int {
        let channel = handles::channel(id)?;
        channel.on_message(cb.map(|cb| callbacks::message(id, cb)));
        SUCCESS
    }

    /// Sends a message: binary of `size` bytes, or terminated text when `size` is negative.
    pub extern "C" fn rtcSendMessage(id: c_int, data: *const c_char, size: c_int) -> c_int {
        let channel = handles::channel(id)?;
        let message = match (bytes_of_text(data, size), size) {
            (Some(text), _) => {
                Message { kind: MessageKind::Text, ..Message::from(text) }
            }
            (None, ..0) => return Err(Error::invalid("data is NULL")),
            (None, size) => Message::from(slice(data.cast::<u8>(), size, "data")?),
        };
        channel.send(message)?;
        SUCCESS
    }

    /// Closes a channel.
    pub extern "C" fn rtcClose(id: c_int) -> c_int {
        handles::channel(id)?.close();
        SUCCESS
    }

    /// Closes a channel of any kind and deletes its identifier; waits for its running callbacks.
    pub extern "C" fn rtcDelete(id: c_int) -> c_int {
        handles::delete_channel(id)?.delete();
        handles::remove(id);
        SUCCESS
    }

    /// True while messages can be sent.
    pub extern "C" fn rtcIsOpen(id: c_int) -> bool {
        Ok(handles::channel(id)?.is_open())
    }

    /// True once closed.
    pub extern "C" fn rtcIsClosed(id: c_int) -> bool {
        Ok(handles::channel(id)?.is_closed())
    }

    /// The largest message that can be sent, in bytes.
    pub extern "C" fn rtcMaxMessageSize(id: c_int) -> c_int {
        Ok(clamp(handles::channel(id)?.max_message_size()))
    }

    /// Bytes of messages that wait before the transport.
    pub extern "C" fn rtcGetBufferedAmount(id: c_int) -> c_int {
        Ok(clamp(handles::channel(id)?.buffered_amount()))
    }

    /// Sets the amount at or below which the low callback runs.
    pub extern "C" fn rtcSetBufferedAmountLowThreshold(id: c_int, amount: c_int) -> c_int {
        let channel = handles::channel(id)?;
        let amount = usize::try_from(amount)
            .map_err(|_| Error::invalid(format!("a threshold of {amount} bytes is negative")))?;
        channel.set_buffered_amount_low_threshold(amount);
        SUCCESS
    }

    /// Sets or clears the callback for the buffered amount having fallen to the threshold.
    pub extern "C" fn rtcSetBufferedAmountLowCallback(
        id: c_int,
        cb: abi::BufferedAmountLowCallback,
    ) -> c_int {
        let channel = handles::channel(id)?;
        channel.on_buffered_amount_low(cb.map(|cb| callbacks::plain(id, cb)));
        SUCCESS
    }

    /// Bytes that wait to be received.
    pub extern "C" fn rtcGetAvailableAmount(id: c_int) -> c_int {
        Ok(clamp(handles::channel(id)?.available_amount()))
    }

    /// Sets or clears the callback for messages being available again.
    pub extern "C" fn rtcSetAvailableCallback(id: c_int, cb: abi::AvailableCallback) -> c_int {
        let channel = handles::channel(id)?;
        channel.on_available(cb.map(|cb| callbacks::plain(id, cb)));
        SUCCESS
    }

    /// Receives the next message. `size` goes in as the size of the buffer and comes out as that
    /// of the message: negative, with its terminator, for text.
    pub extern "C" fn rtcReceiveMessage(
        id: c_int,
        buffer: *mut c_char,
        size: *mut c_int,
    ) -> c_int {
        let channel = handles::channel(id)?;
        let size = required_mut(size, "size")?;
        let room = size.saturating_abs();
        *size = room;
        receive(&*channel, buffer, room, size)?;
        SUCCESS
    }
}

/// The text that a negative size announces.
fn bytes_of_text<'a>(data: *const c_char, size: c_int) -> Option<&'a [u8]> {
    if size < 0 { bytes(data) } else { None }
}

fn receive(
    channel: &dyn Channel,
    buffer: *mut c_char,
    room: c_int,
    size: &mut c_int,
) -> Result<()> {
    let mut result = None;
    // The message stays in the queue unless it could be copied.
    channel.receive_if(&mut |message| {
        let length = clamp(message.data.len());
        let (needed, reported) = match message.kind {
            MessageKind::Binary => (length, length),
            MessageKind::Text => (length.saturating_add(1), -length.saturating_add(1)),
        };
        *size = reported;
        if buffer.is_null() {
            result = Some(Ok(()));
            return false;
        }
        let copied = match message.kind {
            MessageKind::Binary => copy_out(&message.data, buffer, room, needed),
            MessageKind::Text => copy_text(&message.data, buffer, room).map(|_| ()),
        };
        let taken = copied.is_ok();
        result = Some(copied);
        taken
    });
    result.unwrap_or_else(|| Err(Error::new(ErrorKind::NotAvailable, "no message waits")))
}
