//! The tracks of an agent of ours: each sends samples from a file over and over, and keeps what
//! arrives in another one.

use super::codec::Codec;
use crate::ffi::*;
use crate::inbox::{Event, Inbox, PATIENCE, Recorded};
use crate::interop::own::report;
use crate::peer::{Channel, Peer};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::c_int;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// After how many frames of a kind the agent tells how many there are.
const TOLD: usize = 10;

/// Whether a library makes packets of frames and frames of packets, or hands packets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Frames,
    Packets,
}

impl Form {
    /// What the files of samples end in, and what commands call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::Frames => "frames",
            Form::Packets => "packets",
        }
    }

    /// The file of samples in a directory.
    pub(super) fn file(self, directory: &Path, codec: &Codec) -> PathBuf {
        directory.join(format!("{}.{}", codec.name, self.name()))
    }

    /// How many bytes tell the length of a piece in such a file: packets as in RFC 4571.
    pub(super) fn width(self) -> usize {
        match self {
            Form::Frames => 4,
            Form::Packets => 2,
        }
    }

    fn named(name: &str) -> Result<Self, String> {
        let found = [Form::Frames, Form::Packets].into_iter().find(|form| form.name() == name);
        found.ok_or(format!("no form of samples is called {name:?}"))
    }
}

/// What the tracks of an agent are told.
struct Order {
    codecs: [&'static Codec; 2],
    sends: Form,
    keeps: Form,
    /// Of the first stream; the second has the next one.
    ssrc: u32,
    /// Where the samples are, each in `CODEC.FORM`.
    from: PathBuf,
    /// Where to keep what comes.
    to: PathBuf,
}

impl Order {
    fn read(command: &Value, ssrc: u32) -> Result<Self, String> {
        let text = |name: &str| command[name].as_str().unwrap_or_default();
        Ok(Self {
            codecs: [Codec::named(text("video"))?, Codec::named(text("audio"))?],
            sends: Form::named(text("sends"))?,
            keeps: Form::named(text("keeps"))?,
            ssrc,
            from: PathBuf::from(text("from")),
            to: PathBuf::from(text("to")),
        })
    }

    fn ssrc(&self, codec: &Codec) -> u32 {
        if codec.is_video { self.ssrc } else { self.ssrc + 1 }
    }
}

/// What came on a track.
struct Kept {
    file: File,
    frames: usize,
    /// That of the last packet.
    timestamp: Option<u32>,
}

struct Track {
    codec: &'static Codec,
    payload_type: u8,
    order: Arc<Order>,
    kept: Mutex<Kept>,
}

/// The tracks of an agent by their identifiers.
#[derive(Clone, Default)]
pub(in crate::interop) struct Tracks(Arc<Mutex<HashMap<c_int, Arc<Track>>>>);

impl Tracks {
    fn map(&self) -> MutexGuard<'_, HashMap<c_int, Arc<Track>>> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Offers a section for each codec.
    pub(in crate::interop) fn offer(&self, peer: &Peer, command: &Value) -> Result<c_int, String> {
        let order = Arc::new(Order::read(command, 42)?);
        for codec in order.codecs {
            let section = codec.section(order.ssrc(codec));
            self.add(peer, codec, &section, codec.payload_type, &order)?;
        }
        Ok(peer.set_local("offer"))
    }

    /// Answers an offer of one section for each codec, with a stream of ours in each.
    pub(in crate::interop) fn answer(&self, peer: &Peer, command: &Value) -> Result<c_int, String> {
        let order = Arc::new(Order::read(command, 52)?);
        // The tracks they add are looked at only to be replaced by ours.
        peer.inbox.adopt(&[]);
        let code = peer.set_remote(command["sdp"].as_str().unwrap_or_default(), "offer");
        if code < OK {
            return Ok(code);
        }
        let offered = peer.inbox.wait_list("two tracks", PATIENCE, |events| {
            let ids = events.iter().filter_map(|recorded| match recorded.event {
                Event::Track(id) => Some(id),
                _ => None,
            });
            let ids: Vec<c_int> = ids.collect();
            (ids.len() >= order.codecs.len()).then_some(ids)
        });
        for id in offered {
            let text = peer.lib.string(Getter::TRACK_DESCRIPTION, id).map_err(code_name)?;
            let section = text.strip_prefix("m=").unwrap_or(&text);
            let codec = order.codecs.into_iter().find(|codec| section.starts_with(codec.kind()));
            let codec = codec.ok_or_else(|| format!("of no kind: {section}"))?;
            let payload_type = section.split_whitespace().nth(3).and_then(|pt| pt.parse().ok());
            let payload_type = payload_type.ok_or_else(|| format!("no payload: {section}"))?;
            let section = format!("{section}{}", codec.stream(order.ssrc(codec)));
            self.add(peer, codec, &section, payload_type, &order)?;
        }
        Ok(peer.set_local("answer"))
    }

    fn add(
        &self,
        peer: &Peer,
        codec: &'static Codec,
        section: &str,
        payload_type: u8,
        order: &Arc<Order>,
    ) -> Result<(), String> {
        let channel = peer.track(section);
        // It lives until the process ends.
        Channel::disown(&channel);
        let (lib, id) = (peer.lib, channel.id);
        let done = |what: &str, code: c_int| match code {
            OK => Ok(()),
            code => Err(format!("{what} for {}: {}", codec.name, code_name(code))),
        };
        if order.sends == Form::Frames {
            done("a packetizer", codec.packetize(lib, id, payload_type, order.ssrc(codec)))?;
            done("reports", lib.by_id(ById::CHAIN_SR_REPORTER, id))?;
            done("retransmission", lib.chain_nack_responder(id))?;
        }
        if order.keeps == Form::Frames {
            done("a depacketizer", codec.depacketize(lib, id))?;
            done("receiver reports", lib.by_id(ById::CHAIN_RECEIVING_SESSION, id))?;
        }
        let path = order.keeps.file(&order.to, codec);
        let file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let kept = Mutex::new(Kept { file, frames: 0, timestamp: None });
        let track = Track { codec, payload_type, order: order.clone(), kept };
        self.map().insert(id, Arc::new(track));
        Ok(())
    }

