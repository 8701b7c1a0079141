#!/usr/bin/env bash
# run.sh [--tls] [PROGRAM ...]
#
# Tries the peers of duologue-interop, server and client of both adapters, against programs of
# Node.js, which are installed with npm: the packages ws and nodejs-websocket, and a handshake byte
# by byte over TCP. PROGRAM is ws, nodejs-websocket or tutorial (default: all three).
#
#   --tls   over TLS
#
# Environment:
#   DUOLOGUE_INTEROP  a built duologue-interop to use; nothing is built then
#   NODE_TIMEOUT      time the tests of one file may take, in seconds (300)
#   INTEROP_TALLY     a file to add to how many tests passed, of each program in each role
#   CARGO_TARGET_DIR  stands for target, here as for cargo
#
# Exit status: 0 if everything came through as it should; 1 if not; 2 if it could not be tried.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib.sh"

programs=()
for argument in "$@"; do
  case $argument in
    -h | --help)
      usage
      exit 0
      ;;
    --tls) make_certificate ;;
    ws | nodejs-websocket | tutorial) programs+=("$argument") ;;
    *) die "unknown argument $argument (--help explains)" ;;
  esac
done
[ ${#programs[@]} -gt 0 ] || programs=(ws nodejs-websocket tutorial)

need_node
place=$CARGO_TARGET_DIR/node
npm_install "$here" "$place"
cargo_build duologue-interop duologue-interop "${DUOLOGUE_INTEROP:-}"
export DUOLOGUE_INTEROP=$program

version() { node -p "require('$place/node_modules/$1/package.json').version"; }
seconds=${NODE_TIMEOUT:-300}
status=0
for name in "${programs[@]}"; do
  echo "== $name${INTEROP_CERT:+ over TLS}"
  case $name in
    ws)
      run_node_test "ws $(version ws)" "$seconds" "$place/ws.test.mjs" || status=1
      run_node_test "ws $(version ws)" "$seconds" "$place/ws-compression.test.mjs" || status=1
      ;;
    nodejs-websocket)
      run_node_test "nodejs-websocket $(version nodejs-websocket)" "$seconds" \
        "$place/nodejs-websocket.test.mjs" || status=1
      ;;
    tutorial) run_node_test "bytes over TCP" "$seconds" "$place/tutorial.test.mjs" || status=1 ;;
  esac
done
exit "$status"
