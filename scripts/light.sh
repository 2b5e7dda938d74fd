#!/usr/bin/env bash
# The library without media and WebSockets: what it exports, and programs built on it with its
# headers as they are then, linked and run, two peers among them.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
need c++ g++
need cmake cmake
need make make
need pkg-config pkg-config

prefix=$PWD/target/light
cargo xtask dist --features ice-agent,tls-rustls --prefix "$prefix"
cargo xtask abi --prefix "$prefix" --without media,websocket
cargo xtask consumers --prefix "$prefix"
