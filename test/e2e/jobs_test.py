#!/usr/bin/env python3
"""Jobs: replicas, scaling, rolling updates, batch work, one task on each node."""

import json

from lib import checks, suite
from lib.cluster import Cluster, wait_for

SECONDS = 120


class Jobs(suite.Case):
    def spec(self, cluster, replicas=3, mark="1", **more):
        task = cluster.spec("", checks.witness_script(cluster.dir), env={"MARK": mark})
        del task["name"]
        job = {"name": "web", "task": task, **more}
        if more.get("type") != "system":
            job["replicas"] = replicas
        return job

    def run_job(self, cluster, job, *flags, code=0):
        return cluster.cube("run", "-f", "-", *flags, stdin=json.dumps(job).encode(), code=code)

    def job(self, cluster, name="web"):
        answer = cluster.cube("job", "inspect", name, "-o", "json", code=None)
        return answer.json()[0] if answer.code == 0 else {}

    def running(self, cluster):
        return sorted(i for i, t in cluster.tasks().items() if t["status"] == "running")

    def test_service(self):
        with Cluster("process") as cluster:
            cluster.start()
            done = self.run_job(cluster, self.spec(cluster))
            self.assertEqual(done.lines(), ["web"])
            self.assertIn("web: 3/3 up", done.err)
            first = [f"web-v1-{n}" for n in range(3)]
            tasks = checks.wait_exactly_once(cluster, first, SECONDS)
            self.assertEqual([(tasks[i]["job"], tasks[i]["slot"]) for i in first],
                             [("web", 0), ("web", 1), ("web", 2)])
            again = self.run_job(cluster, self.spec(cluster))
            self.assertIn("as it was asked for already", again.err)
            self.assertIn("JOB", cluster.cube("ps").out)
            self.assertEqual(cluster.cube("job", "ls", "-q").lines(), ["web"])
            self.assertIn("web-v1-2", cluster.cube("status", "web").out)
            for output in ("table", "wide", "json", "yaml", "name"):
                self.assertIn("web", cluster.cube("job", "ls", "-o", output).out, output)
                shown = cluster.cube("job", "inspect", "web", "-o", output).out
                self.assertIn("web", shown, output)
            # What is shown can be submitted again: nothing changes.
            spec = cluster.cube("job", "inspect", "web", "-o", "json").json()[0]["spec"]
            self.assertIn("as it was asked for already", self.run_job(cluster, spec).err)

            cluster.cube("job", "scale", "web", "1")
            checks.wait_exactly_once(cluster, first[:1], SECONDS)
            cluster.cube("job", "scale", "web", "2")
            tasks = checks.wait_exactly_once(cluster, first[:2], SECONDS)
            self.assertEqual(tasks["web-v1-1"]["attempt"], 2)
            one = cluster.cube("stop", "web-v1-1", code=1)
            self.assertIn("cube job scale", one.err)

            done = self.run_job(cluster, self.spec(cluster, mark="2"))
            self.assertIn("replaced", done.err)
            checks.wait_exactly_once(cluster, [f"web-v2-{n}" for n in range(3)], SECONDS)
            kinds = [e["kind"] for e in cluster.events("web")]
            self.assert_in_order(["submit_job", "fill_slots", "scale_job", "empty_slots",
                                  "submit_job", "updated"], kinds)

            self.assertEqual(cluster.cube("stop", "web").lines(), ["web"])
            checks.wait_exactly_once(cluster, [], SECONDS)
            self.assertEqual(self.job(cluster)["status"], "stopped")
            self.assertEqual(cluster.cube("job", "scale", "web", "1", code=3).out, "")
            checks.check_log(cluster)

    def test_flags_make_a_job(self):
        with Cluster("process") as cluster:
            cluster.start()
            cluster.cube("run", "--name", "two", "--replicas", "2", "--engine", "process", "--",
                         "sleep", "1000000")
            checks.wait_exactly_once(cluster, ["two-v1-0", "two-v1-1"], SECONDS)
            feed = [e for e in cluster.events("two") if e["kind"] == "running"]
            self.assertEqual(len(feed), 2)

    def test_update_survives_a_dead_manager(self):
        with Cluster("process") as cluster:
            cluster.start()
            self.run_job(cluster, self.spec(cluster, 6))
            self.run_job(cluster, self.spec(cluster, 6, mark="2"), "-d")
            for _ in range(3):
                before = self.job(cluster).get("updated", 0)
                cluster.kill("manager")
                cluster.start_again("manager")
                wait_for("the update goes on", lambda n=before: self.job(cluster)
                         and (self.job(cluster)["updated"] > n
                              or self.job(cluster)["updated"] == 6), SECONDS)
            checks.wait_exactly_once(cluster, [f"web-v2-{n}" for n in range(6)], SECONDS)
            wait_for("the update is over", lambda: self.job(cluster)["status"] == "running")
            checks.check_log(cluster)
            self.assertEqual(set(checks.starts(cluster.dir).values()), {1})

    def test_bad_update_stops(self):
        with Cluster("process") as cluster:
            cluster.start()
            self.run_job(cluster, self.spec(cluster))
            bad = self.spec(cluster)
            bad["task"]["command"] = ["/no/such/program"]
            done = self.run_job(cluster, bad, code=1)
            self.assertIn("the update failed", done.err)
            self.assertEqual(self.running(cluster), ["web-v1-1", "web-v1-2"])
            job = self.job(cluster)
            self.assertTrue(job["update_failed"])
            self.assertIn("web-v2-0", job["reason"])
            self.run_job(cluster, self.spec(cluster, mark="3"))
            checks.wait_exactly_once(cluster, [f"web-v3-{n}" for n in range(3)], SECONDS)

    def test_batch(self):
        with Cluster("process") as cluster:
            cluster.start()
            good = {"name": "good", "type": "batch", "replicas": 3,
                    "task": {"command": ["sh", "-c", "echo done"], "engine": "process"}}
            self.run_job(cluster, good)
            self.assertEqual(cluster.cube("wait", "good").lines(), ["completed"])
            self.assertEqual(self.job(cluster, "good")["status"], "completed")
            self.assertEqual(sorted(cluster.cube("logs", "good").lines()),
                             [f"good-v1-{n} | done" for n in range(3)])
            bad = {"name": "bad", "type": "batch", "replicas": 2,
                   "task": {"command": ["sh", "-c", "exit 3"], "engine": "process"}}
            self.run_job(cluster, bad, "-d")
            self.assertEqual(cluster.cube("wait", "good", "bad", code=1).lines(),
                             ["completed", "failed"])
            self.assertEqual(cluster.cube("wait", "nothing", code=3).lines(), [])
            job = self.job(cluster, "bad")
            self.assertIn("2 of 2 tasks did not complete", job["reason"])
            self.assertEqual({cluster.tasks()[f"bad-v1-{n}"]["launch"] for n in range(2)}, {2})

    def test_system(self):
        with Cluster("process") as cluster:
            cluster.start()
            self.run_job(cluster, self.spec(cluster, type="system"))
            nodes = {cluster.tasks()[i]["node"] for i in self.running(cluster)}
            self.assertEqual(nodes, {cluster.node("a"), cluster.node("b")})
            cluster.start_worker("c")
            cluster.wait_ready("abc")
            wait_for("a task on the new node", lambda: len(self.running(cluster)) == 3)
            cluster.cube("node", "drain", cluster.node("a"))
            wait_for("two are left", lambda: len(self.running(cluster)) == 2)
            cluster.cube("node", "uncordon", cluster.node("a"))
            wait_for("three again", lambda: len(self.running(cluster)) == 3)
            checks.check_log(cluster)


if __name__ == "__main__":
    suite.main()
