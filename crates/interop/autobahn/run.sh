#!/usr/bin/env bash
# run.sh [--all | --cases PATTERNS] [--exclude PATTERNS] [--tls] [--jobs N] [--out DIR] [PEER ...]
#
# Runs the Autobahn|Testsuite against the echo peers of duologue-interop and prints the result of
# each.  PEER is tokio-server, tokio-client, std-server or std-client (default: all four).
#
#   --all       all 517 cases (default: 409, without the longest of sections 12 and 13)
#   --cases     comma-separated case ids or patterns instead
#   --exclude   cases to leave out of these
#   --tls       over wss://, with certificates made for the run
#   --jobs      how many peers run at a time (2)
#   --out       where the reports go, a directory per peer (default: target/autobahn/reports)
#
# Environment:
#   WSTEST_DIR        the suite, set up there if need be (default: target/autobahn/wstest)
#   WSTEST_TIMEOUT    time one peer may take, in seconds (1800)
#   DUOLOGUE_INTEROP  a built duologue-interop to use; nothing is built then
#   CARGO_TARGET_DIR  stands for target, here as for cargo
#
# Exit status: 0 if each peer ran all chosen cases and every verdict, on behaviour and on close, is
# OK or INFORMATIONAL; 1 if a verdict is anything else; 2 if a run was not complete or not possible.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)

usage() {
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

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

# 1,000 messages of 64 or 128 KiB, and most of the cases in fragments.
longest='12.*.9,12.*.1[02-8],13.*.9,13.*.1[02-8]'
cases='*'
left_out=$longest
expected=409
excluded=
tls=
jobs=2
out=
peers=()
while [ $# -gt 0 ]; do
  case $1 in
    --tls) tls=yes ;;
    --all) cases='*' left_out='' expected=517 ;;
    --cases | --exclude | --jobs | --out)
      [ $# -ge 2 ] || die "$1 needs a value"
      case $1 in
        --cases) cases=$2 left_out='' expected='' ;;
        --exclude) excluded=$2 ;;
        --jobs) jobs=$2 ;;
        --out) out=$2 ;;
      esac
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    tokio-server | tokio-client | std-server | std-client) peers+=("$1") ;;
    *) die "unknown argument $1 (--help explains)" ;;
  esac
  shift
