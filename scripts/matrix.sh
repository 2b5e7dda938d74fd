#!/usr/bin/env bash
# Builds the library with every backend and runs the matrix: `conformance matrix`.
# With --short, a few fast tests for each pair and for each combination, on a debug build, and
# WebSockets by OpenSSL, which is what continuous integration has time for; RTC_REAL_LIB and
# RTC_REAL_NICE_LIB may name builds of the real library. That build is left in target/matrix/short.
# Without it everything is built, installed and run. Other arguments go to the matrix.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
need c++ g++
need cmake cmake
need pkg-config pkg-config
need ip iproute2
need_header openssl/ssl.h libssl-dev
need_library nice libnice-dev

matrix() {
	cargo run --quiet --locked --package conformance -- matrix "$@"
}

if [ "${1:-}" = --short ]; then
	shift
	cargo build --locked --package rtc-capi --features all-backends
	mkdir -p target/matrix/short
	# Others build other libraries there.
	cp target/debug/libdatachannel.so target/matrix/short/
	export RTC_LIB=$PWD/target/matrix/short/libdatachannel.so
	failed=0
	matrix --only "pairs /" --test "they connect trickling" \
		--test "every kind and size of message crosses" \
		--test "the answering side closes the connection" "$@" || failed=1
	# These mostly wait.
	matrix --jobs 3 --html target/matrix/short/suites.html --only "suite /" \
		--test "a false fingerprint" --test "RSA certificates connect" \
		--test "sleeps ten seconds" --test "restart: new credentials" \
		--test "restart: restarts by both" "$@" || failed=1
	RTC_TLS_BACKEND=openssl cargo run --quiet --locked --package conformance -- \
		websocket: wire: secure: || failed=1
	exit "$failed"
fi

work=$PWD/target/matrix
cargo xtask dist --features all-backends,media,websocket --prefix "$work/all"
cargo xtask reference --prefix "$work/real"
cargo xtask reference --ice nice --prefix "$work/real-nice"
conformance/interop/install.sh chromium libwebrtc aiortc
need turnserver coturn
need nft nftables
export RTC_LIB=$work/all/lib/libdatachannel.so
export RTC_REAL_LIB=$work/real/lib/libdatachannel.so
export RTC_REAL_NICE_LIB=$work/real-nice/lib/libdatachannel.so
matrix "$@"
