//! Packetizers and depacketizers against GStreamer, with real encoded media.
//!
//! `cargo run -p rtc-media --example interop [-- CODEC…]`
//!
//! GStreamer encodes a test pattern and packetizes it; the depacketizer takes the frames out, the
//! packetizer makes packets of them again, with small fragments; GStreamer depacketizes and decodes
//! both streams of packets. What is decoded must be the same, and as much as was encoded. Files of
//! packets are framed as RFC 4571 has it. AV1, for which GStreamer 1.22 has no payloader, goes by
//! `rtp_files.py`, through FFmpeg.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rtc_media::handler::Depacketizing;
use rtc_media::packetizer::{NalSeparator, ObuPacketization, Options};
use rtc_media::rtp::Packet;
use rtc_media::{Chain, Codec, Message, Now, Output, RtpConfig};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Frames of video, and packets of audio with 20 ms each.
const FRAMES: usize = 60;
const VIDEO: &str = "videotestsrc num-buffers=60 pattern=snow ! \
    video/x-raw,format=I420,width=320,height=240,framerate=30/1";
const VIDEO_BYTES: usize = FRAMES * 320 * 240 * 3 / 2;

struct Case {
    codec: Codec,
    title: &'static str,
    /// Makes packets.
    source: String,
    /// The capabilities of the packets, and what makes raw media of them.
    caps: &'static str,
    sink: &'static str,
    /// Bytes of raw media to be expected at least.
    expected: usize,
}

fn cases() -> Vec<Case> {
    let video = |codec, title, encode: &str, caps, sink| Case {
        codec,
        title,
        source: format!("{VIDEO} ! {encode}"),
        caps,
        sink,
        expected: VIDEO_BYTES,
    };
    let audio = |codec, rate: u32, encode: &str, caps, sink, expected| Case {
        codec,
        title: "",
        source: format!(
            "audiotestsrc num-buffers={FRAMES} samplesperbuffer={} wave=ticks ! \
             audio/x-raw,rate={rate},channels=1 ! {encode}",
            rate / 50
        ),
        caps,
        sink,
        expected,
    };
    let h264 = "media=video,clock-rate=90000,encoding-name=H264";
    let h265 = "media=video,clock-rate=90000,encoding-name=H265";
    vec![
        video(
            Codec::H264,
            "with STAP-A",
            "x264enc key-int-max=20 bitrate=3000 tune=zerolatency ! \
             rtph264pay aggregate-mode=zero-latency config-interval=-1 mtu=1200",
            h264,
            "rtph264depay ! h264parse ! avdec_h264",
        ),
        video(
            Codec::H264,
            "of openh264, single units",
            "openh264enc bitrate=2000000 ! h264parse ! rtph264pay config-interval=-1 mtu=600",
            h264,
            "rtph264depay ! h264parse ! avdec_h264",
        ),
        video(
            Codec::H265,
            "with aggregation",
            "x265enc key-int-max=20 bitrate=3000 tune=zerolatency ! h265parse ! \
             rtph265pay aggregate-mode=zero-latency config-interval=-1 mtu=1200",
            h265,
            "rtph265depay ! h265parse ! avdec_h265",
        ),
        video(
            Codec::Vp8,
            "with picture identifiers",
            "vp8enc deadline=1 cpu-used=8 target-bitrate=3000000 keyframe-max-dist=20 ! \
             rtpvp8pay picture-id-mode=15-bit mtu=1200",
            "media=video,clock-rate=90000,encoding-name=VP8",
            "rtpvp8depay ! vp8dec",
        ),
        video(
            Codec::Vp9,
            "with structure",
            "vp9enc deadline=1000000 cpu-used=8 lag-in-frames=0 target-bitrate=2000000 keyframe-max-dist=20 ! \
             rtpvp9pay picture-id-mode=15-bit mtu=1200",
            "media=video,clock-rate=90000,encoding-name=VP9",
            "rtpvp9depay ! vp9dec",
        ),
        audio(
            Codec::Opus,
            48_000,
            "opusenc ! rtpopuspay",
            "media=audio,clock-rate=48000,encoding-name=OPUS",
            "rtpopusdepay ! opusdec ! audio/x-raw,channels=1",
            (FRAMES - 1) * 960 * 2,
        ),
        audio(
            Codec::Aac,
            48_000,
            "avenc_aac ! aacparse ! rtpmp4apay",
            "media=audio,clock-rate=48000,encoding-name=MP4A-LATM,cpresent=(string)0,\
             config=(string)40002310",
            "rtpmp4adepay ! aacparse ! avdec_aac",
            (FRAMES - 8) * 960 * 4,
        ),
        audio(
            Codec::Pcmu,
            8_000,
            "mulawenc ! rtppcmupay",
            "media=audio,clock-rate=8000,encoding-name=PCMU",
            "rtppcmudepay ! mulawdec",
            FRAMES * 160 * 2,
        ),
        audio(
            Codec::Pcma,
            8_000,
            "alawenc ! rtppcmapay",
            "media=audio,clock-rate=8000,encoding-name=PCMA",
            "rtppcmadepay ! alawdec",
            FRAMES * 160 * 2,
        ),
        audio(
            Codec::G722,
            16_000,
            "avenc_g722 ! rtpg722pay",
            "media=audio,clock-rate=8000,encoding-name=G722",
            "rtpg722depay ! avdec_g722",
            (FRAMES - 1) * 320 * 2,
        ),
    ]
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |codec: Codec| {
        wanted.is_empty() || wanted.iter().any(|name| Codec::from_name(name) == Some(codec))
    };
    let directory = std::env::temp_dir().join(format!("rtc-media-{}", std::process::id()));
    let (mut failed, mut skipped) = (0, 0);
    for case in cases().iter().filter(|case| is_wanted(case.codec)) {
        let title = format!("{} {}", case.codec.name(), case.title);
        if let Some(missing) = missing_element(case) {
            println!("skipped {title}: GStreamer has no {missing}");
            skipped += 1;
            continue;
        }
        match fs::create_dir_all(&directory)
            .map_err(Into::into)
            .and_then(|()| run(case, &directory))
        {
            Ok(summary) => println!("fine    {title}: {summary}"),
            Err(error) => {
                println!("FAILED  {title}: {error}");
                failed += 1;
            }
        }
    }
    if is_wanted(Codec::Av1) {
        match fs::create_dir_all(&directory).map_err(Into::into).and_then(|()| av1(&directory)) {
            Ok(Some(summary)) => println!("fine    AV1: {summary}"),
            Ok(None) => {
                println!("skipped AV1: needs `pip install av` with FFmpeg 8 in `python3`");
                skipped += 1;
            }
            Err(error) => {
                println!("FAILED  AV1: {error}");
                failed += 1;
            }
        }
    }
    println!("{failed} failed, {skipped} skipped");
    if failed == 0 {
        // What failed is left to be looked at.
        let _ = fs::remove_dir_all(&directory);
        ExitCode::SUCCESS
    } else {
        println!("the files are in {}", directory.display());
        ExitCode::FAILURE
    }
}

