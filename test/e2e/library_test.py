#!/usr/bin/env python3
"""The end-to-end tests' own eyes: checkers see what is wrong, and nothing outlives a test."""

import os
import signal
import subprocess
import sys
import unittest

from lib import checks, suite
from lib.cluster import UP_SECONDS, wait_for


def start(task, attempt, node="n"):
    return {"stream": "decisions", "kind": "start", "task": task, "attempt": attempt, "node": node}


def fact(task, kind, attempt=1, launch=0, node="n", final=False):
    return {"stream": "facts", "kind": kind, "task": task, "attempt": attempt, "launch": launch,
            "node": node, "final": final}


class LogCheckerTest(unittest.TestCase):
    def refuses(self, *events):
        with self.assertRaises(AssertionError):
            checks.LogChecker().fold(events)

    def test_good(self):
        log = checks.LogChecker().fold([
            start("t", 1), fact("t", "starting"), fact("t", "running"), fact("t", "exited"),
            fact("t", "starting", launch=1), fact("t", "running", launch=1),
            {"stream": "decisions", "kind": "node_down", "node": "n"},
            start("t", 2, "m"), fact("t", "exited", 1, 1, final=True),
            fact("t", "running", 2, node="m")])
        self.assertEqual(log.live, {"t": (2, "m")})

    def test_bad(self):
        self.refuses(start("t", 1), start("t", 2))
        self.refuses(start("t", 2))
        self.refuses(start("t", 1), fact("t", "exited", final=True), start("t", 1))
        self.refuses(start("t", 1), fact("t", "running"), fact("t", "starting"))
        self.refuses(start("t", 1), fact("t", "running", launch=1), fact("t", "exited"))
        term = {"stream": "decisions", "kind": "term", "epoch": 1}
        self.refuses(term, term)

    def test_order(self):
        checks.check_order("t", ["pending", "scheduled", "starting", "running", "completed"])
        for bad in (["running"], ["pending", "running"],
                    ["pending", "scheduled", "pending", "lost"],
                    ["pending", "scheduled", "starting", "running", "completed", "running"]):
            with self.assertRaises(AssertionError):
                checks.check_order("t", bad)


ABANDONED = """
import sys, time
sys.path.insert(0, {folder!r})
from lib import checks
from lib.cluster import Cluster
cluster = Cluster("process").start()
cluster.run([cluster.spec("left", id=f"left-{{n}}") for n in range(3)])
print(cluster.dir, cluster.unique, flush=True)
time.sleep(1000)
"""


class GuardTest(suite.Case):
    def test_nothing_outlives_a_killed_test(self):
        script = ABANDONED.format(folder=os.path.dirname(os.path.abspath(__file__)))
        with subprocess.Popen([sys.executable, "-B", "-c", script],
                              stdout=subprocess.PIPE) as test:
            folder, unique = test.stdout.readline().decode().split()
            self.assertEqual(len(checks.living_processes(unique)), 3)
            test.send_signal(signal.SIGKILL)

        def left():
            found = []
            for entry in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{entry}/cmdline", "rb") as file:
                        if folder.encode() in file.read():
                            found.append(entry)
                except OSError:
                    pass
            return found
        wait_for("an empty machine", lambda: not left() and not os.path.exists(folder)
                 and not checks.living_processes(unique), UP_SECONDS)


if __name__ == "__main__":
    suite.main()
