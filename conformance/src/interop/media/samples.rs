//! Where samples come from and who decodes them: FFmpeg (`conformance/interop/media/samples.py`)
//! for frames, GStreamer for packets.

use super::codec::Codec;
use super::tracks::{Form, pieces};
use crate::interop::stacks;
use crate::sys;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How long a program may take, in seconds.
const LIMIT: &str = "60";

/// GStreamer's elements for a codec; it has none for AV1, whose packets FFmpeg makes.
struct Elements {
    codec: &'static str,
    /// From raw media to packets.
    pay: &'static str,
    /// What the packets are.
    caps: &'static str,
    /// From packets to raw media.
    depay: &'static str,
}

const ELEMENTS: [Elements; 9] = [
    Elements {
        codec: "VP8",
        pay: "vp8enc deadline=1 cpu-used=8 target-bitrate=1500000 keyframe-max-dist=20 ! \
              rtpvp8pay picture-id-mode=15-bit mtu=1200",
        caps: "clock-rate=90000,encoding-name=VP8",
        depay: "rtpvp8depay ! vp8dec",
    },
    Elements {
        codec: "VP9",
        pay: "vp9enc deadline=1 cpu-used=8 lag-in-frames=0 target-bitrate=1500000 \
              keyframe-max-dist=20 ! rtpvp9pay picture-id-mode=15-bit mtu=1200",
        caps: "clock-rate=90000,encoding-name=VP9",
        depay: "rtpvp9depay ! vp9dec",
    },
    Elements {
        codec: "H264",
        pay: "x264enc key-int-max=20 bitrate=1500 tune=zerolatency speed-preset=ultrafast ! \
              rtph264pay aggregate-mode=zero-latency config-interval=-1 mtu=1200",
        caps: "clock-rate=90000,encoding-name=H264",
        depay: "rtph264depay ! h264parse ! avdec_h264",
    },
    Elements {
        codec: "H265",
        pay: "x265enc key-int-max=20 bitrate=1500 tune=zerolatency speed-preset=ultrafast ! \
              h265parse ! rtph265pay aggregate-mode=zero-latency config-interval=-1 mtu=1200",
        caps: "clock-rate=90000,encoding-name=H265",
        depay: "rtph265depay ! h265parse ! avdec_h265",
    },
    Elements {
        codec: "opus",
        pay: "opusenc ! rtpopuspay",
        caps: "clock-rate=48000,encoding-name=OPUS",
        depay: "rtpopusdepay ! opusdec",
    },
    Elements {
        codec: "MP4A-LATM",
        pay: "avenc_aac ! aacparse ! rtpmp4apay",
        caps: "clock-rate=48000,encoding-name=MP4A-LATM,cpresent=(string)0,config=(string)40002310",
        depay: "rtpmp4adepay ! aacparse ! avdec_aac",
    },
    Elements {
        codec: "PCMU",
        pay: "mulawenc ! rtppcmupay max-ptime=20000000",
        caps: "clock-rate=8000,encoding-name=PCMU",
        depay: "rtppcmudepay ! mulawdec",
    },
    Elements {
        codec: "PCMA",
        pay: "alawenc ! rtppcmapay max-ptime=20000000",
        caps: "clock-rate=8000,encoding-name=PCMA",
        depay: "rtppcmadepay ! alawdec",
    },
    Elements {
        codec: "G722",
        pay: "avenc_g722 ! rtpg722pay max-ptime=20000000",
        caps: "clock-rate=8000,encoding-name=G722",
        depay: "rtpg722depay ! avdec_g722",
    },
];

impl Elements {
    fn of(codec: &Codec) -> Option<&'static Self> {
        ELEMENTS.iter().find(|elements| elements.codec == codec.name)
    }

    /// The pipeline from raw media to a file of packets.
    fn packing(&self, codec: &Codec, from: &Path, to: &Path) -> String {
        let parse = match codec.is_video {
            true => "rawvideoparse width=320 height=240 format=i420 framerate=30/1",
            false => {
                "rawaudioparse sample-rate=48000 num-channels=1 pcm-format=s16le ! \
                 audioconvert ! audioresample"
            }
        };
        format!(
            "filesrc location={} ! {parse} ! {} pt={} ! rtpstreampay ! filesink location={}",
            from.display(),
            self.pay,
            codec.payload_type,
            to.display(),
        )
    }

    /// The pipeline from a file of packets to raw media.
    fn unpacking(&self, codec: &Codec, from: &Path, to: &Path) -> String {
        let (kind, caps, payload_type) = (codec.kind(), self.caps, codec.payload_type);
        let convert = match codec.is_video {
            true => "videoconvert ! video/x-raw,format=I420,width=320,height=240",
            false => {
                "audioconvert ! audioresample ! audio/x-raw,format=S16LE,channels=1,rate=48000"
            }
        };
        format!(
            "filesrc location={} ! application/x-rtp-stream,media={kind},{caps},\
             payload={payload_type} ! rtpstreamdepay ! {} ! {convert} ! filesink location={}",
            from.display(),
            self.depay,
            to.display(),
        )
    }
}

