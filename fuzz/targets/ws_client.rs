//! A WebSocket client's side of the upgrade: the answers of a server and of a proxy.
//!
//! `$ACCEPT` in the input stands for the right accept value, which chance would not find.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_core::websocket::WsUrl;
use rtc_core::websocket::upgrade::{ClientUpgrade, answer, check_connect, connect_request};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fuzz_target!(|bytes: &[u8]| {
    let client = ClientUpgrade::with_key(KEY.into(), vec!["one".into(), "two".into()]);
    let mut response = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(7).position(|window| window == b"$ACCEPT") {
        response.extend_from_slice(&rest[..at]);
        response.extend_from_slice(ACCEPT);
        rest = &rest[at + 7..];
    }
    response.extend_from_slice(rest);
    if let Ok(Some(protocol)) = client.check(&response) {
        assert!(protocol == "one" || protocol == "two");
    }
    let _ = check_connect(&response);

    // What a URL becomes is a request that our own server understands.
    let Ok(url) = WsUrl::parse(&String::from_utf8_lossy(bytes)) else { return };
    let request = client.request(&url);
    let lines = String::from_utf8_lossy(&request).lines().count();
    assert_eq!(lines, 8, "a URL adds no headers");
    assert_eq!(String::from_utf8_lossy(&connect_request(&url)).lines().count(), 3);
    if let Ok(accepted) = answer(&request).outcome {
        assert_eq!(accepted.path, url.path);
        assert_eq!(accepted.protocol.as_deref(), Some("one"));
    }
});
