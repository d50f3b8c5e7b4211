"""How a file of end-to-end tests runs: unittest, one line per test, the time that it took."""

import json
import os
import sys
import time
import unittest


def json_bytes(value):
    """For a command's standard input."""
    return json.dumps(value).encode()


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self._began = time.monotonic()
        print(f"{self.id()} ...", flush=True)

    def tearDown(self):
        print(f"{self.id()}: {time.monotonic() - self._began:.1f} s", flush=True)

    def assert_in_order(self, wanted, found):
        """The wanted ones are in found, in that order, perhaps with others between them."""
        rest = iter(found)
        for item in wanted:
            self.assertIn(item, rest, f"{wanted} is not a part of {found}")


def needs_docker(why):
    return unittest.skipIf(why, why)


def main():
    # The programs under test write colours and tables for pipes, whatever runs us.
    os.environ.pop("COLUMNS", None)
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=1)
