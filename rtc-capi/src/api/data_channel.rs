//! Data channels.

use std::ffi::{c_char, c_int};

use librtc::{DataChannelInit, Error, Reliability, ReliabilityLimit, Result};

use crate::abi::{self, CBool};
use crate::boundary::{SUCCESS, bytes, copy_text, required, required_mut};
use crate::handles::{self, Object, UserPointer};

exports! {
    /// Creates an ordered, reliable channel.
    pub extern "C" fn rtcCreateDataChannel(pc: c_int, label: *const c_char) -> c_int {
        create(pc, label, DataChannelInit::default())
    }

    /// Creates a channel; NULL settings are those of `rtcCreateDataChannel`.
    pub extern "C" fn rtcCreateDataChannelEx(
        pc: c_int,
        label: *const c_char,
        init: *const abi::DataChannelInit,
    ) -> c_int {
        match init.is_null() {
            true => create(pc, label, DataChannelInit::default()),
            false => create(pc, label, settings(required(init, "init")?)),
        }
    }

    /// Closes a channel and deletes its identifier; waits for its running callbacks.
    pub extern "C" fn rtcDeleteDataChannel(dc: c_int) -> c_int {
        handles::delete_data_channel(dc)?.delete();
        handles::remove(dc);
        SUCCESS
    }

    /// The SCTP stream.
    pub extern "C" fn rtcGetDataChannelStream(dc: c_int) -> c_int {
        let stream = handles::data_channel(dc)?.stream();
        stream.map(c_int::from).ok_or_else(|| Error::not_available("no stream is assigned yet"))
    }

    /// Copies the label out.
    pub extern "C" fn rtcGetDataChannelLabel(
        dc: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        copy_text(handles::data_channel(dc)?.label(), buffer, size)
    }

    /// Copies the protocol out.
    pub extern "C" fn rtcGetDataChannelProtocol(
        dc: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        copy_text(handles::data_channel(dc)?.protocol(), buffer, size)
    }

    /// Tells how hard the channel tries to deliver.
    pub extern "C" fn rtcGetDataChannelReliability(
        dc: c_int,
        reliability: *mut abi::Reliability,
    ) -> c_int {
        let actual = handles::data_channel(dc)?.reliability();
        let (unreliable, lifetime, retransmits) = match actual.limit {
            ReliabilityLimit::Reliable => (false, 0, 0),
            ReliabilityLimit::Lifetime(milliseconds) => (true, milliseconds, 0),
            ReliabilityLimit::Retransmits(count) => (true, 0, count),
        };
        *required_mut(reliability, "reliability")? = abi::Reliability {
            unordered: actual.unordered.into(),
            unreliable: CBool::from(unreliable),
            max_packet_life_time: lifetime,
            max_retransmits: retransmits,
        };
        SUCCESS
    }
}

fn create(pc: c_int, label: *const c_char, init: DataChannelInit) -> Result<c_int> {
    let peer = handles::peer(pc)?;
    let label = bytes(label).unwrap_or_default();
    let channel = peer.create_data_channel_with(label, init)?;
    let inherited = handles::pointer(pc).unwrap_or(UserPointer::NULL);
    Ok(handles::insert(Object::DataChannel(channel), inherited))
}

fn settings(c: &abi::DataChannelInit) -> DataChannelInit {
    let limit = match (c.reliability.unreliable.is_true(), c.reliability.max_packet_life_time) {
        (false, _) => ReliabilityLimit::Reliable,
        (true, 0) => ReliabilityLimit::Retransmits(c.reliability.max_retransmits),
        (true, milliseconds) => ReliabilityLimit::Lifetime(milliseconds),
    };
    DataChannelInit {
        reliability: Reliability { unordered: c.reliability.unordered.is_true(), limit },
        protocol: bytes(c.protocol).unwrap_or_default().to_vec(),
        negotiated: c.negotiated.is_true(),
        stream: c.manual_stream.is_true().then_some(c.stream),
    }
}
