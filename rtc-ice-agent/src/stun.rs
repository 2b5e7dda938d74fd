//! The STUN messages of connectivity checks (RFC 8489; RFC 8445 §7.1), over the `stun-types` codec.

use std::net::SocketAddr;

use rtc_core::backend::IceRole;
use stun_types::attribute::{
    AttributeType, ErrorCode, RawAttribute, UnknownAttributes, Username, XorMappedAddress,
};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageType, MessageWrite,
    MessageWriteExt, MessageWriteVec, ShortTermCredentials,
};

pub(crate) use stun_types::message::TransactionId;

/// Role conflict (RFC 8445 §7.3.1.1).
pub(crate) const ROLE_CONFLICT: u16 = 487;
/// Bad request (RFC 8489 §14.8).
pub(crate) const BAD_REQUEST: u16 = 400;
/// Unknown attribute (RFC 8489 §14.8).
const UNKNOWN_ATTRIBUTE: u16 = 420;

const HEADER_LENGTH: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802A;

/// Attributes of a request that a peer may require us to understand.
const KNOWN_IN_REQUESTS: [u16; 5] =
    [USERNAME, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, PRIORITY, USE_CANDIDATE];

/// Most attributes that a message may have; checks have seven.
const MAX_ATTRIBUTES: usize = 32;

/// Tells STUN from everything else on the socket by the first byte (RFC 7983 §7).
pub(crate) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|&first| first <= 3)
}

/// The key of MESSAGE-INTEGRITY for one password (RFC 8489 §9.1.1).
pub(crate) struct Key(IntegrityKey);

impl Key {
    pub(crate) fn new(password: &str) -> Self {
        Self(ShortTermCredentials::new(password.to_owned()).make_key())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// What a received message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// A received Binding message whose framing, and FINGERPRINT if it has one, are right. Nothing is
/// known about its sender before [`Binding::verify`].
pub(crate) struct Binding<'a> {
    message: Message<'a>,
}

impl<'a> Binding<'a> {
    pub(crate) fn decode(datagram: &'a [u8]) -> Option<Self> {
        if !is_framed(datagram) {
            return None;
        }
        let message = Message::from_bytes(datagram).ok()?;
        (message.method() == BINDING).then_some(Self { message })
    }

    pub(crate) fn class(&self) -> Class {
        match self.message.class() {
            MessageClass::Request => Class::Request,
            MessageClass::Indication => Class::Indication,
            MessageClass::Success => Class::Success,
            MessageClass::Error => Class::Error,
        }
    }

    pub(crate) fn transaction_id(&self) -> TransactionId {
        self.message.transaction_id()
    }

    /// Checks MESSAGE-INTEGRITY in constant time.
    pub(crate) fn verify(&self, key: &Key) -> bool {
        self.message.validate_integrity_with_key(&key.0).is_ok()
    }

    /// The two fragments of USERNAME: the receiver's and the sender's.
    pub(crate) fn username(&self) -> Option<(String, String)> {
        let username = self.message.attribute::<Username>().ok()?;
        let (receiver, sender) = username.username().split_once(':')?;
        Some((receiver.to_owned(), sender.to_owned()))
    }

    pub(crate) fn priority(&self) -> Option<u32> {
        self.fixed(PRIORITY).map(u32::from_be_bytes)
    }

    pub(crate) fn use_candidate(&self) -> bool {
        self.message.has_attribute(AttributeType::new(USE_CANDIDATE))
    }

    /// The sender's role and tie-breaker; `Err` when it claims both roles.
    pub(crate) fn role(&self) -> Result<Option<(IceRole, u64)>, ()> {
        let controlling = self.fixed(ICE_CONTROLLING).map(u64::from_be_bytes);
        let controlled = self.fixed(ICE_CONTROLLED).map(u64::from_be_bytes);
        match (controlling, controlled) {
            (Some(_), Some(_)) => Err(()),
            (Some(tie_breaker), None) => Ok(Some((IceRole::Controlling, tie_breaker))),
            (None, Some(tie_breaker)) => Ok(Some((IceRole::Controlled, tie_breaker))),
            (None, None) => Ok(None),
        }
    }

    pub(crate) fn mapped_address(&self) -> Option<SocketAddr> {
        let mapped = self.message.attribute::<XorMappedAddress>().ok()?;
        Some(mapped.addr(self.message.transaction_id()))
    }

    pub(crate) fn error_code(&self) -> Option<u16> {
        self.message.attribute::<ErrorCode>().ok().map(|error| error.code())
    }

    /// Attributes of a request that its sender requires to be understood and we do not know.
    pub(crate) fn unknown_attributes(&self) -> Vec<AttributeType> {
        self.message
            .iter_attributes()
            .map(|(_, attribute)| attribute.header.get_type())
            .filter(|kind| kind.comprehension_required())
            .filter(|kind| !KNOWN_IN_REQUESTS.contains(&kind.value()))
            .collect()
    }

