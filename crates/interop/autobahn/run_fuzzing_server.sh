#!/usr/bin/env bash
# run_fuzzing_server.sh PORT OUTDIR [CASES [EXCLUDED [CERTIFICATES]]]
#
# Runs the suite's fuzzing server on 127.0.0.1:PORT in the foreground.  It is exec'd, so the pid of
# this script ends it.  WSTEST_DIR names the directory that setup.sh made.  CERTIFICATES names one with
# server.pem and server.key, to serve wss:// with.
#
# A client under test asks for /getCaseCount, then /runCase?case=N&agent=NAME for N from 1 to the
# count, echoing every message, then /updateReports?agent=NAME, which writes OUTDIR/index.json.
# OUTDIR/wstest.log says how many cases there are.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${1:?PORT} out=${2:?OUTDIR} cases=${3:-*} excluded=${4:-} certificates=${5:-}
bin=${WSTEST_DIR:?the directory that setup.sh made}/bin

mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out/index.json"
"$bin/python" "$here/spec.py" server "ws${certificates:+s}://127.0.0.1:$port" "$out" "$cases" "$excluded" \
  "$certificates" > "$out/spec.json"
exec "$bin/wstest" --mode fuzzingserver --spec "$out/spec.json" > "$out/wstest.log" 2>&1
