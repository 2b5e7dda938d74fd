//! A data channel control message: decoded, encoded and decoded again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_core::dcep::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::decode(bytes) else { return };
    let encoded = message.encode().expect("what was decoded fits");
    assert!(encoded.len() <= bytes.len());
    assert_eq!(Message::decode(&encoded).expect("our own bytes are decoded"), message);
});
