#!/bin/sh
# Builds the core, without an allocator and with one, for a microcontroller without an operating
# system (thumbv7m-none-eabi), with Debian's packages rustc-web, cargo-web and rust-web-src:
#
#     apt-get install --no-install-recommends rustc-web cargo-web rust-web-src
#
# Where rustup stands before them on PATH, Debian's binaries are still found by their path. Debian
# has no core library for this target: it is built from source, which takes RUSTC_BOOTSTRAP.
# CARGO_TARGET_DIR is honoured.
set -eu
manifest=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)/Cargo.toml
debian=${DEBIAN_RUST:-/usr/bin}
RUSTC=$debian/rustc
RUSTDOC=$debian/rustdoc
RUSTC_BOOTSTRAP=1
export RUSTC RUSTDOC RUSTC_BOOTSTRAP
"$RUSTC" --version
build() {
    "$debian/cargo" build --manifest-path "$manifest" --release --lib --no-default-features \
        --target thumbv7m-none-eabi "$@"
}
build -Z build-std=core
# Messages and compression need an allocator, and nothing else of an operating system.
build -Z build-std=core,alloc --features deflate
