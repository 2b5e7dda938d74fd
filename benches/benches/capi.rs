//! What a call through the C boundary costs, on a channel that has not opened.

use std::hint::black_box;
use std::ptr::null;

use datachannel::abi::Configuration;
use datachannel::api::channel::{rtcGetBufferedAmount, rtcIsOpen, rtcSendMessage};
use datachannel::api::data_channel::rtcCreateDataChannel;
use datachannel::api::peer::{rtcCreatePeerConnection, rtcDeletePeerConnection};

fn main() {
    let mut criterion = librtc_benches::criterion();
    let config = Configuration {
        ice_servers: null(),
        ice_servers_count: 0,
        proxy_server: null(),
        bind_address: null(),
        certificate_type: 0,
        ice_transport_policy: 0,
        enable_ice_tcp: false.into(),
        enable_ice_udp_mux: false.into(),
        disable_auto_negotiation: true.into(),
        force_media_transport: false.into(),
        port_range_begin: 0,
        port_range_end: 0,
        mtu: 0,
        max_message_size: 0,
    };
    let peer = rtcCreatePeerConnection(&config);
    let channel = rtcCreateDataChannel(peer, c"bench".as_ptr());
    assert!(peer > 0 && channel > 0);
    let data = [7; 100];
    let send = |id| rtcSendMessage(black_box(id), data.as_ptr(), 100);
    assert!(send(channel) < 0 && send(-1) < 0, "both are refused");

    let mut group = criterion.benchmark_group("capi");
    group.bench_function("rtcIsOpen", |bencher| bencher.iter(|| rtcIsOpen(black_box(channel))));
    group.bench_function("rtcGetBufferedAmount", |bencher| {
        bencher.iter(|| rtcGetBufferedAmount(black_box(channel)));
    });
    group.bench_function("rtcSendMessage refused: not open", |bencher| {
        bencher.iter(|| send(channel));
    });
    group.bench_function("rtcSendMessage refused: no such channel", |bencher| {
        bencher.iter(|| send(-1));
    });
    group.finish();
    rtcDeletePeerConnection(peer);
    criterion.final_summary();
}
