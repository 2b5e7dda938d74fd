//! Datagrams on a stream, as ICE over TCP and TURN servers over TCP have them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use librtc_fuzz::Script;
use rtc_ice_agent::framing::{Deframer, Framing, MAX_FRAME};

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let framing = match script.byte() & 1 {
        0 => Framing::LengthPrefixed,
        _ => Framing::Turn,
    };
    let piece = usize::from(script.byte()) + 1;
    let stream = bytes.get(2..).unwrap_or_default();
    let Some(frames) = deframe(framing, stream, piece) else { return };
    // The same frames come out however the stream is cut, and once more when put into another.
    assert_eq!(deframe(framing, stream, 1 << 14).as_ref(), Some(&frames));
    if frames.iter().any(|frame| frame.len() > MAX_FRAME) {
        return;
    }
    let mut again = Vec::new();
    frames.iter().for_each(|frame| framing.encode(frame, &mut again));
    assert_eq!(deframe(framing, &again, piece), Some(frames));
});

/// The frames of a stream that comes in pieces; nothing when it cannot be read on.
fn deframe(framing: Framing, stream: &[u8], piece: usize) -> Option<Vec<Vec<u8>>> {
    let mut deframer = Deframer::new(framing);
    let mut frames = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let room = deframer.room();
        let size = piece.min(room.len()).min(rest.len());
        let (now, later) = rest.split_at(size);
        room[..size].copy_from_slice(now);
        deframer.filled(size);
        rest = later;
        while let Some(range) = deframer.next_frame().ok()? {
            let frame = deframer.buffer()[range].to_vec();
            assert!(frame.len() <= MAX_FRAME + 20);
            frames.push(frame);
        }
    }
    Some(frames)
}
