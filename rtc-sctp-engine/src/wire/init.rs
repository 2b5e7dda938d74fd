//! INIT and INIT-ACK (RFC 9260 §3.3.2, §3.3.3).

use super::parameter::{Parameter, Parameters};
use super::{be16, be32, kind};

/// Parameter types of INIT and INIT-ACK.
pub(super) mod parameter {
    pub(crate) const STATE_COOKIE: u16 = 7;
    pub(crate) const UNRECOGNIZED: u16 = 8;
    pub(crate) const COOKIE_PRESERVATIVE: u16 = 9;
    pub(crate) const ZERO_CHECKSUM: u16 = 0x8001;
    pub(crate) const SUPPORTED_EXTENSIONS: u16 = 0x8008;
    pub(crate) const FORWARD_TSN_SUPPORTED: u16 = 0xC000;
}

/// The error detection method that stands for DTLS (RFC 9653 §8).
pub(super) const EDMID_DTLS: u32 = 1;

/// The fields INIT and INIT-ACK share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Init<'a> {
    pub(crate) initiate_tag: u32,
    pub(crate) window: u32,
    pub(crate) outbound_streams: u16,
    pub(crate) inbound_streams: u16,
    pub(crate) initial_tsn: u32,
    pub(crate) parameters: &'a [u8],
}

/// The extensions an endpoint declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// FORWARD-TSN (RFC 3758).
    pub(crate) forward_tsn: bool,
    /// RE-CONFIG (RFC 6525).
    pub(crate) reconfig: bool,
    /// I-DATA (RFC 8260).
    pub(crate) interleaving: bool,
    /// Packets with a zero checksum are accepted over DTLS (RFC 9653).
    pub(crate) zero_checksum: bool,
}

impl Capabilities {
    pub(crate) fn to_bits(self) -> u8 {
        u8::from(self.forward_tsn)
            | u8::from(self.reconfig) << 1
            | u8::from(self.interleaving) << 2
            | u8::from(self.zero_checksum) << 3
    }

    pub(crate) fn from_bits(bits: u8) -> Self {
        Self {
            forward_tsn: bits & 1 != 0,
            reconfig: bits & 2 != 0,
            interleaving: bits & 4 != 0,
            zero_checksum: bits & 8 != 0,
        }
    }
}

impl<'a> Init<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        Some(Self {
            initiate_tag: be32(value, 0)?,
            window: be32(value, 4)?,
            outbound_streams: be16(value, 8)?,
            inbound_streams: be16(value, 10)?,
            initial_tsn: be32(value, 12)?,
            parameters: value.get(16..)?,
        })
    }

    /// RFC 9260 §3.3.2: a zero tag or a zero stream count makes the chunk invalid.
    pub(crate) fn is_valid(&self) -> bool {
        self.initiate_tag != 0 && self.outbound_streams != 0 && self.inbound_streams != 0
    }

    pub(crate) fn cookie(&self) -> Option<&'a [u8]> {
        Parameters::new(self.parameters)
            .find(|p| p.kind == parameter::STATE_COOKIE)
            .map(|p| p.value)
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        let mut found = Capabilities::default();
        for p in Parameters::new(self.parameters) {
            match p.kind {
                parameter::FORWARD_TSN_SUPPORTED => found.forward_tsn = true,
                parameter::ZERO_CHECKSUM => {
                    found.zero_checksum |= be32(p.value, 0) == Some(EDMID_DTLS);
                }
                parameter::SUPPORTED_EXTENSIONS => {
                    found.forward_tsn |= p.value.contains(&kind::FORWARD_TSN);
                    found.reconfig |= p.value.contains(&kind::RECONFIG);
                    found.interleaving |= p.value.contains(&kind::I_DATA);
                }
                _ => {}
            }
        }
        found
    }
}

/// The parameters that must be reported back (RFC 9260 §3.2.1), up to the first unknown one that
/// says to stop.
pub(crate) fn unrecognized_parameters<'a>(
    init: &Init<'a>,
) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
    let mut stopped = false;
    Parameters::new(init.parameters)
        .take_while(move |p| {
            let go_on = !stopped;
            stopped |= !is_known(p.kind) && p.kind & 0x8000 == 0;
            go_on
        })
        .filter(|p| !is_known(p.kind) && p.kind & 0x4000 != 0)
}

fn is_known(kind: u16) -> bool {
    // Addresses (5, 6, 11, 12) and the parameters of AUTH and ASCONF (0x8002..0x8004, 0xC006) mean
    // nothing inside DTLS, but they are no errors either: SCTP stacks for IP send them.
    matches!(kind, 5 | 6 | 11 | 12 | 0x8000 | 0x8002..=0x8004 | 0xC006)
        || matches!(
            kind,
            parameter::STATE_COOKIE
                | parameter::UNRECOGNIZED
                | parameter::COOKIE_PRESERVATIVE
                | parameter::ZERO_CHECKSUM
                | parameter::SUPPORTED_EXTENSIONS
                | parameter::FORWARD_TSN_SUPPORTED
        )
}
