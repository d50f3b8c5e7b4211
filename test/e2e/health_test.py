#!/usr/bin/env python3
"""Health checks: who serves is healthy, who does not is restarted, and in the end given up."""

import datetime
import os
import unittest

from lib import checks, suite
from lib.cluster import Cluster, wait_for, why_no_docker

# Serves /health until the script goes on; a plain process has its port from the worker.
SERVE = ('d=$(mktemp -d); echo ok > $d/health; '
         'busybox httpd -f -p ${CUBE_PORT_8080:-8080} -h $d & ')


def check(**more):
    """Failures count twice a second, so that tests are short."""
    return {"http": "/health", "interval": "500ms", "retries": 2, **more}


class Health(suite.Case):
    ENGINE = "process"

    def cluster(self):
        return Cluster(self.ENGINE)

    def spec(self, cluster, script, **more):
        return cluster.spec("web", script, id="web-1", ports=[8080], **more)

    def unhealthy_then_failed(self):
        """It serves for a while; each launch that does not any more is ended, the last for good."""
        with self.cluster() as cluster:
            cluster.start("a")
            feed = checks.Feed(cluster)
            spec = self.spec(cluster, SERVE + "sleep 3; rm $d/health; wait", health=check(),
                             restart="on-failure:2")
            shown = cluster.cube("run", "-f", "-", stdin=suite.json_bytes(spec))
            self.assertIn("web-1: healthy on", shown.err)
            task = cluster.wait_status({"web-1": "failed"})["web-1"]
            self.assertEqual(task["reason"], "unhealthy: GET /health: 404")
            self.assertEqual((task["attempt"], task["launch"]), (1, 1))
            self.assertFalse(task["healthy"])
            events = feed.of("web-1")
            statuses = [e["status"] for e in events]
            checks.check_order("web-1", statuses)
            once = ["running", "running", "unhealthy"]  # the second one is healthy
            self.assert_in_order([*once, "restarting", *once, "failed"], statuses)
            told = {(e["status"], e["healthy"], e.get("reason", "")) for e in events}
            self.assertIn(("running", False, ""), told)
            self.assertIn(("running", True, ""), told)
            self.assertIn(("unhealthy", False, "GET /health: 404"), told)
            self.assertIn(("restarting", False, "unhealthy: GET /health: 404"), told)
            feed.close()
            kinds = [e["kind"] for e in cluster.events() if e.get("task") == "web-1"]
            self.assert_in_order(["running", "healthy", "unhealthy", "exited", "running",
                                  "healthy", "unhealthy", "exited"], kinds)
            wait_for("nothing of it runs", lambda: "web-1" not in checks.living(cluster))
            checks.check_log(cluster)

    def start_period(self):
        """It needs its time: failures before that do not count, and `cube run` waits."""
        with self.cluster() as cluster:
            cluster.start("a")
            spec = self.spec(cluster, "sleep 4; " + SERVE + "wait",
                             health=check(start_period="10m", retries=1, interval="100ms"))
            cluster.run(spec)
            task = cluster.tasks()["web-1"]
            self.assertEqual((task["status"], task["healthy"], task["launch"]),
                             ("running", True, 0))
            began, healthy = (self.time_of(cluster, kind) for kind in ("running", "healthy"))
            self.assertGreater(healthy - began, 3.5)

    def by_command(self):
        """A command inside the task says when it is ready; in the end it says otherwise."""
        with self.cluster() as cluster:
            cluster.start("a")
            ready = "/tmp/ready" if self.ENGINE == "docker" else cluster.path("ready")
            command = ["sh", "-c", f"test -e {ready} && exit 0; echo not ready; exit 4"]
            spec = cluster.spec("web", f"sleep 2; touch {ready}; sleep 3; rm {ready}; sleep 1000",
                                id="web-1", restart="no", health={
                                    "command": command,
                                    "interval": "500ms", "retries": 2, "start_period": "1h"})
            shown = cluster.cube("run", "-f", "-", stdin=suite.json_bytes(spec))
            self.assertIn("web-1: healthy on", shown.err)
            task = cluster.wait_status({"web-1": "failed"})["web-1"]
            self.assertEqual(task["reason"], "unhealthy: command: exit code 4: not ready")

    def time_of(self, cluster, kind, launch=0):
        """Seconds, of the first fact of that kind."""
        for event in cluster.events():
            if event["kind"] == kind and event.get("launch") == launch:
                text = event["happened_at"].replace("Z", "+00:00")
                return datetime.datetime.fromisoformat(text).timestamp()
        raise AssertionError(f"no fact '{kind}'")


