//! What two agents are led through, whoever they are.

use super::agent::Agent;
use super::link::Link;
use super::stacks::Limits;
use crate::sdp;
use serde_json::{Value, json};
use std::time::Instant;

/// Bytes each side sends in messages of `STEP` bytes, or of what the other side takes.
const VOLUME: usize = 1 << 20;
const STEP: usize = 64 * 1024;

/// What RFC 8841, section 6.1 takes for granted where no maximum is announced, in bytes.
const UNANNOUNCED: usize = 64 * 1024;

const TEXTS: [&str; 3] = ["Grüße, κόσμε 🌍", "", "x"];

/// Runs it all and tells how long the connection took. With `snap`, both sides have to signal what
/// a handshake of SCTP would tell.
pub(super) fn run(
    offerer: &mut Agent,
    answerer: &mut Agent,
    limits: Limits,
    snap: bool,
    link: &mut Option<Link>,
) -> Result<String, String> {
    let agreed = negotiate(offerer, answerer, link)?;
    if snap && !agreed.signaled {
        return Err("no a=sctp-init on both sides: a handshake of SCTP follows".into());
    }
    let largest = agreed.largest.min(limits.largest);
    let limits = Limits { largest, ..limits };
    opened(offerer, "first")?;
    opened(answerer, "first")?;
    let connected = agreed.begun.elapsed();
    texts(offerer, answerer, limits)?;
    texts(answerer, offerer, limits)?;
    binaries(offerer, answerer, limits)?;
    second_channel(offerer, answerer)?;
    third_channel(offerer, answerer)?;
    offerer.tell(&json!({ "do": "close" }))?;
    if limits.told {
        answerer.expect_on("channel-closed", "first")?;
    }
    let how = if agreed.signaled { "without a handshake of SCTP" } else { "with one" };
    Ok(format!("open after {} ms {how}, messages up to {largest} bytes", connected.as_millis()))
}

struct Agreed {
    /// The largest message both sides take, in bytes.
    largest: usize,
    /// Each side has the other's `a=sctp-init`.
    signaled: bool,
    /// When the answer was delivered.
    begun: Instant,
}

/// Exchanges complete descriptions.
fn negotiate(
    offerer: &mut Agent,
    answerer: &mut Agent,
    link: &mut Option<Link>,
) -> Result<Agreed, String> {
    offerer.tell(&json!({ "do": "offer", "label": "first" }))?;
    let mut offer = offerer.description("offer")?;
    if let Some(link) = link {
        offer = link.offer(&offer)?;
    }
    answerer.tell(&json!({ "do": "answer", "sdp": offer }))?;
    let mut answer = answerer.description("answer")?;
    if let Some(link) = link {
        answer = link.answer(&answer)?;
    }
    let inits = [&offer, &answer].map(|text| sdp::attribute(text, "sctp-init"));
    let signaled = inits[0].is_some() && inits[1].is_some() && inits[0] != inits[1];
    if inits[0].is_some() && answerer.is_own() && !signaled {
        return Err(format!("the answer has a=sctp-init {:?} to {:?}", inits[1], inits[0]));
    }
    offerer.tell(&json!({ "do": "accept", "sdp": answer }))?;
    let limit = announced(&offer)?.min(announced(&answer)?);
    Ok(Agreed { largest: limit, signaled, begun: Instant::now() })
}

/// The largest message a side takes, in bytes; 0 stands for any.
fn announced(sdp: &str) -> Result<usize, String> {
    let Some(size) = sdp::attribute(sdp, "max-message-size") else { return Ok(UNANNOUNCED) };
    match size.trim().parse() {
        Ok(0) => Ok(usize::MAX),
        Ok(size) => Ok(size),
        Err(error) => Err(format!("a=max-message-size:{size}: {error}")),
    }
}

fn opened(agent: &mut Agent, label: &str) -> Result<Value, String> {
    agent.expect_on("open", label)
}

fn same(what: &str, actual: &Value, expected: &Value) -> Result<(), String> {
    if actual == expected { Ok(()) } else { Err(format!("{what}: {actual}, expected {expected}")) }
}

