#!/usr/bin/env bash
# run.sh
#
# Tries the echo peers of duologue-interop, with compression, against the package ws of Node.js,
# which is installed with npm.
#
# Environment:
#   DUOLOGUE_INTEROP  a built duologue-interop to use; nothing is built then
#   NODE_TIMEOUT      time the test may take, in seconds (300)
#   CARGO_TARGET_DIR  stands for target, here as for cargo
#
# Exit status: 0 if every message came through as it should; 1 if not; 2 if it could not be tried.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

die() {
  echo "run.sh: $*" >&2
  exit 2
}

absolute() {
  case $1 in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
  esac
}

case ${1:-} in
  -h | --help)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  ?*) die "unknown argument $1 (--help explains)" ;;
esac

CARGO_TARGET_DIR=$(absolute "${CARGO_TARGET_DIR:-$root/target}")
export CARGO_TARGET_DIR

command -v node > /dev/null || die "node is missing: install Node.js 20 or later"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || die "Node.js 20 or later is needed"

# The test runs from a copy beside its node_modules, where Node looks for them.
place=$CARGO_TARGET_DIR/node
mkdir -p "$place" || die "$place cannot be made"
cp "$here/echo.test.mjs" "$here/package.json" "$here/package-lock.json" "$place/" ||
  die "$place cannot be written"
# The lock of the last whole installation stands beside it.
if ! cmp -s "$here/package-lock.json" "$place/installed.json"; then
  command -v npm > /dev/null || die "npm is missing"
  (cd "$place" && npm ci --no-audit --no-fund >&2) || die "ws could not be installed"
  cp "$here/package-lock.json" "$place/installed.json"
fi

if [ -n "${DUOLOGUE_INTEROP:-}" ]; then
  interop=$(absolute "$DUOLOGUE_INTEROP")
else
  (cd "$root" && cargo build --release -p duologue-interop) || die "duologue-interop does not build"
  interop=$CARGO_TARGET_DIR/release/duologue-interop
fi
[ -x "$interop" ] || die "$interop is no program"

# In the background, because bash runs a trap only after a foreground command has ended.  The test
# ends its peers itself, when it is told to end too.
test_pid=
trap '[ -z "$test_pid" ] || kill "$test_pid" 2> /dev/null' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
DUOLOGUE_INTEROP=$interop \
  timeout --kill-after=10 "${NODE_TIMEOUT:-300}" node "$place/echo.test.mjs" &
test_pid=$!
wait "$test_pid"
status=$?
test_pid=
case $status in
  0) ;;
  124 | 137) echo "run.sh: the test took too long" >&2 && exit 1 ;;
  *) exit 1 ;;
esac
