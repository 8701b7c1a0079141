"""Runs the tests of a module, and writes a tally of each role to the file that INTEROP_TALLY names.

A line has four fields: the role, and how many tests passed, failed and were skipped.
"""

import os
import unittest
from collections import Counter


class Result(unittest.TextTestResult):
    """Counts by the class of the tests, whose `role` names our end of the connections."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.counts = {}

    def count(self, test, outcome):
        self.counts.setdefault(type(test).role, Counter())[outcome] += 1

    def stopTest(self, test):
        super().stopTest(test)
        failed = any(case is test for case, _ in self.failures + self.errors)
        # A test whose subtests fail is told of by them.
        failed |= any(getattr(case, "test_case", None) is test for case, _ in self.failures)
        failed |= any(getattr(case, "test_case", None) is test for case, _ in self.errors)
        skipped = any(case is test for case, _ in self.skipped)
        self.count(test, "failed" if failed else "skipped" if skipped else "passed")


def main():
    runner = unittest.TextTestRunner(resultclass=Result, verbosity=2)
    result = unittest.main(testRunner=runner, exit=False).result
    if path := os.environ.get("INTEROP_TALLY"):
        with open(path, "w", encoding="utf-8") as file:
            for role, count in result.counts.items():
                numbers = (str(count[name]) for name in ("passed", "failed", "skipped"))
                file.write("\t".join([role, *numbers]) + "\n")
    raise SystemExit(0 if result.wasSuccessful() and result.testsRun else 1)