    fn fixed<const N: usize>(&self, kind: u16) -> Option<[u8; N]> {
        let attribute = self.message.raw_attribute(AttributeType::new(kind))?;
        <[u8; N]>::try_from(&*attribute.value).ok()
    }
}

/// Whether the lengths of the header and of all attributes agree with the datagram, as RFC 8489 §5
/// and §14 require, and no attribute that ends a message occurs twice. The codec accepts more.
fn is_framed(datagram: &[u8]) -> bool {
    let Some((header, mut rest)) = datagram.split_at_checked(HEADER_LENGTH) else { return false };
    let [kind, _, length_high, length_low, cookie @ ..] = header else { return false };
    let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
    if kind & 0xC0 != 0 || !cookie.starts_with(&MAGIC_COOKIE) || length != rest.len() {
        return false;
    }
    let mut endings = Vec::new();
    for _ in 0..MAX_ATTRIBUTES {
        let Some((head, tail)) = rest.split_first_chunk::<4>() else { return rest.is_empty() };
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some((_, next)) = tail.split_at_checked(length.next_multiple_of(4)) else {
            return false;
        };
        if [MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, FINGERPRINT].contains(&kind) {
            if endings.contains(&kind) {
                return false;
            }
            endings.push(kind);
        }
        rest = next;
    }
    rest.is_empty()
}

/// A connectivity or consent check (RFC 8445 §7.1; RFC 7675 §5.1).
pub(crate) struct Check<'a> {
    pub(crate) id: TransactionId,
    /// The receiver's and our user name fragment.
    pub(crate) username: (&'a str, &'a str),
    pub(crate) priority: u32,
    pub(crate) role: IceRole,
    pub(crate) tie_breaker: u64,
    pub(crate) use_candidate: bool,
}

impl Check<'_> {
    /// The message, or `None` if the user name is too long for STUN.
    pub(crate) fn encode(&self, key: &Key) -> Option<Vec<u8>> {
        let mut message = writer(MessageClass::Request, self.id);
        let username = Username::new(&format!("{}:{}", self.username.0, self.username.1)).ok()?;
        message.add_attribute(&username).ok()?;
        add_raw(&mut message, PRIORITY, &self.priority.to_be_bytes())?;
        let role = match self.role {
            IceRole::Controlling => ICE_CONTROLLING,
            IceRole::Controlled => ICE_CONTROLLED,
        };
        add_raw(&mut message, role, &self.tie_breaker.to_be_bytes())?;
        if self.use_candidate {
            add_raw(&mut message, USE_CANDIDATE, &[])?;
        }
        finish(message, Some(key))
    }
}

/// A Binding request to a STUN server, without credentials.
pub(crate) fn server_request(id: TransactionId) -> Option<Vec<u8>> {
    finish(writer(MessageClass::Request, id), None)
}

/// The answer to a check: the address it came from.
pub(crate) fn success(id: TransactionId, source: SocketAddr, key: &Key) -> Option<Vec<u8>> {
    let mut message = writer(MessageClass::Success, id);
    message.add_attribute(&XorMappedAddress::new(source, id)).ok()?;
    finish(message, Some(key))
}

/// An error answer to an authenticated check.
pub(crate) fn error(id: TransactionId, code: u16, key: &Key) -> Option<Vec<u8>> {
    let mut message = writer(MessageClass::Error, id);
    let reason = ErrorCode::default_reason_for_code(code);
    message.add_attribute(&ErrorCode::new(code, reason).ok()?).ok()?;
    finish(message, Some(key))
}

/// The answer to an authenticated check with attributes that we do not know.
pub(crate) fn unknown(
    id: TransactionId,
    attributes: &[AttributeType],
    key: &Key,
) -> Option<Vec<u8>> {
    let mut message = writer(MessageClass::Error, id);
    message.add_attribute(&ErrorCode::new(UNKNOWN_ATTRIBUTE, "Unknown Attribute").ok()?).ok()?;
    message.add_attribute(&UnknownAttributes::new(attributes)).ok()?;
    finish(message, Some(key))
}

fn writer(class: MessageClass, id: TransactionId) -> MessageWriteVec {
    let kind = MessageType::from_class_method(class, BINDING);
    Message::builder(kind, id, MessageWriteVec::with_capacity(128))
}

fn add_raw(message: &mut MessageWriteVec, kind: u16, value: &[u8]) -> Option<()> {
    message.add_attribute(&RawAttribute::new(AttributeType::new(kind), value)).ok()
}

fn finish(mut message: MessageWriteVec, key: Option<&Key>) -> Option<Vec<u8>> {
    if let Some(key) = key {
        message.add_message_integrity_with_key(&key.0, IntegrityAlgorithm::Sha1).ok()?;
    }
    message.add_fingerprint().ok()?;
    Some(message.finish())
}

/// What a STUN server answers.
#[cfg(test)]
pub(crate) fn server_answer(id: TransactionId, source: SocketAddr) -> Vec<u8> {
    let mut message = writer(MessageClass::Success, id);
    message.add_attribute(&XorMappedAddress::new(source, id)).expect("it fits");
    finish(message, None).expect("it fits")
}
