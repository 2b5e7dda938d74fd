//! Tracks between the library and other stacks: each side sends a test pattern and a tone, encoded
//! while the test runs, and what came is decoded and looked at.

mod codec;
mod judge;
mod samples;
mod tracks;

pub(super) use samples::Samples;
pub(super) use tracks::Tracks;

use super::agent::Agent;
use super::stacks::STACKS;
use super::{Role, own};
use crate::backends::{self, Role as Backend};
use crate::ffi::Library;
use crate::lab::library_path;
use codec::Codec;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tracks::Form;

/// How many frames of each kind our side waits for.
const FRAMES: [(&str, u64); 2] = [("video", 60), ("audio", 60)];

/// How many pictures and how many seconds of sound have to come out of them. The first frames may
/// arrive before the keys are known; every twentieth picture is one to begin with.
const PICTURES: u64 = 35;
const SECONDS: f64 = 0.8;

/// Who is on the other side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    /// A stack that encodes and decodes itself.
    Stack(&'static str),
    /// GStreamer's payloaders and depayloaders; the library carries their packets.
    GStreamer,
    /// The packetizers of the library named by `RTC_PEER_LIB`; GStreamer takes apart what comes.
    Library,
}

impl Other {
    fn name(self) -> &'static str {
        match self {
            Other::Stack(name) => name,
            Other::GStreamer => "gstreamer",
            Other::Library => "libdatachannel",
        }
    }

    /// Whether an agent of ours is in its place, which carries what is encoded and decoded here.
    fn is_ours(self) -> bool {
        !matches!(self, Other::Stack(_))
    }

    /// What an agent of ours in its place sends, and what it keeps.
    fn forms(self) -> [Form; 2] {
        match self {
            Other::Stack(_) | Other::GStreamer => [Form::Packets; 2],
            Other::Library => [Form::Frames, Form::Packets],
        }
    }
}

/// Video and audio with somebody, both ways at once.
pub(super) struct Media {
    other: Other,
    video: &'static Codec,
    audio: &'static Codec,
    /// The TLS backend of our side, where the library has several.
    tls: Option<String>,
}

const PAIRS: [(Other, &str, &str); 16] = [
    (Other::Stack("chromium"), "VP8", "opus"),
    (Other::Stack("chromium"), "H264", "PCMU"),
    (Other::Stack("chromium"), "VP9", "G722"),
    (Other::Stack("chromium"), "AV1", "PCMA"),
    (Other::Stack("aiortc"), "VP8", "opus"),
    (Other::Stack("aiortc"), "H264", "PCMU"),
    (Other::GStreamer, "H264", "opus"),
    (Other::GStreamer, "H265", "MP4A-LATM"),
    (Other::GStreamer, "VP8", "PCMU"),
    (Other::GStreamer, "VP9", "PCMA"),
    (Other::GStreamer, "AV1", "G722"),
    (Other::Library, "H264", "opus"),
    (Other::Library, "H265", "MP4A-LATM"),
    (Other::Library, "AV1", "G722"),
    (Other::Library, "H264", "PCMU"),
    (Other::Library, "H264", "PCMA"),
];

/// Everybody with every TLS backend of the library.
pub(super) fn all() -> Result<Vec<Media>, String> {
    let mut found = Vec::new();
    for tls in tls_backends()? {
        for (other, video, audio) in PAIRS {
            let (video, audio) = (Codec::named(video)?, Codec::named(audio)?);
            found.push(Media { other, video, audio, tls: tls.clone() });
        }
    }
    Ok(found)
}

/// The TLS backends to be tried: one without a name where nothing is to be chosen.
fn tls_backends() -> Result<Vec<Option<String>>, String> {
    let Some(path) = library_path() else { return Ok(vec![None]) };
    let names = backends::names(Library::load(&path, false)?, Backend::Tls);
    let chosen = std::env::var_os(Backend::Tls.variable()).is_some();
    if chosen || names.len() < 2 {
        Ok(vec![None])
    } else {
        Ok(names.into_iter().map(Some).collect())
    }
}

impl Media {
    pub(super) fn name(&self) -> String {
        let Self { other, video, tls, .. } = self;
        let tls = tls.as_ref().map(|tls| format!("-{tls}")).unwrap_or_default();
        let (video, audio) = (video.name.to_lowercase(), self.audio.name.to_lowercase());
        format!("media+{}-{video}-{audio}{tls}", other.name())
    }

    pub(super) fn about(&self) -> String {
        let Self { other, video, audio, .. } = self;
        format!("{} and {} with {}, both ways", video.name, audio.name, other.name())
    }

