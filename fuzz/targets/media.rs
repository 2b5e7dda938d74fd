//! The section of a track: parsed, printed and parsed again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_core::sdp::Media;

fuzz_target!(|text: &str| {
    let Ok(media) = Media::parse(text) else { return };
    let again = Media::parse(&media.to_string()).expect("our own text is parsed");
    assert_eq!(again, media);
    for ssrc in media.ssrcs() {
        let _ = media.cname(ssrc);
    }
    assert_eq!(media.reciprocate().ssrcs(), []);
});
