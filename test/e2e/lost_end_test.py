#!/usr/bin/env python3
"""A log that has lost its end: the streams are an older copy of themselves, as after a restored
backup or a power cut. What runs then runs on, and is in the log again."""

import shutil

from lib import checks, suite
from lib.cluster import Cluster, wait_for

SECONDS = 90  # of them 12 in which workers may join again


class LostEndTest(suite.Case):
    def test_the_manager_remembers(self):
        """Its own view is ahead of the log."""
        self._lose(forget=False)

    def test_only_workers_remember(self):
        """The manager is new: workers have been told what the log does not have."""
        self._lose(forget=True)

    def _lose(self, forget):
        with Cluster("process") as cluster:
            cluster.start()
            script = checks.witness_script(cluster.dir)
            old = cluster.run([cluster.spec("old", script, id=f"old-{n}") for n in range(2)])
            cluster.wait_status(dict.fromkeys(old, "running"))
            cluster.kill("nats")
            shutil.copytree(cluster.path("nats"), cluster.path("older"))
            cluster.start_nats()
            cluster.wait_ready()

            new = cluster.run([cluster.spec("new", script, id=f"new-{n}") for n in range(3)])
            task = cluster.spec("web", script)
            del task["name"]
            job = {"name": "web", "type": "service", "replicas": 2, "task": task}
            cluster.run(job)
            everything = old + new + ["web-v1-0", "web-v1-1"]
            cluster.wait_status(dict.fromkeys(everything, "running"))
            before = self._witness(cluster)
            self.assertEqual(len(before), len(everything))

            cluster.kill("nats")
            if forget:
                cluster.kill("manager")
                shutil.rmtree(cluster.path("state", "manager"))
            shutil.rmtree(cluster.path("nats"))
            shutil.move(cluster.path("older"), cluster.path("nats"))
            cluster.start_nats()
            if forget:
                cluster.start_again("manager")
            cluster.wait_status(dict.fromkeys(everything, "running"), SECONDS)
            wait_for("nodes", lambda: self._ready(cluster), SECONDS)
            self.assertEqual(self._witness(cluster), before, "nothing was started anew")

            kinds = {}
            for event in cluster.events():
                kinds.setdefault(event["kind"], set()).add(event.get("task"))
            self.assertEqual(kinds["readopt"], set(everything) - set(old))
            self.assertNotIn("drop", kinds)
            cluster.cube("verify")
            # Of the job nobody knows any more; its tasks are their user's.
            cluster.cube("stop", "web-v1-0", "new-0")
            cluster.run(job)
            cluster.wait_status({"web-v1-0": "stopped", "web-v1-1": "stopped", "new-0": "stopped",
                                 "web-v2-0": "running", "web-v2-1": "running"})

    @staticmethod
    def _witness(cluster):
        with open(cluster.path("witness"), encoding="utf-8") as file:
            return sorted(file.read().splitlines())

    @staticmethod
    def _ready(cluster):
        nodes = cluster.cube("node", "ls", "-o", "json").json()
        return all(node["status"] == "ready" for node in nodes) or f"not yet: {nodes}"


if __name__ == "__main__":
    suite.main()
