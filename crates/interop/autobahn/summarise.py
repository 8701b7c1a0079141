#!/usr/bin/env python3
"""summarise.py OUTDIR AGENT

Reads the report that wstest left in OUTDIR (index.json, wstest.log) and prints one line for AGENT,
    AGENT: ok N nonstrict N info N unimplemented N failed N
then, by verdict, the ids of the cases that are not OK.

Each case has two verdicts: on its behaviour (counted in the line) and on how the connection closed
(listed as "close ...").  The close of a case whose behaviour is INFORMATIONAL is not judged, as in
the suite's own report.

Exit status: 0 if every behaviour is OK or INFORMATIONAL and so is every close; 1 if not; 2 if there
is no report or not every chosen case ran.
"""
import json
import pathlib
import re
import sys

COLUMNS = {
    "OK": "ok",
    "NON-STRICT": "nonstrict",
    "INFORMATIONAL": "info",
    "UNIMPLEMENTED": "unimplemented",
    "FAILED": "failed",
}
GOOD = ("OK", "INFORMATIONAL")


def ranges(case_ids):
    """1.1.1 1.1.2 1.1.3 1.2.1 -> 1.1.1-3 1.2.1"""
    runs = []
    for case in sorted([int(part) for part in case_id.split(".")] for case_id in case_ids):
        if runs and case[:-1] == runs[-1][-1][:-1] and case[-1] == runs[-1][-1][-1] + 1:
            runs[-1].append(case)
        else:
            runs.append([case])
    return " ".join(
        ".".join(map(str, run[0])) + ("-%d" % run[-1][-1] if len(run) > 1 else "") for run in runs
    )


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    out, agent = pathlib.Path(sys.argv[1]), sys.argv[2]
    try:
        cases = json.loads((out / "index.json").read_text(encoding="utf-8"))[agent]
        log = (out / "wstest.log").read_text(encoding="utf-8", errors="replace")
        chosen = int(re.search(r"^Ok, will run (\d+) test cases", log, re.MULTILINE).group(1))
    except (OSError, KeyError, AttributeError):
        print("%s: no report in %s" % (agent, out))
        return 2

    behaviours, closes = {}, {}
    for case_id, case in cases.items():
        behaviours.setdefault(case["behavior"], []).append(case_id)
        # A case that is not implemented was not run to its close.
        if case["behavior"] not in ("INFORMATIONAL", "UNIMPLEMENTED"):
            closes.setdefault(case["behaviorClose"], []).append(case_id)

    counts = ("%s %d" % (name, len(behaviours.get(verdict, []))) for verdict, name in COLUMNS.items())
    print("%s: %s" % (agent, " ".join(counts)))
    for verdict in sorted(set(behaviours) - {"OK"}):
        print("  %s: %s" % (verdict, ranges(behaviours[verdict])))
    for verdict in sorted(set(closes) - set(GOOD)):
        print("  close %s: %s" % (verdict, ranges(closes[verdict])))

    if not cases or len(cases) != chosen:
        print("  only %d of %d cases ran" % (len(cases), chosen))
        return 2
    return 0 if (set(behaviours) | set(closes)) <= set(GOOD) else 1


if __name__ == "__main__":
    sys.exit(main())
