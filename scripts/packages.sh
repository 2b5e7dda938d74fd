#!/usr/bin/env bash
# Packages with each choice of backends, and whether they work where nothing else is.
#   scripts/packages.sh          builds everything as a distribution does: an hour
#   scripts/packages.sh --short  packs what the workspace has compiled with `cargo xtask dist`, and
#                                tries it in an empty folder in place of a fresh Debian
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

if [ "${1:-}" = --short ]; then
	# The workspace compiles the default features, which is what this combination has.
	cargo xtask deb --in-place --backends ice-agent,tls-rustls
	cargo xtask rpm --in-place --backends ice-agent,tls-rustls
	cargo xtask clean-root --without-debian
	exit
fi

need c++ g++
need cmake cmake
need pkg-config pkg-config
need_header openssl/ssl.h libssl-dev
need unshare util-linux
need ip iproute2

# The one that distributions get comes last and stays.
for backends in ice-agent,tls-rustls ice-juice,tls-openssl ice-nice,tls-openssl; do
	cargo xtask deb --backends "$backends"
	cargo xtask clean-root --deb target/packages/deb
done
cargo xtask deb --twice
cargo xtask rpm --twice
cargo xtask clean-root

work=target/packages
cargo xtask dist --prefix "$work/prefix"
cargo xtask yardstick --prefix "$work/real"
cargo xtask reference --prefix "$work/older"
cargo xtask abi --prefix "$work/prefix" --real "$work/real"
cargo xtask consumers --prefix "$work/prefix" --real "$work/real" --older "$work/older"
cargo xtask datachannel
cargo xtask features
