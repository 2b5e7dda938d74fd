#!/usr/bin/env bash
# Tries WebSockets of the library in PREFIX against other implementations and Autobahn's cases, with
# the real library in REAL among them; then, with OpenSSL, what has TLS: with the library that
# RTC_OPENSSL_LIB names, or one built for it. The reports of Autobahn's cases are left in
# target/interop/autobahn/*/index.html.
#
#     scripts/websockets.sh PREFIX REAL [OPTION of run.py]...
set -euo pipefail
cd "$(dirname "$0")/.."
export RTC_LIB=$1/lib/libdatachannel.so RTC_PEER_LIB=$2/lib/libdatachannel.so
shift 2
conformance/interop/install.sh websocket
cargo build --quiet --locked --package conformance

# attempt TLS [OPTION]...: tries the library, and the example built with that TLS.
attempt() {
	local tls=$1
	shift
	echo "with $tls:"
	cargo build --quiet --locked --package librtc --example websocket_echo \
		--no-default-features --features "ice-agent,tls-$tls,websocket" &&
		python3 conformance/interop/websocket/run.py --conformance target/debug/conformance \
			--echo target/debug/examples/websocket_echo --tls "$tls" --work target/interop "$@"
}

failed=0
attempt rustls "$@" || failed=1
RTC_LIB=${RTC_OPENSSL_LIB:-}
if [ -z "$RTC_LIB" ]; then
	cargo build --quiet --locked --package rtc-capi \
		--no-default-features --features ice-agent,tls-openssl,media,websocket
	RTC_LIB=$PWD/target/debug/libdatachannel.so
fi
attempt openssl --only TLS "$@" || failed=1
exit "$failed"
