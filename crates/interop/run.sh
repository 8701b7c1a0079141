#!/usr/bin/env bash
# run.sh [--tls] [PART ...]
#
# Tries our peers against real programs, and ends with a table of what passed with each program in
# each role of ours. PART is one of
#
#   node               the package ws of Node.js, and a handshake byte by byte
#   nodejs-websocket   the package nodejs-websocket of Node.js
#   python             the package websockets of Python
#   browser            the page of `duologue serve` in Chromium
#   autobahn           the Autobahn|Testsuite: only if it is named, because it takes minutes
#
#   --tls   over TLS
#
# Environment: as for the run.sh of each part.
#
# Exit status: 0 if everything came through as it should; 1 if not; 2 if a program could not be
# installed, or its part could not be tried otherwise.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

tls=()
parts=()
for argument in "$@"; do
  case $argument in
    -h | --help)
      usage
      exit 0
      ;;
    --tls) tls=(--tls) ;;
    node | nodejs-websocket | python | browser | autobahn) parts+=("$argument") ;;
    *) die "unknown argument $argument (--help explains)" ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=(node nodejs-websocket python browser)

# What a part prints in place of a tally: the closing lines of Node's runner, or those of the
# Autobahn suite, where an informational verdict is neither good nor bad.
tally_of_log() {
  awk -v program="$1" -v OFS='\t' '
    $2 == "pass" { passed += $3; found = 1 }
    $2 == "fail" { failed += $3 }
    $2 == "skipped" { skipped += $3 }
    $1 ~ /^(tokio|std)-(server|client):$/ {
      sub("-", " ", $1); sub(":", "", $1)
      print program, $1, $3, $5 + $9 + $11, $7
    }
    END { if (found) print program, "server", passed, failed, skipped }' "$2"
}

place=$CARGO_TARGET_DIR/interop
mkdir -p "$place" || die "$place cannot be made"
all=$place/tally
: > "$all"
status=0
untried=()
for part in "${parts[@]}"; do
  case $part in
    node) command=("$here/node/run.sh" "${tls[@]}" ws tutorial) ;;
    nodejs-websocket) command=("$here/node/run.sh" "${tls[@]}" nodejs-websocket) ;;
    python) command=("$here/python/run.sh" "${tls[@]}") ;;
    browser | autobahn) command=("$here/$part/run.sh" "${tls[@]}") ;;
  esac
  tally=$place/$part.tally
  : > "$tally"
  started=$SECONDS
  INTEROP_TALLY=$tally "${command[@]}" 2>&1 | tee "$place/$part.log"
  part_status=${PIPESTATUS[0]}
  echo "== $part: status $part_status after $((SECONDS - started)) s"
  [ -s "$tally" ] || tally_of_log "$part" "$place/$part.log" > "$tally"
  case $part_status in
    0) ;;
    1) [ "$status" = 2 ] || status=1 ;;
    *)
      status=2
      untried+=("$part")
      ;;
  esac
  # What passes without a single test has tried nothing.
  if [ ! -s "$tally" ] && [ "$part_status" = 0 ]; then
    status=2
    untried+=("$part")
  fi
  cat "$tally" >> "$all"
done

# A program has a line for each role, in whatever file its tests stand.
awk -F '\t' '
  BEGIN {
    printf "\n%-24s %-13s %7s %7s %8s\n", "program", "our role", "passed", "failed", "skipped"
  }
  {
    key = sprintf("%-24s %-13s", $1, $2)
    if (!(key in seen)) { seen[key] = 1; order[++count] = key }
    passed[key] += $3; failed[key] += $4; skipped[key] += $5
  }
  END {
    for (i = 1; i <= count; i++) {
      key = order[i]
      printf "%s %7d %7d %8d\n", key, passed[key], failed[key], skipped[key]
      p += passed[key]; f += failed[key]; s += skipped[key]
    }
    printf "\n%d passed, %d failed, %d skipped\n", p, f, s
  }' "$all"
for part in "${parts[@]}"; do
  # Node's runner marks so what it skips, with its reason.
  grep -a '# ' "$place/$part.log" | sed -n "s/^ *\xef\xb9\xa3 */SKIPPED: $part: /p" |
    sed 's/ ([0-9.]*ms)//' | sort -u
done
for part in "${untried[@]}"; do
  echo "NOT TRIED: $part (the reason stands above)"
done
exit "$status"
