#!/usr/bin/env bash
# Tries WebSockets of the library in PREFIX against other implementations and Autobahn's cases, with
# the real library in REAL among them. The reports of
# Autobahn's cases are left in target/interop/autobahn/*/index.html.
#
#     scripts/websockets.sh PREFIX REAL [OPTION of run.py]...
set -euo pipefail
cd "$(dirname "$0")/.."
export RTC_LIB=$1/lib/libdatachannel.so RTC_PEER_LIB=$2/lib/libdatachannel.so
shift 2
conformance/interop/install.sh websocket
cargo build --quiet --locked --package conformance
cargo build --quiet --locked --package librtc --example websocket_echo
python3 conformance/interop/websocket/run.py --conformance target/debug/conformance \
	--echo target/debug/examples/websocket_echo --work target/interop "$@"
