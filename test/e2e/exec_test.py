#!/usr/bin/env python3
"""cube exec: commands in running tasks, on both engines, through the command line."""

import signal
import subprocess
import sys
import time
import unittest

from lib import suite
from lib.cluster import Cluster, wait_for, why_no_docker

UNTIL_TOLD = "trap 'exit 0' TERM; while :; do sleep 1000000 & wait $!; done"


def somebody_runs(mark):
    """Whether a process of this machine has exactly this command line."""
    found = subprocess.run(["pgrep", "-x", "-f", "--", mark], capture_output=True, check=False)
    return found.returncode == 0


class Exec:
    """The tests; the classes below name the engine."""

    engine = ""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(cls.engine)
        try:
            cls.cluster.start("a")
            spec = cls.cluster.spec("host", UNTIL_TOLD, env={"GREETING": "hello"})
            cls.task = cls.cluster.run(spec)[0]
        except BaseException:
            cls.cluster.__exit__(*sys.exc_info())
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__()

    def tearDown(self):
        self.cluster.check_alive()
        super().tearDown()

    def sh(self, script, *flags, **more):
        return self.cluster.cube("exec", *flags, self.task, "sh", "-c", script, **more)

    def test_output_and_code(self):
        ran = self.sh("echo $GREETING; echo oops >&2; exit 7", code=7)
        self.assertEqual((ran.out, ran.err), ("hello\n", "oops\n"))
        ran = self.sh("echo $GREETING $MORE; pwd", "-e", "GREETING=bye", "-e", "MORE=2", "-w",
                      "/tmp")
        self.assertEqual(ran.out, "bye 2\n/tmp\n")
        self.assertEqual(self.cluster.cube("exec", "host", "true").code, 0)

    def test_input(self):
        self.assertEqual(self.sh("cat; echo end").out, "end\n", "without -i there is none")
        text = "".join(f"line {i}\n" for i in range(100_000)).encode()
        ran = self.cluster.cube("exec", "-i", self.task, "cat", stdin=text)
        self.assertEqual(len(ran.out), len(text))
        self.assertEqual(ran.out.encode(), text)
        self.assertEqual(self.cluster.cube("exec", "-i", self.task, "cat", stdin=b"").out, "")
        # A command that does not read its input to the end is not waited for.
        ran = self.cluster.cube("exec", "-i", self.task, "sh", "-c", "read x; echo $x",
                                stdin=text)
        self.assertEqual(ran.out, "line 0\n")

    def test_what_cannot_be_run(self):
        ran = self.cluster.cube("exec", self.task, "/no/such/program", code=None)
        self.assertEqual(ran.code, 127)
        self.assertIn("no/such/program", ran.out + ran.err)
        ran = self.cluster.cube("exec", self.task, "--", "echo", "--", "x")
        self.assertEqual(ran.out, "-- x\n")
        self.assertEqual(self.cluster.cube("exec", "nobody", "true", code=3).out, "")
        ended = self.cluster.run(self.cluster.spec("ended", "exit 0"), "-d")[0]
        self.cluster.wait_status({ended: "completed"})
        ran = self.cluster.cube("exec", ended, "true", code=125)
        self.assertIn("does not run", ran.err)
        self.cluster.cube("exec", self.task, code=64)

    def test_interrupt_ends_the_command(self):
        mark = f"81{time.time_ns() % 10**9}"
        running = self.cluster.cube_begin("exec", self.task, "sh", "-c", f"sleep {mark}; true")
        wait_for("the command", lambda: somebody_runs(f"sleep {mark}"))
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 130, err)
        wait_for("its end", lambda: not somebody_runs(f"sleep {mark}"))

    def test_vanished_caller_ends_the_command(self):
        mark = f"82{time.time_ns() % 10**9}"
        running = self.cluster.cube_begin("exec", self.task, "sh", "-c", f"sleep {mark}; true")
        wait_for("the command", lambda: somebody_runs(f"sleep {mark}"))
        running.kill()
        running.communicate(timeout=60)
        wait_for("its end", lambda: not somebody_runs(f"sleep {mark}"))

    def test_command_ends_with_its_task(self):
        task = self.cluster.run(self.cluster.spec("short-lived", UNTIL_TOLD))[0]
        mark = f"83{time.time_ns() % 10**9}"
        running = self.cluster.cube_begin("exec", task, "sleep", mark)
        wait_for("the command", lambda: somebody_runs(f"sleep {mark}"))
        self.cluster.cube("stop", task)
        _, err = running.communicate(timeout=60)
        self.assertNotEqual(running.returncode, 0, err)
        self.assertFalse(somebody_runs(f"sleep {mark}"))


class ExecProcessTest(Exec, suite.Case):
    engine = "process"

    def test_worker_may_refuse(self):
        cluster = self.cluster
        cluster.start_worker("c", "--no-exec")
        cluster.wait_ready("ac")
        spec = cluster.spec("closed", UNTIL_TOLD, constraints=[])
        # The second node has fewer tasks, but any way will do to get one there.
        tasks = [cluster.run(spec)[0] for _ in range(2)]
        nodes = {cluster.tasks()[task]["node"]: task for task in tasks}
        ran = cluster.cube("exec", nodes[cluster.node("c")], "true", code=125)
        self.assertIn("--no-exec", ran.err)
        cluster.end("c")


@unittest.skipIf(why_no_docker(), why_no_docker())
class ExecDockerTest(Exec, suite.Case):
    engine = "docker"


if __name__ == "__main__":
    suite.main()
