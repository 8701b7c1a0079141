#!/usr/bin/env bash
# run.sh [--tls] [TEST ...]
#
# Tries the peers of duologue-interop, server and client of both adapters, against the package
# websockets of Python, which is installed in a virtual environment. TEST names tests as Python's
# unittest does, such as TokioServer or StdClient.test_closed_by_ours (default: all).
#
#   --tls   over TLS
#
# Environment:
#   DUOLOGUE_INTEROP  a built duologue-interop to use; nothing is built then
#   PYTHON_TIMEOUT    time the tests may take, in seconds (300)
#   INTEROP_TALLY     a file to add to how many tests passed, of each program in each role
#   CARGO_TARGET_DIR  stands for target, here as for cargo
#
# Exit status: 0 if everything came through as it should; 1 if not; 2 if it could not be tried.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib.sh"

tests=()
for argument in "$@"; do
  case $argument in
    -h | --help)
      usage
      exit 0
      ;;
    --tls) make_certificate ;;
    -*) die "unknown argument $argument (--help explains)" ;;
    *) tests+=("$argument") ;;
  esac
done

place=$CARGO_TARGET_DIR/python
python_install "$here/requirements.txt" "$place"
cargo_build duologue-interop duologue-interop "${DUOLOGUE_INTEROP:-}"

name="websockets $("$place/bin/python" -c 'import websockets; print(websockets.__version__)')" ||
  die "websockets does not import"
echo "== websockets${INTEROP_CERT:+ over TLS}"
rm -f "$place/tally"
DUOLOGUE_INTEROP=$program INTEROP_TALLY=$place/tally PYTHONDONTWRITEBYTECODE=1 \
  run_test "${PYTHON_TIMEOUT:-300}" "$place/bin/python" "$here/test_websockets.py" "${tests[@]}"
status=$?
add_tally "$name" "$place/tally"
exit "$status"
