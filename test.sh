#!/usr/bin/env bash
# Runs all tests: those of the crates, and the conformance suite on the built C library.
# Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/prerequisites.sh
need c++ g++
need pkg-config pkg-config
need ip iproute2
need_header openssl/ssl.h libssl-dev
need_library nice libnice-dev

prefix=$PWD/target/prefix
cargo xtask dist --prefix "$prefix"
export RTC_LIB=$prefix/lib/libdatachannel.so
exec cargo test --workspace --locked "$@"