    /// By `media`, with the other side behind a plus sign, or by its full name.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let with = format!("media+{}", self.other.name());
        name == "media" || name == with || name == self.name()
    }

    /// The command starting the other side, or why it cannot be started.
    pub(super) fn command(&self) -> Result<Command, String> {
        let library = library_path().ok_or("RTC_LIB names no library")?;
        if Library::load(&library, false)?.table.rtcSetVP8Depacketizer.is_none() {
            return Err("the library has no depacketizers".into());
        }
        if self.other.is_ours()
            && let Some(missing) = [self.video, self.audio].into_iter().find_map(Samples::missing)
        {
            return Err(missing);
        }
        match self.other {
            Other::Stack(name) => {
                let stack = STACKS.iter().find(|stack| stack.name == name);
                stack.ok_or(format!("no stack is called {name}"))?.command()
            }
            Other::GStreamer => own::command(None),
            Other::Library => {
                let library = std::env::var_os("RTC_PEER_LIB");
                let library = library.ok_or("RTC_PEER_LIB names no library")?;
                let table = &Library::load(Path::new(&library), false)?.table;
                if table.rtcSetH264Packetizer.is_none() {
                    return Err("the library named by RTC_PEER_LIB has no packetizers".into());
                }
                let mut command = own::command(None)?;
                command.env("RTC_LIB", library);
                Ok(command)
            }
        }
    }

    pub(super) fn connect(
        &self,
        role: Role,
        command: Command,
        directory: &Path,
        samples: &Samples,
    ) -> Result<String, String> {
        let [ours, theirs] = ["own", "peer"].map(|name| directory.join(name));
        for place in [&ours, &theirs] {
            std::fs::create_dir_all(place).map_err(|error| format!("{place:?}: {error}"))?;
        }
        let [sends, keeps] = self.other.forms();
        for codec in [self.video, self.audio] {
            samples.make(codec, Form::Frames)?;
            if self.other.is_ours() {
                samples.make(codec, sends)?;
            }
        }
        let mut own_command = own::command(None)?;
        if let Some(tls) = &self.tls {
            own_command.env(Backend::Tls.variable(), tls);
        }
        let mut own = Agent::start("own", own_command, directory)?;
        let mut other = Agent::start("peer", command, directory)?;
        let own_order = self.order(Form::Frames, Form::Frames, samples, &ours);
        let other_order = self.order(sends, keeps, samples, &theirs);
        let result = (|| {
            match role {
                Role::Offers => negotiate(&mut other, &other_order, &mut own, &own_order)?,
                Role::Answers => negotiate(&mut own, &own_order, &mut other, &other_order)?,
            }
            kept(&mut own)?;
            let exact = self.other.is_ours();
            if exact {
                kept(&mut other)?;
            }
            let came = self.judge(Form::Frames, &ours, exact)?;
            let went = match exact {
                true => self.judge(keeps, &theirs, true)?,
                false => shown(&mut other)?,
            };
            Ok(format!("to us {came}; from us {went}"))
        })();
        result.map_err(|reason: String| format!("{reason}\n{}\n{}", own.story(), other.story()))
    }

    /// What both commands of a negotiation carry; a stack of others looks at the codecs only.
    fn order(&self, sends: Form, keeps: Form, samples: &Samples, to: &Path) -> Value {
        json!({
            "video": self.video.name, "audio": self.audio.name,
            "sends": sends.name(), "keeps": keeps.name(),
            "from": samples.directory, "to": to,
        })
    }

    /// Decodes what an agent of ours has kept. In `exact` order where nothing between the encoder
    /// and us may leave a picture out.
    fn judge(&self, form: Form, directory: &Path, exact: bool) -> Result<String, String> {
        let pictures = judge::look(&Samples::decode(self.video, form, directory)?);
        let count = pictures.count as u64;
        // A lost datagram may cost a few.
        let in_order = !exact || pictures.in_order * 5 >= pictures.count * 4;
        if count < PICTURES || !in_order || !judge::is_green(pictures.colour) {
            return Err(format!("of {} came {pictures:?}", self.video.name));
        }
        let sound = judge::listen(&Samples::decode(self.audio, form, directory)?);
        if sound.seconds < SECONDS || !judge::is_tone(sound.tone) {
            return Err(format!("of {} came {sound:?}", self.audio.name));
        }
        Ok(format!("{count} pictures, {:.1} s of {:.0} Hz", sound.seconds, sound.tone))
    }
}

/// Exchanges complete descriptions.
fn negotiate(
    offerer: &mut Agent,
    offers: &Value,
    answerer: &mut Agent,
    answers: &Value,
) -> Result<(), String> {
    let command = |name: &str, order: &Value, sdp: Value| {
        let mut command = order.clone();
        command["do"] = json!(name);
        command["sdp"] = sdp;
        command
    };
    offerer.tell(&command("media-offer", offers, Value::Null))?;
    let offer = offerer.description("offer")?;
    answerer.tell(&command("media-answer", answers, json!(offer)))?;
    let answer = answerer.description("answer")?;
    offerer.tell(&json!({ "do": "accept", "sdp": answer }))
}

/// Waits until an agent of ours has kept enough.
fn kept(agent: &mut Agent) -> Result<(), String> {
    for (kind, count) in FRAMES {
        agent.expect(&format!("{count} frames of {kind}"), |event| {
            let enough = event["frames"].as_u64().is_some_and(|frames| frames >= count);
            event["is"] == "kept" && event["kind"] == kind && enough
        })?;
    }
    Ok(())
}

/// Waits until a stack shows and plays enough of what we send, and the right thing.
fn shown(agent: &mut Agent) -> Result<String, String> {
    let number = |event: &Value, name: &str| event[name].as_f64().unwrap_or_default();
    let colour =
        |event: &Value| [0, 1, 2].map(|at| event["colour"][at].as_f64().unwrap_or_default());
    let event = agent.expect("green pictures and the tone", |event| {
        event["is"] == "media"
            && number(event, "pictures") >= PICTURES as f64
            && number(event, "seconds") >= SECONDS
            && judge::is_green(colour(event))
            && judge::is_tone(number(event, "tone"))
    })?;
    let (count, seconds) = (number(&event, "pictures"), number(&event, "seconds"));
    Ok(format!("{count} pictures, {seconds:.1} s of {:.0} Hz", number(&event, "tone")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_meets_gstreamer() {
        let with = |name: &str| {
            PAIRS.iter().any(|(other, video, audio)| {
                *other == Other::GStreamer && [*video, *audio].contains(&name)
            })
        };
        assert!(Codec::all().iter().all(|codec| with(codec.name)));
    }
}
