#!/usr/bin/env python3
"""`cube verify` on real services: all of one mind, whatever happens to the log; a record that a
manager has otherwise is named; who does not answer is, too."""

import os
import subprocess

from lib import suite
from lib.cluster import Cluster, bin_dir, wait_for


class VerifyTest(suite.Case):
    def setUp(self):
        super().setUp()
        self.cluster = Cluster("process").__enter__()
        self.addCleanup(lambda: self.cluster.__exit__())
        self.cluster.start_nats()
        for name in ("m0", "m1"):
            self.cluster.start_manager(name)
        for letter in "ab":
            self.cluster.start_worker(letter, "--cpus", "4", "--memory", "1Gi", "--disk", "1Gi")
        self.cluster.wait_ready()
        specs = [self.cluster.spec("web", id=f"web-{n}", cpus=0.1) for n in range(6)]
        self.tasks = self.cluster.run(specs)
        self.cluster.run(self.cluster.spec("ends", "exit 0", id="ends-0", restart="no"), "-d")
        self.cluster.wait_status({"ends-0": "completed", **dict.fromkeys(self.tasks, "running")})

    def verify(self, *flags, code=0):
        result = self.cluster.cube("verify", "-o", "json", *flags, code=code)
        report = result.json()
        self.assertEqual(report["same"], code == 0, result)
        return report

    @staticmethod
    def by_kind(report, kind):
        return {one["name"]: one for one in report["compared"] if one["kind"] == kind}

    def leader(self):
        return self.cluster.cube("status", "-o", "json").json()["leader"]

    def end_standby(self):
        standby = {"m0": "m1", "m1": "m0"}[self.leader()]
        self.assertEqual(self.cluster.end(standby), 0)
        return standby

    def test_all_the_same(self):
        report = self.verify()
        self.assertEqual({s["name"]: s["missing"] for s in report["streams"]},
                         {"CUBE_INTENTS": 0, "CUBE_DECISIONS": 0, "CUBE_FACTS": 0})
        self.assertEqual(report["tasks"], 7)
        managers = self.by_kind(report, "manager")
        self.assertEqual(set(managers), {"m0", "m1"})
        self.assertEqual(sorted(m["detail"] for m in managers.values()), ["follows", "leads"])
        self.assertEqual(set(self.by_kind(report, "worker")),
                         {self.cluster.node("a"), self.cluster.node("b")})
        self.assertEqual(set(self.by_kind(report, "set")),
                         {self.cluster.node("a"), self.cluster.node("b")})
        self.assertEqual({one["result"] for one in report["compared"]}, {"same"})
        text = self.cluster.cube("verify", "--offline").out
        self.assertIn("CUBE_DECISIONS", text)
        self.assertNotIn("manager", text)

    def test_while_work_goes_on(self):
        churn = self.cluster.cube_begin("run", "--replicas", "20", "--name", "churn", "--engine",
                                        "process", "sh", "-c", "sleep 1")
        try:
            for _ in range(3):
                self.verify()
        finally:
            churn.kill()
            churn.communicate()

    def test_a_foreign_message_is_counted(self):
        with self.cluster.connect() as client:
            client.append("cube.decisions", "who is this?")
        report = self.verify()
        self.assertEqual(report["foreign_decisions"], 1)
        self.assertIn("does not continue the log", report["notes"][0])

    def test_a_record_that_differs(self):
        standby = self.end_standby()
        view = self.cluster.path("state", standby, "manager", "view")
        edit = subprocess.run([os.path.join(bin_dir(), "cube-edit-view"), view, self.tasks[2]],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(edit.returncode, 0, edit)
        self.cluster.start_again(standby)

        def answers():
            report = self.cluster.cube("verify", "-o", "json", code=None).json()
            one = self.by_kind(report, "manager").get(standby, {"result": "no answer"})
            return one if one["result"] in ("same", "differs") else "not yet: " + str(one)
        one = wait_for("an answer of the standby", answers)
        self.assertEqual(one["result"], "differs")
        difference = one["difference"]
        self.assertEqual(difference["record"], "task " + self.tasks[2])
        self.assertEqual((difference["field"], difference["log"], difference["service"]),
                         ("attempt", "1", "6"))
        report = self.verify(code=1)
        self.assertEqual(self.by_kind(report, "manager")[self.leader()]["result"], "same")
        text = self.cluster.cube("verify", code=1).out
        self.assertIn(f"manager {standby}, as of decision", text)
        self.assertIn("task " + self.tasks[2], text)

    def test_who_does_not_answer_is_named(self):
        self.end_standby()
        leader = self.leader()
        self.cluster.kill(leader)
        report = self.verify(code=2)
        self.assertEqual(self.by_kind(report, "manager")[leader]["result"], "no answer")
        self.verify("--offline")
        self.cluster.kill("a")
        report = self.verify(code=2)
        worker = self.by_kind(report, "worker")[self.cluster.node("a")]
        self.assertEqual(worker["result"], "no answer")


if __name__ == "__main__":
    suite.main()
