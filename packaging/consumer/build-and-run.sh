#!/bin/sh
# Builds programs on the installed library in the ways its users build theirs, and runs them:
#   build-and-run.sh SOURCES WORK
# SOURCES is the folder of this script, WORK an empty one.
set -eu
sources=$1
cd "$2"

ok() {
	"$2" >printed
	grep -qx 'consumer: ok' printed || { echo "$1 printed:"; cat printed; exit 1; }
	echo "$1: ok"
}

needs() {
	readelf -d "$1" | grep -q 'NEEDED.*\[libdatachannel\.so\.0\.24\]'
}

flags=$(pkg-config --cflags --libs libdatachannel)
cc -Wall -Wextra -Werror "$sources/consumer.c" -o shared $flags
needs shared
ok 'pkg-config, shared' ./shared

cc -Wall -Wextra -Werror "$sources/revision.c" -o revision $flags
ok 'pkg-config, extensions' ./revision

# The static library alone: everything else stays shared.
flags=$(pkg-config --static --cflags --libs libdatachannel)
flags=$(echo "$flags" | sed 's/-ldatachannel/-l:libdatachannel.a/')
cc -Wall -Wextra -Werror -DRTC_STATIC "$sources/consumer.c" -o static $flags
! needs static || { echo 'the static program needs the shared library'; exit 1; }
ok 'pkg-config, static' ./static

cmake -S "$sources" -B cmake >cmake.log || { cat cmake.log; exit 1; }
cmake --build cmake >cmake.log || { cat cmake.log; exit 1; }
needs cmake/consumer_shared
ok 'CMake, shared' cmake/consumer_shared
! needs cmake/consumer_static || { echo 'the static program needs the shared library'; exit 1; }
ok 'CMake, static' cmake/consumer_static
