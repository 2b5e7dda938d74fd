//! URLs of ICE servers and proxies.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_core::ice_server::{parse_ice_server, parse_proxy};

fuzz_target!(|url: &str| {
    if let Ok(server) = parse_ice_server(url) {
        assert!(!server.host.is_empty() && server.port != 0);
    }
    if let Ok(proxy) = parse_proxy(url) {
        assert!(!proxy.host.is_empty() && proxy.port != 0);
    }
});