    /// Runs inside every callback; false where the event is of something else.
    pub(in crate::interop) fn take(&self, inbox: &Inbox, recorded: &Recorded) -> bool {
        let id = recorded.owner;
        let Some(track) = self.map().get(&id).cloned() else { return false };
        let result = match &recorded.event {
            Event::Open => track.play(inbox.lib, id),
            Event::Message(message) => track.keep(message.bytes()),
            Event::Error(text) => Err(text.clone()),
            _ => Ok(()),
        };
        if let Err(text) = result {
            let text = format!("track of {}: {text}", track.codec.name);
            report(json!({ "is": "error", "text": text }));
        }
        true
    }
}

impl Track {
    /// Sends the samples again and again, at their pace, until the track is closed.
    fn play(self: &Arc<Self>, lib: Lib, id: c_int) -> Result<(), String> {
        let path = self.order.sends.file(&self.order.from, self.codec);
        let data = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let samples = pieces(&data, self.order.sends);
        let frames = match self.order.sends {
            Form::Frames => samples.into_iter().map(|frame| vec![frame]).collect(),
            Form::Packets => by_timestamp(samples),
        };
        if frames.is_empty() {
            return Err(format!("{} is empty", path.display()));
        }
        let track = self.clone();
        let name = self.codec.name;
        std::thread::spawn(move || {
            let begun = Instant::now();
            let mut sequence = 0;
            for (number, frame) in (0u32..).zip(frames.iter().cycle()) {
                let due = begun
                    + track.codec.ticks * Duration::from_secs(1) * number / track.codec.clock_rate;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let code = track.send(lib, id, frame, number, &mut sequence);
                if code < OK {
                    if lib.test(Predicate::IS_OPEN, id) {
                        let text = format!("frame {number} of {name}: {}", code_name(code));
                        report(json!({ "is": "error", "text": text }));
                    }
                    return;
                }
            }
        });
        Ok(())
    }

    fn send(
        &self,
        lib: Lib,
        id: c_int,
        frame: &[Vec<u8>],
        number: u32,
        sequence: &mut u16,
    ) -> c_int {
        let timestamp = number.wrapping_mul(self.codec.ticks);
        if self.order.sends == Form::Frames {
            lib.set_timestamp(id, timestamp);
        }
        let mut code = OK;
        for piece in frame {
            let mut piece = piece.clone();
            if let (Form::Packets, Some(header)) = (self.order.sends, piece.get_mut(..12)) {
                header[1] = header[1] & 0x80 | self.payload_type;
                header[2..4].copy_from_slice(&sequence.to_be_bytes());
                header[4..8].copy_from_slice(&timestamp.to_be_bytes());
                header[8..12].copy_from_slice(&self.order.ssrc(self.codec).to_be_bytes());
                *sequence = sequence.wrapping_add(1);
            }
            code = lib.send_binary(id, &piece);
        }
        code
    }

    fn keep(&self, bytes: &[u8]) -> Result<(), String> {
        let mut kept = self.kept.lock().unwrap_or_else(|poison| poison.into_inner());
        let form = self.order.keeps;
        // RTCP comes on the same track.
        let is_rtcp = bytes.get(1).is_none_or(|kind| (192..=223).contains(kind));
        if form == Form::Packets && is_rtcp {
            return Ok(());
        }
        let length = (bytes.len() as u32).to_be_bytes();
        let written = kept.file.write_all(&[&length[4 - form.width()..], bytes].concat());
        written.map_err(|error| format!("what came cannot be kept: {error}"))?;
        let timestamp = timestamp(bytes);
        if form == Form::Packets && kept.timestamp == timestamp {
            return Ok(());
        }
        kept.timestamp = timestamp;
        kept.frames += 1;
        if kept.frames.is_multiple_of(TOLD) {
            let kind = self.codec.kind();
            report(json!({ "is": "kept", "kind": kind, "frames": kept.frames }));
        }
        Ok(())
    }
}

fn timestamp(packet: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(packet.get(4..8)?.try_into().ok()?))
}

/// The whole samples of a file.
pub(super) fn pieces(mut data: &[u8], form: Form) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = data.split_at_checked(form.width()) {
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let Some((piece, rest)) = rest.split_at_checked(length) else { break };
        found.push(piece.to_vec());
        data = rest;
    }
    found
}

/// The packets of each frame.
fn by_timestamp(packets: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    packets.chunk_by(|a, b| timestamp(a) == timestamp(b)).map(<[_]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_one_timestamp_are_a_frame() {
        let packet = |timestamp: u8, payload: u8| vec![0x80, 96, 0, 0, 0, 0, 0, timestamp, payload];
        let all = [packet(1, 1), packet(1, 2), packet(2, 3)];
        let file: Vec<u8> = all.iter().flat_map(|p| [&[0, 9][..], p].concat()).collect();
        let frames = by_timestamp(pieces(&file, Form::Packets));
        assert_eq!(frames, [all[..2].to_vec(), all[2..].to_vec()]);
        assert_eq!(pieces(&file[..20], Form::Packets).len(), 1, "the second is cut off");
    }
}
