#!/usr/bin/env bash
# Holds the conformance tests against the real library in PREFIX: a test that fails there is wrong,
# unless it pins a defect that is mended here. The real library has races of its own, so a test
# counts as failed when it fails twice. Most tests wait most of the time: four run at once.
set -uo pipefail
cd "$(dirname "$0")/.."
export RTC_LIB=$1/lib/libdatachannel.so
log=target/oracle.log

suite() { cargo test --locked --package conformance --test suite -- --oracle --jobs 4 "$@" 2>&1 | tee "$log"; }

suite && exit
mapfile -t again < <(sed -n '/^failed:/,$p' "$log" | sed -n 's/^    //p')
[ ${#again[@]} -gt 0 ] || exit 1
echo "once more: ${#again[@]}"
suite "${again[@]}"
