# shellcheck shell=bash
#
# What the run.sh of each real program shares; they source it. It sets `root`, the checkout, and
# makes CARGO_TARGET_DIR absolute.
#
# Exit status of all of them: 0 if everything came through as it should; 1 if not; 2 if it could
# not be tried.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

die() {
  echo "${0#"$root/"}: $*" >&2
  exit 2
}

# Prints the comment at the top of the script.
usage() {
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
}

absolute() {
  case $1 in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
  esac
}

CARGO_TARGET_DIR=$(absolute "${CARGO_TARGET_DIR:-$root/target}")
export CARGO_TARGET_DIR

# apt_install PACKAGE ...  As root on Debian, installs what is missing; elsewhere it fails.
apt_install() {
  local package missing=()
  for package in "$@"; do
    dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return
  echo "${0#"$root/"}: installing ${missing[*]}" >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes -qq --no-install-recommends "${missing[@]}"; } >&2
}

# Node.js 20 or later with npm.
need_node() {
  { command -v node && command -v npm; } > /dev/null || apt_install nodejs npm
  { command -v node && command -v npm; } > /dev/null ||
    die "no Node.js with npm: install Node.js 20 or later (Debian: apt-get install nodejs npm)"
  [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
    die "Node.js 20 or later is needed"
}

# npm_install FROM PLACE  Installs in PLACE what the package-lock.json of the directory FROM says,
# and copies FROM's modules there, where Node finds node_modules beside them.
npm_install() {
  local from=$1 place=$2
  mkdir -p "$place" || die "$place cannot be made"
  cp "$from"/*.mjs "$from/package.json" "$from/package-lock.json" "$place/" ||
    die "$place cannot be written"
  # The lock of the last whole installation stands beside it.
  cmp -s "$from/package-lock.json" "$place/installed.json" && return
  (cd "$place" && npm ci --no-audit --no-fund >&2) ||
    die "what ${from#"$root/"}/package.json asks for could not be installed"
  cp "$from/package-lock.json" "$place/installed.json"
}

# python_install REQUIREMENTS PLACE  Makes PLACE a virtual environment with what the file asks for.
python_install() {
  local requirements=$1 place=$2
  python3 -c 'import ensurepip, venv' 2> /dev/null || apt_install python3 python3-venv
  python3 -c 'import ensurepip, venv' 2> /dev/null ||
    die "no Python with venv: install it (Debian: apt-get install python3 python3-venv)"
  cmp -s "$requirements" "$place/installed.txt" && [ -x "$place/bin/python" ] && return
  # --clear: what an interrupted installation has left is no base.
  python3 -m venv --clear "$place" >&2 || die "$place cannot be made"
  "$place/bin/python" -m pip install --quiet --disable-pip-version-check \
    --requirement "$requirements" >&2 ||
    die "what ${requirements#"$root/"} asks for could not be installed"
  cp "$requirements" "$place/installed.txt"
}

# cargo_build PACKAGE PROGRAM [BUILT]  Sets `program` to BUILT, or else builds PROGRAM of PACKAGE.
cargo_build() {
  if [ -n "${3:-}" ]; then
    program=$(absolute "$3")
  else
    (cd "$root" && cargo build --release -p "$1" >&2) || die "$1 does not build"
    program=$CARGO_TARGET_DIR/release/$2
  fi
  [ -x "$program" ] || die "$program is no program"
}

# Has the tests go over TLS: makes a certificate for the loopback, and tells of it in INTEROP_CERT
# and INTEROP_KEY.
make_certificate() {
  local place=$CARGO_TARGET_DIR/interop-tls
  command -v openssl > /dev/null || apt_install openssl || die "openssl is missing"
  mkdir -p "$place" || die "$place cannot be made"
  # It is its own authority, and good for a day: each run makes its own.
  openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj "/CN=duologue-interop" \
    -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" \
    -addext "basicConstraints=critical,CA:FALSE" \
    -keyout "$place/key.pem" -out "$place/cert.pem" 2> "$place/openssl.log" ||
    die "no certificate: $(cat "$place/openssl.log")"
  export INTEROP_CERT=$place/cert.pem INTEROP_KEY=$place/key.pem
}

# run_test SECONDS COMMAND ...  Runs a test, and ends it if it takes longer or if this script is
# ended. The status is 0 or 1.
run_test() {
  local seconds=$1 status
  shift
  # In the background, because bash runs a trap only after a foreground command has ended. The test
  # ends its peers itself, when it is told to end too.
  timeout --kill-after=10 "$seconds" "$@" &
  test_pid=$!
  wait "$test_pid"
  status=$?
  test_pid=
  case $status in
    0) return 0 ;;
    124 | 137) echo "${0#"$root/"}: the test took longer than $seconds s" >&2 ;;
  esac
  return 1
}
test_pid=
trap '[ -z "$test_pid" ] || kill "$test_pid" 2> /dev/null' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# run_node_test PROGRAM SECONDS FILE  Runs a file of tests with Node's runner, and tallies PROGRAM.
run_node_test() {
  local tally=${3%.test.mjs}.tally status
  rm -f "$tally"
  run_test "$2" node --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter="${3%/*}/tally.mjs" --test-reporter-destination="$tally" "$3"
  status=$?
  add_tally "$1" "$tally"
  return "$status"
}

# add_tally PROGRAM FILE  Adds to the file that INTEROP_TALLY names, if it names one, the lines of
# FILE: a role of ours, and how many tests passed, failed and were skipped, between tabs.
add_tally() {
  [ -n "${INTEROP_TALLY:-}" ] || return 0
  if [ -s "$2" ]; then
    sed "s/^/$1\t/" "$2" >> "$INTEROP_TALLY"
  else
    # A test that broke off without a tally is a failure.
    printf '%s\t(all)\t0\t1\t0\n' "$1" >> "$INTEROP_TALLY"
  fi
}
