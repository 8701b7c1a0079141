#!/usr/bin/env bash
# Tells how much of each file its crate's own tests run: lines, regions and functions.
#
#   crates/core/coverage.sh [--missing] [PACKAGE ...]
#
#   PACKAGE    core (if none is named), adapter, std or tokio; each is measured by itself
#   --missing  after each table, the lines that no test runs
#
# The tests run with several sets of features, and what any of them runs counts, in any of a
# generic's instances. Unit tests are left out of the figures: by this project's layout they are
# all that follows `#[cfg(test)]` at a line's begin. Documentation tests are not run.
# It needs llvm-cov and llvm-profdata of the LLVM that rustc has, and installs Debian's if they are
# missing; exit 2 if they cannot be had. CARGO_TARGET_DIR is honoured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}/coverage
export CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0 CARGO_PROFILE_TEST_DEBUG=line-tables-only
export RUSTFLAGS="${RUSTFLAGS:-} -C instrument-coverage"
# Build scripts and macros are instrumented too: what they write belongs nowhere else.
export LLVM_PROFILE_FILE=$target/unused/%m.profraw

missing=0
packages=()
for argument in "$@"; do
  case $argument in
    --missing) missing=1 ;;
    core | adapter | std | tokio) packages+=("$argument") ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
  esac
done
[ ${#packages[@]} -gt 0 ] || packages=(core)

llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
if ! command -v "llvm-cov-$llvm" > /dev/null; then
  echo "coverage.sh: installing llvm-$llvm"
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "llvm-$llvm"; } > /dev/null; then
    echo "coverage.sh: llvm-cov-$llvm is missing, and cannot be installed" >&2
    exit 2
  fi
fi

# Prints the binaries that the tests of a package are built into.
binaries() { cargo test --quiet --all-targets --no-run --message-format=json "$@" | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'; }

# Reads exports of llvm-cov. Prints the table, and the lines that were not run.
report() {
  awk -v root="$root/" -v missing="$missing" '
    # Reads a file, and says where its unit tests begin.
    function open_file(name,    text, n) {
      file = name
      if (file in first_test) return
      first_test[file] = 1e9
      files[++n_files] = file
      for (n = 1; (getline text < file) > 0; n++) {
        source[file, n] = text
        if (text == "#[cfg(test)]" && first_test[file] == 1e9) first_test[file] = n
      }
      last_line[file] = n - 1
      close(file)
    }
    # Notes a line, a region or a function: where it stands is what it is known by.
    function note(what, line, place, count,    id) {
      if (line >= first_test[file]) return
      id = what SUBSEP file SUBSEP place
      if (!(id in run)) { run[id] = 0; all_of[file, what]++; all_of["total", what]++ }
      if (count > 0 && !run[id]) { run[id] = 1; run_of[file, what]++; run_of["total", what]++ }
    }
    function cell(name, what,    all) {
      all = all_of[name, what]
      return sprintf("%6d %6d %6.2f", all, run_of[name, what], all ? 100 * run_of[name, what] / all : 100)
    }
    function row(name, shown) {
      return sprintf("%-40s %s  %s  %s", shown, cell(name, "line"), cell(name, "region"), cell(name, "function"))
    }
    /^SF:/ { open_file(substr($0, 4)) }
    /^FN:/ { split(substr($0, 4), part, ","); line_of[part[2]] = part[1] }
    /^FNDA:/ { split(substr($0, 6), part, ","); note("function", line_of[part[2]] + 0, line_of[part[2]], part[1] + 0) }
    /^DA:/ { split(substr($0, 4), part, ","); note("line", part[1] + 0, part[1], part[2] + 0) }
    # "segments": [line, column, count, has a count, begins a region, is a gap]
    /"segments":/ {
      name = $0; sub(/.*"filename":"/, "", name); sub(/".*/, "", name)
      open_file(name)
      sub(/.*"segments":\[\[/, ""); sub(/\]\].*/, "")
      n = split($0, segment, /\],\[/)
      for (i = 1; i <= n; i++) {
        split(segment[i], part, ",")
        if (part[4] == "true" && part[5] == "true" && part[6] == "false")
          note("region", part[1] + 0, part[1] ":" part[2], part[3] + 0)
      }
    }
    END {
      printf "%-40s %-20s  %-20s  %s\n", "", " lines    run      %", "regions  run      %", "functions  run   %"
      fflush()
      for (i = 1; i <= n_files; i++) print row(files[i], substr(files[i], length(root) + 1)) | "sort"
      close("sort")
      print row("total", "total")
      for (i = 1; missing && i <= n_files; i++)
        for (line = 1; line <= last_line[files[i]]; line++) {
          id = "line" SUBSEP files[i] SUBSEP line
          if (id in run && !run[id]) print substr(files[i], length(root) + 1) ":" line ": " source[files[i], line]
        }
    }' "$@"
}

for package in "${packages[@]}"; do
  sets=("" "--all-features")
  [ "$package" = core ] && sets+=("--no-default-features")
  exports=()
  for set in "${sets[@]}"; do
    profiles=$target/profiles/$package$set
    rm -rf "$profiles"
    # A set is one word, or none.
    # shellcheck disable=SC2086
    built=$(binaries -p "duologue-$package" $set)
    # shellcheck disable=SC2086
    if ! LLVM_PROFILE_FILE=$profiles/%m.profraw cargo test --quiet --all-targets -p "duologue-$package" $set > "$target/log" 2>&1; then
      cat "$target/log" >&2
      exit 1
    fi
    "llvm-profdata-$llvm" merge -sparse "$profiles"/*.profraw -o "$profiles/merged"
    # One at a time: of binaries that hold the same function llvm-cov takes one, run or not.
    while read -r binary; do
      arguments=("$binary" -instr-profile="$profiles/merged" -sources "$root/crates/$package/src")
      if ! "llvm-cov-$llvm" export -format=lcov "${arguments[@]}" >> "$profiles/lcov" 2> "$target/log"; then
        # A binary that has no test with this set of features has no data.
        grep -q 'no coverage data found' "$target/log" && continue
        cat "$target/log" >&2
        exit 1
      fi
      "llvm-cov-$llvm" export -format=text -skip-functions "${arguments[@]}" 2>> "$target/log" |
        sed 's/{"branches"/\n&/g' >> "$profiles/segments"
    done <<< "$built"
    exports+=("$profiles/lcov" "$profiles/segments")
  done
  report "${exports[@]}"
done
