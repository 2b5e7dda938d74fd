//! Session descriptions: reading and writing them.

use std::hint::black_box;

use criterion::Throughput;
use rtc_core::sdp::{Description, DescriptionKind};

const SAMPLES: [(&str, &str); 2] = [
    ("data only", include_str!("../../fuzz/corpus/sdp/libdatachannel-offer")),
    ("Chromium with media", include_str!("../../fuzz/corpus/sdp/chromium-av-data-offer")),
];

fn main() {
    let mut criterion = librtc_benches::criterion();
    let mut group = criterion.benchmark_group("sdp");
    for (name, text) in SAMPLES {
        let parse = || Description::parse(black_box(text), DescriptionKind::Offer);
        let description = parse().expect("the sample is a description");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("parse, {name}"), |bencher| bencher.iter(parse));
        group.bench_function(format!("print, {name}"), |bencher| {
            bencher.iter(|| black_box(&description).to_sdp());
        });
    }
    group.finish();
    criterion.final_summary();
}
