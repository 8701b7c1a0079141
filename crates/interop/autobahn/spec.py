#!/usr/bin/env python3
"""spec.py client|server|count URL OUTDIR CASES EXCLUDED [AGENT | CERTIFICATES]

Prints the JSON that wstest reads: of the fuzzing client, which tests the server AGENT at URL, or of
the fuzzing server, which listens at URL (at wss:// with server.pem and server.key of the directory
CERTIFICATES); or only how many cases are chosen.  CASES and EXCLUDED are comma-separated ids or patterns.  Run
by the Python of the suite, whose own matching decides; fails if no case or an unknown one is chosen,
because wstest then waits for ever.
"""
import json
import sys

from autobahntestsuite.case import CaseBasename, CaseCategories, Cases, CaseSetname, CaseSubCategories
from autobahntestsuite.caseset import CaseSet

mode, url, outdir, cases, excluded = sys.argv[1:6]
spec = {
    "outdir": outdir,
    "cases": [pattern for pattern in cases.split(",") if pattern],
    "exclude-cases": [pattern for pattern in excluded.split(",") if pattern],
    "exclude-agent-cases": {},
}
if mode == "client":
    spec["servers"] = [{"agent": sys.argv[6], "url": url}]
else:
    spec["url"] = url
    if url.startswith("wss:"):
        spec["cert"], spec["key"] = sys.argv[6] + "/server.pem", sys.argv[6] + "/server.key"

case_set = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
try:
    chosen = case_set.parseSpecCases(spec)
except ValueError:
    sys.exit("a case is an id such as 1.1.1, or a pattern with a *, such as 1.*")
unknown = sorted(set(chosen) - set(case_set.CasesById))
if not chosen or unknown:
    sys.exit("no such case: %s" % (", ".join(unknown) or "%s without %s" % (cases, excluded or "any")))
if mode == "count":
    print(len(chosen))
else:
    json.dump(spec, sys.stdout, indent=1)
