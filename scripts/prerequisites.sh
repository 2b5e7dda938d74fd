# Sourced by demo.sh, test.sh and .ci/run: makes sure that what they need is installed.

# The oldest Rust this workspace compiles with, as Cargo.toml states it.
rust_needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

fail() {
	printf '%s\n' "$@" >&2
	exit 1
}

# need PROGRAM PACKAGE: installs Debian's PACKAGE when PROGRAM is missing.
need() {
	command -v "$1" >/dev/null && return
	install_packages "$2"
	command -v "$1" >/dev/null || fail "$1 is still missing after installing $2."
}

# need_header HEADER PACKAGE: the same for a header.
need_header() {
	echo "#include <$1>" | cc -E -x c - >/dev/null 2>&1 && return
	install_packages "$2"
}

# need_library NAME PACKAGE: the same for a library that pkg-config knows as NAME.
need_library() {
	pkg-config --exists "$1" 2>/dev/null && return
	install_packages "$2"
}

install_packages() {
	command -v apt-get >/dev/null || fail "Please install: $*"
	local root=()
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || fail "Please run as root: apt-get install $*"
		root=(sudo)
	fi
	echo "installing $*" >&2
	if ! "${root[@]}" apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1; then
		"${root[@]}" apt-get update >/dev/null
		"${root[@]}" apt-get install -y --no-install-recommends "$@" >/dev/null
	fi
}

rust_is_new_enough() {
	command -v cargo >/dev/null || return 1
	local have
	have=$(cargo --version | cut -d' ' -f2)
	[ "$(printf '%s\n' "$rust_needed" "$have" | sort -V | head -n 1)" = "$rust_needed" ]
}

# Distributions' Rust may be too old: try it only when there is none, and tell what to do else.
need_rust() {
	[ -d "${CARGO_HOME:-$HOME/.cargo}/bin" ] && PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
	command -v cargo >/dev/null || install_packages cargo
	rust_is_new_enough || fail \
		"This needs Rust $rust_needed or newer; found: $(cargo --version 2>/dev/null || echo none)." \
		"Install it with rustup (https://rustup.rs), or with an existing one: rustup update stable"
}

need cc gcc
need_rust