class HealthProcessTest(Health):
    def test_by_command(self):
        self.by_command()

    def test_unhealthy_then_failed(self):
        self.unhealthy_then_failed()

    def test_start_period(self):
        self.start_period()

    def test_readiness(self):
        """on_failure: none. It is not healthy for a while, and is left alone."""
        with self.cluster() as cluster:
            cluster.start("a")
            gate = cluster.path("closed")
            script = (f"while :; do while [ -e {gate} ]; do sleep 0.1; done; {SERVE}"
                      f"while [ ! -e {gate} ]; do sleep 0.1; done; kill $!; wait; done")
            cluster.run(self.spec(cluster, script, health={
                "tcp": True, "interval": "200ms", "retries": 2, "on_failure": "none"}))
            for _ in range(2):
                with open(gate, "w", encoding="utf-8"):
                    pass
                task = cluster.wait_status({"web-1": "unhealthy"})["web-1"]
                self.assertFalse(task["healthy"])
                self.assertIn("connection refused", task["reason"])
                os.remove(gate)
                task = cluster.wait_status({"web-1": "running"})["web-1"]
                self.assertTrue(task["healthy"])
            self.assertEqual((task["attempt"], task["launch"]), (1, 0))

    def test_the_worker_is_killed(self):
        """Its checks go on with the next one, from what was known."""
        with self.cluster() as cluster:
            cluster.start("a")
            gate = cluster.path("gate")
            script = SERVE + f"while [ ! -e {gate} ]; do sleep 0.1; done; rm $d/health; wait"
            cluster.run(self.spec(cluster, script, health=check(), restart="no"))
            cluster.kill("a")
            with open(gate, "w", encoding="utf-8"):
                pass
            cluster.start_again("a")
            task = cluster.wait_status({"web-1": "failed"})["web-1"]
            self.assertEqual(task["reason"], "unhealthy: GET /health: 404")
            self.assertEqual(task["launch"], 0)

    def test_a_crash_is_made_good_soon(self):
        """The next launch runs the back-off of 0.2 s later, and what starting takes."""
        with self.cluster() as cluster:
            cluster.start("a")
            gone = cluster.path("gone")
            script = f"[ -e {gone} ] || {{ touch {gone}; exit 7; }}; exec sleep 1000000"
            cluster.run(self.spec(cluster, script))
            wait_for("its second launch",
                     lambda: (cluster.tasks()["web-1"]["launch"],
                              cluster.tasks()["web-1"]["status"]) == (1, "running"))
            took = self.time_of(cluster, "running", 1) - self.time_of(cluster, "exited", 0)
            print(f"  runs again {took:.3f} s after the crash, back-off of 0.2 s included")
            self.assertGreater(took, 0.15)
            self.assertLess(took, 30)

    def test_moves_on_failure(self):
        """Its restarts used up, it goes to the other node; then it has moved often enough."""
        with self.cluster() as cluster:
            cluster.start("ab")
            feed = checks.Feed(cluster)
            cluster.cube("run", "-d", "-f", "-", stdin=suite.json_bytes(
                self.spec(cluster, "exit 3", restart="no", reschedule="on-failure:1")))

            def moved():
                task = cluster.tasks()["web-1"]
                return task["attempt"] == 2 and task["status"] == "pending" and task
            task = wait_for("the second failure", moved)
            self.assertIn("moved 1 times within the hour; the next move is due at", task["reason"])
            last = cluster.cube("task", "inspect", "web-1", "-o", "json").json()[0]["last_node"]
            self.assertIn(f"failed on {last}: exit code 3", task["reason"])
            nodes = {e["node"] for e in feed.of("web-1") if e["status"] == "running"}
            self.assertEqual(nodes, {cluster.node("a"), cluster.node("b")})
            feed.close()
            cluster.cube("stop", "web-1")
            self.assertEqual(cluster.tasks()["web-1"]["status"], "stopped")
            checks.check_log(cluster)


@unittest.skipIf(why_no_docker(), why_no_docker())
class HealthDockerTest(Health):
    ENGINE = "docker"

    def test_by_command(self):
        self.by_command()

    def test_unhealthy_then_failed(self):
        self.unhealthy_then_failed()

    def test_start_period(self):
        self.start_period()


if __name__ == "__main__":
    suite.main()
