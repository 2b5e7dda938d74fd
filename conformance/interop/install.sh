#!/usr/bin/env bash
# Installs the peers `conformance interop` and `websocket/run.py` test against, by package name:
# from Debian, PyPI, npm and crates.io. Everything not from Debian goes below target/interop.
#
#     install.sh [chromium] [firefox] [libwebrtc] [aiortc] [gstreamer] [pion] [media] [websocket]
#                [str0m]
#
# Without arguments: all but str0m, whose build takes minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
. scripts/prerequisites.sh
target=$root/target/interop
mkdir -p "$target"
failed=()

virtual_environment() {
	[ -x "$target/venv/bin/python" ] && return
	python3 -c 'import venv, ensurepip' 2>/dev/null || install_packages python3-venv
	python3 -m venv "$target/venv"
}

python_package() {
	virtual_environment
	"$target/venv/bin/python" -c "import $1" 2>/dev/null && return
	"$target/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$2"
}

install_peer() {
	case $1 in
	chromium) need chromium chromium ;;
	firefox) need firefox-esr firefox-esr ;;
	libwebrtc) python_package webrtc 'wrtc>=0.1.0' ;;
	aiortc) python_package aiortc 'aiortc>=1.16' ;;
	gstreamer)
		/usr/bin/python3 "$here/gstreamer/agent.py" --probe 2>/dev/null ||
			install_packages python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-bad \
				gstreamer1.0-nice
		gst-inspect-1.0 --exists x265enc 2>/dev/null && gst-inspect-1.0 --exists avenc_aac ||
			install_packages gstreamer1.0-tools gstreamer1.0-plugins-{base,good,bad,ugly} \
				gstreamer1.0-libav
		;;
	media) python_package av 'av>=16' ;;
	pion)
		need go golang-go
		[ -d /usr/share/gocode/src/github.com/pion/webrtc ] ||
			install_packages golang-github-pion-webrtc.v3-dev
		# Debian's Go packages are found by path, in GOPATH mode; go.mod makes it overlook the "/v3".
		mkdir -p "$target/go/src/interop"
		cp "$here/pion/"{main.go,go.mod} "$target/go/src/interop/"
		(cd "$target/go/src/interop" &&
			GO111MODULE=off GOFLAGS= GOPATH=$target/go:/usr/share/gocode GOCACHE=$target/go/cache \
				go build -o "$target/pion-agent" .)
		;;
	str0m)
		cargo build --quiet --locked --manifest-path "$here/str0m/Cargo.toml" \
			--target-dir "$target/str0m"
		;;
	websocket)
		python_package websockets 'websockets>=15'
		python_package kosoku 'kosoku>=0.1.0'
		need node nodejs
		need npm npm
		[ -d "$target/node_modules/ws" ] ||
			npm install --silent --no-fund --no-audit --prefix "$target" ws@8
		;;
	*) fail "no peer is called $1" ;;
	esac
}

need python3 python3
need ip iproute2
[ $# -gt 0 ] || set -- chromium firefox libwebrtc aiortc gstreamer pion media websocket
for peer; do
	echo "installing $peer" >&2
	# A shell of its own: with `||` after it, a function would run without `set -e`.
	if [ -n "${INSTALL_ONE:-}" ]; then
		install_peer "$peer"
	elif ! INSTALL_ONE=1 "$here/install.sh" "$peer"; then
		# A registry may be out of reach for a moment.
		INSTALL_ONE=1 "$here/install.sh" "$peer" || failed+=("$peer")
	fi
done
[ ${#failed[@]} -eq 0 ] || fail "could not install: ${failed[*]}"
