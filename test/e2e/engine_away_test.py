#!/usr/bin/env python3
"""The container engine is away for a while: the node says so, nothing is lost, and what can be done
is done when it is back."""

import signal
import unittest

from lib import checks, suite
from lib.cluster import IMAGE, Cluster, wait_for
from lib.engine import Engine, why_none

SECONDS = 120


@unittest.skipIf(why_none(), why_none())
class EngineAwayTest(suite.Case):
    def begin(self, cluster, engine):
        cluster.environment["DOCKER_HOST"] = engine.host
        cluster.start("a")

    def spec(self, cluster, ident, **more):
        return cluster.spec("stays", id=ident, network="none", restart="always", **more)

    def wait_engine(self, cluster, up):
        def seen():
            answer = cluster.cube("node", "ls", "-o", "json", code=None)
            if answer.code != 0 or not answer.json():
                return False
            (node,) = answer.json()
            (engine,) = [e for e in node["engines"] if e["kind"] == "docker"]
            return engine["up"] == up and node
        return wait_for(f"engine up: {up}", seen, SECONDS)

    def wait_running(self, cluster, task, **wanted):
        def there():
            shown = cluster.tasks()[task]
            return shown["status"] == "running" and all(shown[k] == v for k, v in wanted.items())
        wait_for(f"{task} runs with {wanted}", there, SECONDS)

    def waits_for_it(self, cluster):
        """A task that comes meanwhile waits, and says for what."""
        cluster.cube("run", "-d", "-f", "-",
                     stdin=suite.json_bytes(self.spec(cluster, "stays-new")))

        def says():
            shown = cluster.tasks().get("stays-new", {})
            return "engine" in (shown.get("reason") or "") or f"not yet: {shown}"
        wait_for("it waits for the engine", says)

    def test_containers_outlive_it(self):
        with Engine(live_restore=True) as engine, Cluster("docker") as cluster:
            self.begin(cluster, engine)
            cluster.run(self.spec(cluster, "stays-1"))
            (container,) = engine.running("stays-1")
            engine.stop(signal.SIGKILL)
            node = self.wait_engine(cluster, False)
            self.assertEqual(node["status"], "ready", "the worker is well")
            self.waits_for_it(cluster)
            self.assertEqual(cluster.tasks()["stays-1"]["status"], "running")
            told = cluster.cube("doctor", code=None)
            self.assertIn("not answering: docker", told.out)
            self.assertIn("GET /version: cannot connect: Connection refused",
                          cluster.log_tail("a"))
            engine.start()
            self.wait_engine(cluster, True)
            self.wait_running(cluster, "stays-new", attempt=1, launch=0)
            self.wait_running(cluster, "stays-1", attempt=1, launch=0)
            self.assertEqual(engine.running("stays-1"), [container], "it was left alone")
            cluster.cube("stop", "stays-1", "stays-new")
            wait_for("no container", lambda: not engine.docker("ps", "-aq").split())

    def test_containers_end_with_it(self):
        with Engine() as engine, Cluster("docker") as cluster:
            self.begin(cluster, engine)
            cluster.run([self.spec(cluster, "stays-1"),
                         {**self.spec(cluster, "once-1"), "restart": "no"}])
            engine.stop(signal.SIGTERM)
            self.wait_engine(cluster, False)
            self.waits_for_it(cluster)
            # What is asked for meanwhile is done later.
            cluster.run(self.spec(cluster, "stays-2"), "-d")
            cluster.cube("stop", "-d", "stays-2")
            engine.start()
            self.wait_engine(cluster, True)
            self.wait_running(cluster, "stays-1", attempt=1)
            self.wait_running(cluster, "stays-new", attempt=1, launch=0)
            tasks = cluster.wait_status({"once-1": "failed", "stays-2": "stopped"})
            self.assertGreaterEqual(tasks["stays-1"]["launch"], 1)
            self.assertTrue(tasks["once-1"]["reason"])
            self.assertEqual(len(engine.running("stays-1")), 1)
            checks.check_log(cluster)

    def test_worker_starts_without_it(self):
        with Engine() as engine, Cluster("docker") as cluster:
            engine.stop()
            cluster.environment["DOCKER_HOST"] = engine.host
            cluster.start_nats()
            cluster.start_manager()
            cluster.start_worker("a")
            # What runs there may be anything: the node takes no work, and says why.
            node = self.wait_engine(cluster, False)
            self.assertEqual(node["reason"],
                             "cannot say yet what runs there: no answer from engine docker")
            cluster.run(self.spec(cluster, "stays-new"), "-d")
            engine.start()
            self.wait_running(cluster, "stays-new", attempt=1, launch=0)
            self.assertEqual(engine.docker("ps", "--format", "{{.Image}}").split(), [IMAGE])


if __name__ == "__main__":
    suite.main()
