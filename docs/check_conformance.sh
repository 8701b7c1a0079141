#!/usr/bin/env bash
# Each row of docs/conformance.md, and of docs/security.md, names its tests as `file::test`; each must
# exist, and each rule must have a row.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.."
status=0
while read -r reference; do
  file=${reference%%::*} test=${reference##*::}
  if ! [ -f "$file" ]; then
    echo "docs: there is no $file"
    status=1
  elif ! grep -qE "fn $test\b" "$file"; then
    echo "docs: there is no $test in $file"
    status=1
  fi
done < <(grep -ohE '`(crates|fuzz)/[^`]*::[a-z0-9_]+`' docs/conformance.md docs/security.md | tr -d '`')
for rule in G{1..63} W{1..42}; do
  if ! grep -qE "^\| $rule \|.*::" docs/conformance.md; then
    echo "docs/conformance.md: $rule has no test"
    status=1
  fi
done
[ $status -eq 0 ] && echo "every rule has its tests"
exit $status