fn texts(from: &mut Agent, to: &mut Agent, limits: Limits) -> Result<(), String> {
    let texts = || TEXTS.into_iter().filter(|text| limits.empty || !text.is_empty());
    for text in texts() {
        from.tell(&json!({ "do": "text", "label": "first", "text": text }))?;
    }
    for text in texts() {
        let event = to.expect_on("text", "first")?;
        same("text", &event["text"], &json!(text))?;
    }
    Ok(())
}

/// Both directions at once: small ones, the volume, and one of the largest size.
fn binaries(offerer: &mut Agent, answerer: &mut Agent, limits: Limits) -> Result<(), String> {
    let step = STEP.min(limits.largest);
    let mut sizes = if limits.empty { vec![0] } else { vec![] };
    sizes.extend([1, 1200, 16 * 1024 + 1]);
    sizes.extend(std::iter::repeat_n(step, VOLUME.div_ceil(step)));
    if limits.largest > step && limits.largest <= VOLUME {
        sizes.push(limits.largest);
    }
    for (number, size) in sizes.iter().enumerate() {
        let message = json!({ "do": "binary", "label": "first", "size": size, "number": number });
        offerer.tell(&message)?;
        answerer.tell(&message)?;
    }
    for agent in [offerer, answerer] {
        for (number, size) in sizes.iter().enumerate() {
            let event = agent.expect_on("binary", "first")?;
            same(&format!("size of message {number}"), &event["size"], &json!(size))?;
            let crc = json!(crc32(&pattern(*size, number)));
            same(&format!("CRC of message {number} ({size} bytes)"), &event["crc"], &crc)?;
        }
    }
    Ok(())
}

/// Opened by the answering side, with settings; closed by the offering side.
fn second_channel(offerer: &mut Agent, answerer: &mut Agent) -> Result<(), String> {
    answerer.tell(&json!({
        "do": "open", "label": "second", "protocol": "chat", "ordered": false, "retransmits": 3,
    }))?;
    opened(answerer, "second")?;
    let event = opened(offerer, "second")?;
    same("protocol", &event["protocol"], &json!("chat"))?;
    same("ordered", &event["ordered"], &json!(false))?;
    same("retransmits", &event["retransmits"], &json!(3))?;
    exchange(offerer, answerer, "second")?;
    close_channel(offerer, answerer, "second")
}

/// Opened by the offering side once another channel has gone; closed by the answering side.
fn third_channel(offerer: &mut Agent, answerer: &mut Agent) -> Result<(), String> {
    offerer.tell(&json!({ "do": "open", "label": "third" }))?;
    opened(offerer, "third")?;
    let event = opened(answerer, "third")?;
    same("ordered", &event["ordered"], &json!(true))?;
    same("retransmits", &event["retransmits"], &Value::Null)?;
    exchange(offerer, answerer, "third")?;
    close_channel(answerer, offerer, "third")
}

fn exchange(one: &mut Agent, other: &mut Agent, label: &str) -> Result<(), String> {
    one.tell(&json!({ "do": "text", "label": label, "text": "to" }))?;
    same("text", &other.expect_on("text", label)?["text"], &json!("to"))?;
    other.tell(&json!({ "do": "text", "label": label, "text": "fro" }))?;
    same("text", &one.expect_on("text", label)?["text"], &json!("fro"))
}

fn close_channel(by: &mut Agent, to: &mut Agent, label: &str) -> Result<(), String> {
    by.tell(&json!({ "do": "close-channel", "label": label }))?;
    to.expect_on("channel-closed", label)?;
    by.expect_on("channel-closed", label)?;
    Ok(())
}

/// The bytes of the `number`th binary message, as every agent makes them.
pub(crate) fn pattern(size: usize, number: usize) -> Vec<u8> {
    (0..size).map(|at| (at + (at >> 8) + number) as u8).collect()
}

/// CRC-32 as of zlib.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_zlib() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn sizes_are_read_as_rfc_8841_says() {
        assert_eq!(announced("a=max-message-size:262144\r\n"), Ok(262_144));
        assert_eq!(announced("a=max-message-size:0\r\n"), Ok(usize::MAX));
        assert_eq!(announced("a=mid:0\r\n"), Ok(65_536));
        assert!(announced("a=max-message-size:many\r\n").is_err());
    }
}