/// The samples of a run, made when they are first asked for; they go with it.
pub(in crate::interop) struct Samples {
    pub(super) directory: PathBuf,
}

impl Samples {
    /// Makes what is to be encoded, or tells what is not installed.
    pub(in crate::interop) fn new() -> Result<Self, String> {
        stacks::runs(python().args(["-c", "import av"]), "av (PyPI)")?;
        let directory = std::env::temp_dir().join(format!("media-{}", std::process::id()));
        fs::create_dir_all(&directory).map_err(|error| format!("{directory:?}: {error}"))?;
        script(&["raw", &text(&directory)])?;
        Ok(Self { directory })
    }

    /// What would be needed for packets of a codec and is not installed.
    pub(super) fn missing(codec: &Codec) -> Option<String> {
        let elements = Elements::of(codec)?;
        let all = format!(
            "rawvideoparse ! rawaudioparse ! rtpstreampay ! rtpstreamdepay ! {} ! {}",
            elements.pay, elements.depay
        );
        let missing =
            all.split('!').filter_map(|part| part.split_whitespace().next()).find(|name| {
                let found = Command::new("gst-inspect-1.0").args(["--exists", name]).output();
                !found.is_ok_and(|output| output.status.success())
            });
        missing.map(|name| format!("GStreamer has no {name}"))
    }

    /// Makes the samples of a codec.
    pub(super) fn make(&self, codec: &Codec, form: Form) -> Result<(), String> {
        let file = form.file(&self.directory, codec);
        if file.exists() {
            return Ok(());
        }
        let raw = if codec.is_video { "pictures.i420" } else { "tone.s16" };
        let result = match (form, Elements::of(codec)) {
            (Form::Packets, Some(elements)) => {
                gstreamer(&elements.packing(codec, &self.directory.join(raw), &file))
            }
            (form, _) => script(&[form.name(), codec.name, &text(&file)]),
        };
        // What was begun is not to be taken for the whole by the next one.
        result.inspect_err(|_| drop(fs::remove_file(&file)))
    }

    /// Decodes what was kept in a directory; returns raw media: I420 of 320 × 240, or one channel
    /// of 16 bits at 48 kHz.
    pub(super) fn decode(codec: &Codec, form: Form, directory: &Path) -> Result<Vec<u8>, String> {
        let whole = whole(codec, form, directory)?;
        let raw = directory.join(format!("{}.raw", codec.name));
        let script = |action| script(&[action, codec.name, &text(&whole), &text(&raw)]);
        match (form, Elements::of(codec)) {
            (Form::Packets, Some(elements)) => {
                gstreamer(&elements.unpacking(codec, &whole, &raw))?;
            }
            (Form::Packets, None) => script("unpack")?,
            (Form::Frames, _) => script("decode")?,
        }
        fs::read(&raw).map_err(|error| format!("{}: {error}", raw.display()))
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        // Nothing is left to be learnt from them.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A copy of what was kept so far: the agent goes on, and may be amid a sample.
fn whole(codec: &Codec, form: Form, directory: &Path) -> Result<PathBuf, String> {
    let file = form.file(directory, codec);
    let explain = |error: std::io::Error| format!("{}: {error}", file.display());
    let data = fs::read(&file).map_err(explain)?;
    let pieces = pieces(&data, form);
    let length = pieces.iter().map(|piece| piece.len() + form.width()).sum();
    let copy = file.with_extension("whole");
    fs::write(&copy, &data[..length]).map_err(explain)?;
    Ok(copy)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn python() -> Command {
    Command::new(stacks::installed().join("venv/bin/python"))
}

fn script(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("timeout");
    command.arg(LIMIT).arg(python().get_program());
    command.arg(stacks::scripts().join("media/samples.py")).args(arguments);
    sys::run(&mut command).map(drop)
}

fn gstreamer(pipeline: &str) -> Result<(), String> {
    let mut command = Command::new("timeout");
    command.args([LIMIT, "gst-launch-1.0", "-q"]).args(pipeline.split_whitespace());
    sys::run(&mut command).map(drop)
}
