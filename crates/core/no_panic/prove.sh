#!/bin/sh
# prove.sh
#
# Links the core, in each of its forms without an allocator, into a program whose panic handler
# calls a function that does not exist. That it links proves that no panic can be reached from any
# call of the core. To show that the proof can fail, one with a deliberate panic must not link.
#
# Not proved: httparse, in whose place stands one that says anything (see Cargo.toml).
# Linux, with a C compiler as the linker. CARGO_TARGET_DIR is honoured.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$here/../../../target}/no_panic
export CARGO_TARGET_DIR
links() {
    cargo rustc --quiet --manifest-path "$here/Cargo.toml" --release "$@" -- \
        -C link-arg=-nostartfiles -C link-arg=-nostdlib -C link-arg=-Wl,--entry=main \
        -C link-arg=-lc -C link-arg=-Wl,--gc-sections 2>"$CARGO_TARGET_DIR/errors"
}
mkdir -p "$CARGO_TARGET_DIR"
for features in "" simd; do
    if links --features "$features"; then
        echo "no panic can be reached (features: ${features:-none})"
    else
        cat "$CARGO_TARGET_DIR/errors" >&2
        echo "prove.sh: a panic may be reached (features: ${features:-none})" >&2
        exit 1
    fi
done
if links --features negative-control; then
    echo "prove.sh: a deliberate panic was not found: the proof proves nothing" >&2
    exit 1
fi
grep -q a_panic_can_be_reached "$CARGO_TARGET_DIR/errors" || {
    cat "$CARGO_TARGET_DIR/errors" >&2
    exit 1
}
echo "a deliberate panic is found"
