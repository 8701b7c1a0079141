#!/usr/bin/env bash
# setup.sh DIR [PYTHON]
#
# Makes DIR/bin/wstest: the WebSocket part of the Autobahn|Testsuite 25.10.1 (modes fuzzingclient and
# fuzzingserver), ported to Python 3 by port.py.  Does nothing when DIR/bin/wstest works already.
#
# PYTHON (default: the first of python3, python3.11 ... python3.8 that fits) has to be Python 3.8 to
# 3.11: the port uses lib2to3, and the pinned packages need a setuptools of that age.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:?usage: setup.sh DIR [PYTHON]}

if [ -x "$dir/bin/wstest" ] && "$dir/bin/wstest" --help > /dev/null 2>&1 &&
  "$dir/bin/python" -c "import OpenSSL" > /dev/null 2>&1; then
  exit 0
fi

fits() {
  "$1" -c 'import sys, venv, lib2to3; assert (3, 8) <= sys.version_info < (3, 12)' > /dev/null 2>&1
}

python=
for candidate in ${2:-python3 python3.11 python3.10 python3.9 python3.8}; do
  if fits "$candidate"; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "setup.sh: no Python 3.8 to 3.11 with venv and lib2to3 among: ${2:-python3, python3.8 ... python3.11}" >&2
  exit 1
fi

# The directory is made anew, so refuse one that holds something else.
if [ -e "$dir" ] && [ ! -e "$dir/pyvenv.cfg" ] && [ -n "$(ls -A "$dir")" ]; then
  echo "setup.sh: $dir is not empty and no virtual environment" >&2
  exit 1
fi
rm -rf "$dir"
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
"$python" -m venv "$dir"
pip=("$dir/bin/python" -m pip install --quiet)
"${pip[@]}" setuptools==65.5.1 wheel==0.40.0
# autobahn 0.10.9 is the version the suite's authors pin; the rest is what it needs under Python 3.
"${pip[@]}" --no-build-isolation \
  autobahn==0.10.9 txaio==2.1.0 six==1.16.0 wsaccel==0.6.7 \
  Twisted==24.7.0 zope.interface==6.4.post2 attrs==24.2.0 Automat==24.8.1 constantly==23.10.4 \
  hyperlink==21.0.0 idna==3.10 incremental==24.7.2 typing_extensions==4.12.2
# For wss:// alone.
"${pip[@]}" pyOpenSSL==24.2.1 cryptography==43.0.3 cffi==1.17.1 pycparser==2.22
"${pip[@]}" --no-deps --no-build-isolation autobahntestsuite==25.10.1
site_packages=$("$dir/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
"$dir/bin/python" "$here/port.py" "$site_packages"
"$dir/bin/wstest" --help > /dev/null
echo "$dir/bin/wstest: $("$dir/bin/python" --version 2>&1)"
