#!/usr/bin/env bash
# Builds the C library into target/prefix and runs a C program on it: two peers in one process.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/prerequisites.sh

prefix=$PWD/target/prefix
cargo xtask dist --prefix "$prefix"
cc -O2 -Wall -Wextra -I "$prefix/include" examples/c/offer_answer.c \
	-L "$prefix/lib" -Wl,-rpath,"$prefix/lib" -ldatachannel -lpthread -o target/offer_answer
echo
exec target/offer_answer