done
[ ${#peers[@]} -gt 0 ] || peers=(tokio-server tokio-client std-server std-client)
[[ $jobs =~ ^[1-9][0-9]*$ ]] || die "--jobs needs a number from 1"
[ -z "$excluded" ] || expected=
excluded=$left_out${left_out:+${excluded:+,}}$excluded

CARGO_TARGET_DIR=$(absolute "${CARGO_TARGET_DIR:-$root/target}")
WSTEST_DIR=$(absolute "${WSTEST_DIR:-$CARGO_TARGET_DIR/autobahn/wstest}")
export CARGO_TARGET_DIR WSTEST_DIR
out=$(absolute "${out:-$CARGO_TARGET_DIR/autobahn/reports}")
time_limit=${WSTEST_TIMEOUT:-1800}

# Every process that runs beside this script stands in `running` until it has been waited for.
running=()

forget() {
  local other left=()
  for other in ${running[@]+"${running[@]}"}; do
    [ "$other" = "$1" ] || left+=("$other")
  done
  running=(${left[@]+"${left[@]}"})
}

stop() {
  local pid=$1
  if kill "$pid" 2> /dev/null; then
    for _ in {1..50}; do
      kill -0 "$pid" 2> /dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2> /dev/null
  fi
  wait "$pid" 2> /dev/null
  forget "$pid"
}

# shellcheck disable=SC2317 # called by the trap
stop_all() {
  # The newest first: else the loss of its peer would make a test report failures.
  while [ ${#running[@]} -gt 0 ]; do
    stop "${running[${#running[@]} - 1]}"
  done
}

# A subshell needs it anew.
set_traps() {
  trap stop_all EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

set_traps

# Runs a command beside this script and waits for it.  A trap can end it so; it would have to wait for
# the end of a foreground command.
run() {
  local pid status
  "$@" &
  pid=$!
  running+=("$pid")
  wait "$pid"
  status=$?
  forget "$pid"
  return "$status"
}

test_server() {
  local name=$1 adapter=$2 dir=$3 pid line='' status
  : > "$dir/peer.out"
  "$interop" echo-server --adapter "$adapter" --addr 127.0.0.1:0 ${server_tls[@]+"${server_tls[@]}"} \
    > "$dir/peer.out" 2> "$dir/peer.err" &
  pid=$!
  running+=("$pid")
  for _ in {1..100}; do
    # `read` succeeds once the line is whole.
    IFS= read -r line < "$dir/peer.out" && break
    kill -0 "$pid" 2> /dev/null || break
    sleep 0.1
  done
  if [[ $line != "listening on "* ]]; then
    echo "$name: the echo server does not listen, see $dir/peer.err"
    status=2
  else
    run "$here/run_server.sh" "$scheme://${line#listening on }" "$name" "$dir" "$cases" "$excluded"
    status=$?
    if ! kill -0 "$pid" 2> /dev/null; then
      echo "  the echo server died, see $dir/peer.err"
      status=2
    fi
  fi
  stop "$pid"
  return "$status"
}

test_client() {
  local name=$1 adapter=$2 dir=$3 port pid listening='' client_status status
  port=$("$WSTEST_DIR/bin/python" -c \
    'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])') || return 2
  "$here/run_fuzzing_server.sh" "$port" "$dir" "$cases" "$excluded" "$certificates" &
  pid=$!
  running+=("$pid")
  for _ in {1..300}; do
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null && listening=yes && break
    kill -0 "$pid" 2> /dev/null || break
    sleep 0.1
  done
  if [ -z "$listening" ]; then
    echo "$name: the fuzzing server does not listen, see $dir/wstest.log"
    status=2
  else
    run timeout "$time_limit" "$interop" autobahn-client --adapter "$adapter" \
      --url "$scheme://127.0.0.1:$port" --agent "$name" ${client_tls[@]+"${client_tls[@]}"} > "$dir/peer.out" 2> "$dir/peer.err"
    client_status=$?
    "$WSTEST_DIR/bin/python" "$here/summarise.py" "$dir" "$name"
    status=$?
    if [ "$client_status" -ne 0 ]; then
      echo "  the client ended with status $client_status, see $dir/peer.err"
      status=2
    fi
  fi
  stop "$pid"
  return "$status"
}

# To be run beside this script: the whole run of one peer, whose result it prints.
test_peer() {
  local peer=$1 dir=$2
  running=()
  set_traps
  # A report of an earlier run must not pass for one of this run.
  rm -f "$dir"/*.json "$dir"/*.html "$dir"/wstest.log "$dir"/peer.{out,err}
  case $peer in
    *-server) test_server "$peer" "${peer%-*}" "$dir" ;;
    *-client) test_client "$peer" "${peer%-*}" "$dir" ;;
  esac
}

"$here/setup.sh" "$WSTEST_DIR" >&2 || die "the suite could not be set up"
count=$("$WSTEST_DIR/bin/python" "$here/spec.py" count - - "$cases" "$excluded") || exit 2
[ "$count" = "${expected:-$count}" ] || die "there are $count of these cases, not $expected"
if [ -n "${DUOLOGUE_INTEROP:-}" ]; then
  interop=$(absolute "$DUOLOGUE_INTEROP")
else
  (cd "$root" && cargo build --release -p duologue-interop) || die "duologue-interop does not build"
  interop=$CARGO_TARGET_DIR/release/duologue-interop
fi
[ -x "$interop" ] || die "$interop is no program"

# What TLS adds to the arguments of either side.
scheme=ws certificates='' server_tls=() client_tls=()
if [ -n "$tls" ]; then
  scheme=wss certificates=$out/certificates
  "$interop" certificates "$certificates" || die "no certificates can be made"
  server_tls=(--tls-cert "$certificates/server.pem" --tls-key "$certificates/server.key")
  client_tls=(--ca "$certificates/ca.pem")
fi

worst=0
for ((first = 0; first < ${#peers[@]}; first += jobs)); do
  batch=("${peers[@]:first:jobs}")
  pids=()
  for peer in "${batch[@]}"; do
    mkdir -p "$out/$peer" || die "$out/$peer cannot be made"
    test_peer "$peer" "$out/$peer" > "$out/$peer/result" 2>&1 &
    pids+=("$!")
    running+=("$!")
  done
  for index in "${!batch[@]}"; do
    wait "${pids[index]}"
    status=$?
    forget "${pids[index]}"
    cat "$out/${batch[index]}/result"
    [ "$status" -le "$worst" ] || worst=$status
  done
done
exit "$worst"
