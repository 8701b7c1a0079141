#!/usr/bin/env bash
# run_server.sh URL AGENT OUTDIR [CASES [EXCLUDED]]
#
# Runs the suite's fuzzing client against the server at URL (ws://127.0.0.1:PORT), writes
# OUTDIR/index.json and a report per case, and prints the summary.  CASES and EXCLUDED are
# comma-separated case patterns (default: all, none).  WSTEST_DIR names the directory that setup.sh
# made; WSTEST_TIMEOUT is the time the run may take, in seconds (1800).
#
# Exit status: that of summarise.py; 2 also if the suite itself failed.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
url=${1:?URL} agent=${2:?AGENT} out=${3:?OUTDIR} cases=${4:-*} excluded=${5:-}
bin=${WSTEST_DIR:?the directory that setup.sh made}/bin

mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
rm -f "$out/index.json"
"$bin/python" "$here/spec.py" client "$url" "$out" "$cases" "$excluded" "$agent" > "$out/spec.json" || exit 2

# In the background, because bash runs a trap only after a foreground command has ended.
wstest_pid=
trap '[ -z "$wstest_pid" ] || kill "$wstest_pid" 2> /dev/null' EXIT
trap 'exit 143' HUP INT TERM
timeout "${WSTEST_TIMEOUT:-1800}" "$bin/wstest" --mode fuzzingclient --spec "$out/spec.json" \
  > "$out/wstest.log" 2>&1 &
wstest_pid=$!
wait "$wstest_pid"
status=$?
wstest_pid=

"$bin/python" "$here/summarise.py" "$out" "$agent"
verdict=$?
if [ "$status" -ne 0 ]; then
  echo "  wstest ended with status $status, see $out/wstest.log"
  verdict=2
fi
exit "$verdict"
