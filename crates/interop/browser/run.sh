#!/usr/bin/env bash
# run.sh [--tls]
#
# Tries the tester page of `duologue serve` in a headless Chromium, installing what is missing:
# playwright-core with npm, and, on Debian and as root, the package chromium with apt-get.  With
# --tls everything goes over https and wss, with a certificate that openssl makes for it.
#
# Environment:
#   DUOLOGUE          a built duologue to use; nothing is built then
#   CHROMIUM          the browser (default: chromium, chromium-browser or google-chrome of the PATH)
#   SCREENSHOTS       the directory for pictures of the page (target/browser/screenshots)
#   BROWSER_TIMEOUT   time the tests may take, in seconds (240)
#   CARGO_TARGET_DIR  stands for target, here as for cargo
#
# Exit status: 0 if the page did all it should; 1 if not; 2 if it could not be tried.
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

tls=
for argument in "$@"; do
  case $argument in
    --tls) tls=yes ;;
    -h | --help)
      sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) die "unknown argument $argument (--help explains)" ;;
  esac
done

CARGO_TARGET_DIR=$(absolute "${CARGO_TARGET_DIR:-$root/target}")
export CARGO_TARGET_DIR

command -v node > /dev/null || die "node is missing: install Node.js 20 or later"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] || die "Node.js 20 or later is needed"

find_browser() {
  if [ -n "${CHROMIUM:-}" ]; then
    command -v "$CHROMIUM"
  else
    command -v chromium || command -v chromium-browser || command -v google-chrome
  fi
}

if ! browser=$(find_browser); then
  [ -z "${CHROMIUM:-}" ] || die "$CHROMIUM is no program"
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null ||
    die "no Chromium: install it (Debian: apt-get install chromium), or name it in CHROMIUM"
  echo "run.sh: installing chromium" >&2
  { apt-get update && DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends chromium fonts-dejavu-core; } >&2 ||
    die "chromium could not be installed"
  browser=$(find_browser) || die "no Chromium after its installation"
fi

# The tests run from a copy beside its node_modules, where Node looks for them.
place=$CARGO_TARGET_DIR/browser
mkdir -p "$place" || die "$place cannot be made"
cp "$here"/*.mjs "$here/package.json" "$here/package-lock.json" "$place/" ||
  die "$place cannot be written"
# The lock of the last whole installation stands beside it.
if ! cmp -s "$here/package-lock.json" "$place/installed.json"; then
  command -v npm > /dev/null || die "npm is missing"
  (cd "$place" && npm ci --no-audit --no-fund >&2) || die "playwright-core could not be installed"
  cp "$here/package-lock.json" "$place/installed.json"
fi

if [ -n "${DUOLOGUE:-}" ]; then
  duologue=$(absolute "$DUOLOGUE")
else
  (cd "$root" && cargo build --release -p duologue-cli) || die "duologue-cli does not build"
  duologue=$CARGO_TARGET_DIR/release/duologue
fi
[ -x "$duologue" ] || die "$duologue is no program"

certificate=
key=
if [ -n "$tls" ]; then
  "$duologue" serve --help | grep -q -- --tls-cert || die "$duologue has no TLS"
  command -v openssl > /dev/null || die "openssl is missing"
  certificate=$place/certificate.pem
  key=$place/key.pem
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$key" -out "$certificate" 2> /dev/null || die "openssl made no certificate"
fi

# In the background, because bash runs a trap only after a foreground command has ended.  The tests
# end their servers and their browser themselves, when they are told to end too.
test_pid=
trap '[ -z "$test_pid" ] || kill "$test_pid" 2> /dev/null' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
DUOLOGUE=$duologue CHROMIUM=$browser TLS_CERT=$certificate TLS_KEY=$key \
  SCREENSHOTS=$(absolute "${SCREENSHOTS:-$place/screenshots}") \
  timeout --kill-after=10 "${BROWSER_TIMEOUT:-240}" node "$place/main.mjs" &
test_pid=$!
wait "$test_pid"
status=$?
test_pid=
case $status in
  0) ;;
  124 | 137) echo "run.sh: the tests took too long" >&2 && exit 1 ;;
  *) exit 1 ;;
esac