/// The first element of the pipelines that is not installed.
fn missing_element(case: &Case) -> Option<String> {
    let pipeline = format!("{} ! {}", case.source, case.sink);
    let elements = pipeline.split('!').filter_map(|part| part.split_whitespace().next());
    let mut elements = elements.filter(|element| !element.contains('/')).map(str::to_owned);
    elements.find(|element| {
        let found = Command::new("gst-inspect-1.0").args(["--exists", element]).status();
        !found.is_ok_and(|status| status.success())
    })
}

fn run(case: &Case, directory: &Path) -> Result<String> {
    let theirs = directory.join("theirs.rtp");
    gstreamer(&format!(
        "{} pt=96 ssrc=42 ! rtpstreampay ! filesink location={}",
        case.source,
        theirs.display()
    ))?;
    let expected = decode(case, &theirs, directory)?;
    if expected.len() < case.expected {
        return Err(format!(
            "GStreamer decoded only {} of {} bytes of its own packets",
            expected.len(),
            case.expected
        )
        .into());
    }
    let packets = read_packets(&theirs)?;
    let separators = match case.codec {
        Codec::H264 | Codec::H265 => {
            use NalSeparator::{Length, LongStart, ShortStart, Start};
            &[Length, LongStart, ShortStart, Start][..]
        }
        _ => &[NalSeparator::Length],
    };
    let (mut frames, mut count) = (Vec::new(), 0);
    for separator in separators {
        let options = Options {
            max_fragment_size: 500,
            nal_separator: *separator,
            obu_packetization: ObuPacketization::TemporalUnit,
        };
        frames = unpack(case.codec, &options, &packets)?;
        let ours = directory.join("ours.rtp");
        count = pack(case.codec, &options, &frames, &ours)?;
        let decoded = decode(case, &ours, directory)?;
        if decoded != expected {
            return Err(format!(
                "{separator:?}: {} bytes were decoded, other ones than the {} of \
                GStreamer's own packets",
                decoded.len(),
                expected.len()
            )
            .into());
        }
    }
    Ok(format!(
        "{} packets of theirs, {} frames, {count} packets of ours, {} bytes decoded alike",
        packets.len(),
        frames.len(),
        expected.len()
    ))
}

