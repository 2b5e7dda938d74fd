//! RE-CONFIG parameters (RFC 6525 §4).

use super::parameter::Parameters;
use super::{be16, be32};

pub(super) const OUTGOING_RESET: u16 = 13;
const INCOMING_RESET: u16 = 14;
const TSN_RESET: u16 = 15;
pub(super) const RESPONSE: u16 = 16;
const ADD_OUTGOING: u16 = 17;
const ADD_INCOMING: u16 = 18;

/// Stream ids as written in a reset request. An empty list means all streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamList<'a>(&'a [u8]);

impl<'a> StreamList<'a> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.0.chunks_exact(2).filter_map(|id| be16(id, 0))
    }

    pub(crate) fn is_all(&self) -> bool {
        self.0.len() < 2
    }
}

/// One parameter of a RE-CONFIG chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reconfig<'a> {
    /// The peer resets its outgoing streams.
    OutgoingReset { request: u32, last_tsn: u32, streams: StreamList<'a> },
    /// The peer asks us to reset ours.
    IncomingReset { request: u32, streams: StreamList<'a> },
    /// A request of a kind WebRTC does not use.
    Other { request: u32 },
    /// The answer to a request of ours.
    Response { request: u32, result: u32 },
}

/// Results of a request (RFC 6525 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetResult {
    NothingToDo,
    Performed,
    Denied,
    /// Another request has to come to its end first.
    OtherInProgress,
    BadSequenceNumber,
    InProgress,
}

impl ResetResult {
    pub(crate) fn code(self) -> u32 {
        match self {
            ResetResult::NothingToDo => 0,
            ResetResult::Performed => 1,
            ResetResult::Denied => 2,
            ResetResult::OtherInProgress => 4,
            ResetResult::BadSequenceNumber => 5,
            ResetResult::InProgress => 6,
        }
    }

    /// Codes that say no, known or not, count as denial.
    pub(crate) fn from_code(code: u32) -> Self {
        match code {
            0 => ResetResult::NothingToDo,
            1 => ResetResult::Performed,
            4 => ResetResult::OtherInProgress,
            5 => ResetResult::BadSequenceNumber,
            6 => ResetResult::InProgress,
            _ => ResetResult::Denied,
        }
    }
}

impl<'a> Reconfig<'a> {
    /// The parameters of a RE-CONFIG chunk: at most two may be in one (RFC 6525 §3.1).
    pub(crate) fn parse_all(value: &'a [u8]) -> impl Iterator<Item = Reconfig<'a>> {
        Parameters::new(value).take(2).filter_map(|p| {
            let v = p.value;
            match p.kind {
                OUTGOING_RESET => Some(Reconfig::OutgoingReset {
                    request: be32(v, 0)?,
                    last_tsn: be32(v, 8)?,
                    streams: StreamList(v.get(12..)?),
                }),
                INCOMING_RESET => Some(Reconfig::IncomingReset {
                    request: be32(v, 0)?,
                    streams: StreamList(v.get(4..)?),
                }),
                TSN_RESET | ADD_OUTGOING | ADD_INCOMING => {
                    Some(Reconfig::Other { request: be32(v, 0)? })
                }
                RESPONSE => Some(Reconfig::Response { request: be32(v, 0)?, result: be32(v, 4)? }),
                _ => None,
            }
        })
    }
}
