#!/usr/bin/env bash
# Packages with each choice of backends, and whether they work where nothing else is.
#   scripts/packages.sh          builds everything as a distribution does: an hour
#   scripts/packages.sh --short  packs what the workspace compiles, with OpenSSL and with rustls, and
#                                tries it in an empty folder in place of a fresh Debian; leaves the
#                                one with OpenSSL unpacked in target/packages/openssl
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh

if [ "${1:-}" = --short ]; then
	need_header openssl/ssl.h libssl-dev
	# The .deb is what distributions get; the .rpm has what the workspace compiles by default.
	cargo xtask deb --in-place
	cargo xtask rpm --in-place --backends ice-agent,tls-rustls
	cargo xtask clean-root --without-debian
	rm -rf target/packages/openssl
	for deb in target/packages/deb/*.deb; do
		dpkg-deb --extract "$deb" target/packages/openssl
	done
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