/// Frames by the depacketizer.
fn unpack(codec: Codec, options: &Options, packets: &[Vec<u8>]) -> Result<Vec<Message>> {
    let mut chain = Chain::default();
    chain.set_depacketizer(Depacketizing::new(codec.depacketizer(options), codec.clock_rate()));
    let (mut output, mut frames) = (Output::default(), Vec::new());
    for packet in packets {
        let mut batch = vec![Message::from(packet.clone())];
        chain.incoming(Now::from_system(), &mut batch, &mut output);
        frames.append(&mut batch);
    }
    if output.dropped > 0 {
        return Err(format!("{} frames were dropped", output.dropped).into());
    }
    Ok(frames)
}

/// Writes packets of the packetizer, with other numbers than those the frames came with.
fn pack(codec: Codec, options: &Options, frames: &[Message], to: &Path) -> Result<usize> {
    let mut chain = Chain::default();
    let mut config = RtpConfig::new(43, "", 96, codec.clock_rate());
    config.sequence = 65_500;
    chain.set_packetizer(config, codec.packetizer(options));
    let mut output = Output::default();
    chain.outgoing(Now::from_system(), frames.to_vec(), &mut output);
    if output.dropped > 0 {
        return Err(format!("{} frames were refused", output.dropped).into());
    }
    write_packets(to, output.packets.iter().map(|packet| &packet[..]))?;
    Ok(output.packets.len())
}

fn decode(case: &Case, packets: &Path, directory: &Path) -> Result<Vec<u8>> {
    let raw = directory.join("raw");
    gstreamer(&format!(
        "filesrc location={} ! application/x-rtp-stream,{},payload=96 ! rtpstreamdepay ! {} ! \
         filesink location={}",
        packets.display(),
        case.caps,
        case.sink,
        raw.display()
    ))?;
    Ok(fs::read(raw)?)
}

fn gstreamer(pipeline: &str) -> Result<()> {
    let output = Command::new("timeout")
        .args(["60", "gst-launch-1.0", "-q"])
        .args(pipeline.split_whitespace())
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("GStreamer failed: {pipeline}\n{errors}").into())
}

/// Both directions through FFmpeg; `None` when it is not there.
fn av1(directory: &Path) -> Result<Option<String>> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/rtp_files.py");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let call = |arguments: &[&str]| -> Result<Option<String>> {
        let output = Command::new("timeout")
            .args(["60", &python])
            .arg(&script)
            .args(arguments)
            .current_dir(directory)
            .output()?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())),
            Some(3) => Ok(None),
            _ => Err(format!("FFmpeg failed: {}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    };
    let Some(expected) = call(&["encode", "theirs.rtp"])? else { return Ok(None) };
    let packets = read_packets(&directory.join("theirs.rtp"))?;
    let units = Options {
        max_fragment_size: 500,
        obu_packetization: ObuPacketization::TemporalUnit,
        ..Options::default()
    };
    let frames = unpack(Codec::Av1, &units, &packets)?;
    let mut count = 0;
    for packetization in [ObuPacketization::TemporalUnit, ObuPacketization::Obu] {
        let options = Options { obu_packetization: packetization, ..units };
        let sent = match packetization {
            ObuPacketization::TemporalUnit => frames.clone(),
            ObuPacketization::Obu => frames.iter().flat_map(obus).collect(),
        };
        count = pack(Codec::Av1, &options, &sent, &directory.join("ours.rtp"))?;
        let decoded = call(&["decode", "ours.rtp"])?.unwrap_or_default();
        if decoded != expected {
            return Err(format!("{packetization:?}: {decoded} instead of {expected}").into());
        }
    }
    Ok(Some(format!(
        "{} packets of FFmpeg's, {} frames, {count} packets of ours, {expected} alike",
        packets.len(),
        frames.len()
    )))
}

/// The OBUs of a temporal unit as messages, as an encoder may hand them over.
fn obus(unit: &Message) -> Vec<Message> {
    let mut found = Vec::new();
    let mut rest = unit.data.clone();
    while !rest.is_empty() {
        let header = if rest[0] & 4 == 0 { 1 } else { 2 };
        let mut length = header;
        let mut size = 0;
        for (position, byte) in rest[header..].iter().enumerate() {
            size |= usize::from(byte & 0x7f) << (7 * position);
            length += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        found.push(Message { data: rest.split_to(length + size), frame: unit.frame });
    }
    found
}

fn read_packets(path: &Path) -> Result<Vec<Vec<u8>>> {
    let data = fs::read(path)?;
    let (mut rest, mut packets) = (&data[..], Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = u16::from_be_bytes(*length).into();
        let (packet, behind) = behind.split_at_checked(length).ok_or("a packet is cut off")?;
        Packet::parse(packet)?;
        packets.push(packet.to_vec());
        rest = behind;
    }
    Ok(packets)
}

fn write_packets<'a>(path: &Path, packets: impl Iterator<Item = &'a [u8]>) -> Result<()> {
    let mut data = Vec::new();
    for packet in packets {
        data.extend(u16::try_from(packet.len())?.to_be_bytes());
        data.extend(packet);
    }
    Ok(fs::write(path, data)?)
}
