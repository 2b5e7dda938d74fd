#!/usr/bin/env bash
# Holds the conformance tests against the real library in PREFIX: a test that fails there is wrong,
# unless it pins a defect that is mended here. The real library has races of its own, so a test
# counts as failed when it fails three times, the second and third time alone. Most tests wait most
# of the time: six run at once at first.
set -uo pipefail
cd "$(dirname "$0")/.."
export RTC_LIB=$1/lib/libdatachannel.so
log=target/oracle.log

suite() { cargo test --locked --package conformance --test suite -- --oracle "$@" 2>&1 | tee "$log"; }

suite --jobs 6 && exit
for attempt in 2 3; do
	mapfile -t again < <(sed -n '/^failed:/,$p' "$log" | sed -n 's/^    //p')
	[ ${#again[@]} -gt 0 ] || exit 1
	echo "attempt $attempt, alone: ${#again[@]}"
	suite --jobs 1 "${again[@]}" && exit
done
exit 1
