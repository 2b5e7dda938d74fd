//! STUN messages whose integrity is right (RFC 8489), of one who knows the password.

use std::net::SocketAddr;

use hmac::{Hmac, Mac};
use sha1::Sha1;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;
/// Bytes of a MESSAGE-INTEGRITY attribute with its header.
const INTEGRITY: usize = 24;

/// Appends an attribute.
pub fn attribute(attributes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    attributes.extend(kind.to_be_bytes());
    attributes.extend((value.len() as u16).to_be_bytes());
    attributes.extend(value);
    attributes.resize(attributes.len().next_multiple_of(4), 0);
}

/// An address as XOR-MAPPED-ADDRESS and its like have it. IPv6 addresses are left incomplete.
pub fn xor_address(address: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(address) = address else { return vec![0, 2, 0, 0] };
    let port = (address.port() ^ 0x2112).to_be_bytes();
    let [a, b, c, d] = address.ip().octets();
    vec![0, 1, port[0], port[1], a ^ COOKIE[0], b ^ COOKIE[1], c ^ COOKIE[2], d ^ COOKIE[3]]
}

/// A message with MESSAGE-INTEGRITY.
pub fn message(kind: u16, id: [u8; 12], attributes: &[u8], key: &[u8]) -> Vec<u8> {
    let mut datagram = header(kind, id, attributes.len() + INTEGRITY);
    datagram.extend(attributes);
    let mut hmac = Hmac::<Sha1>::new_from_slice(key).expect("any length will do");
    hmac.update(&datagram);
    let tag = hmac.finalize().into_bytes();
    attribute(&mut datagram, 0x0008, &tag);
    datagram
}

/// A message without MESSAGE-INTEGRITY.
pub fn plain_message(kind: u16, id: [u8; 12], attributes: &[u8]) -> Vec<u8> {
    let mut datagram = header(kind, id, attributes.len());
    datagram.extend(attributes);
    datagram
}

fn header(kind: u16, id: [u8; 12], length: usize) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(HEADER + length);
    datagram.extend(kind.to_be_bytes());
    datagram.extend((length as u16).to_be_bytes());
    datagram.extend(COOKIE);
    datagram.extend(id);
    datagram
}
