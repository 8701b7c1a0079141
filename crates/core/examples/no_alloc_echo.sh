#!/bin/sh
# Builds no_alloc_echo.rs for the host without std, alloc and an allocator, runs it, and shows that
# no allocator is linked. Linux, with a C compiler as the linker. CARGO_TARGET_DIR is honoured.
set -eu
manifest=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)/Cargo.toml
target_dir=$(cargo metadata --manifest-path "$manifest" --format-version 1 --no-deps |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

# The flags behind -- reach the example alone: a panic aborts, for nothing could unwind it.
cargo rustc --manifest-path "$manifest" --release --no-default-features \
    --example no_alloc_echo -- --cfg freestanding -C panic=abort

binary=$target_dir/release/examples/no_alloc_echo
"$binary"
# Whatever belongs to an allocator, Rust's or C's, or to the crates std and alloc.
symbols='__rust_(re|de)?alloc|__rg_|(m|c|re)alloc|_ZN(3std|5alloc)|_R.*(3std|5alloc)'
if nm "$binary" | grep -E "$symbols"; then
    echo "an allocator is linked" >&2
    exit 1
fi
echo "no_alloc_echo: exit 0, $(wc -c <"$binary") bytes, no allocator"
