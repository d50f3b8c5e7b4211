#!/usr/bin/env python3
"""Streams that fill up: snapshots are taken, the log behind them is trimmed, and nobody who comes
later misses anything that lives."""

import json
import shutil

from lib import suite
from lib.cluster import Cluster, wait_for

SHARE = ["--cpus", "4", "--memory", "1Gi", "--disk", "1Gi"]
FLAGS = ["--stream-bytes", "16Mi", "--keep-finished-max", "20"]
# Specifications so large that some hundred tasks fill a stream of 16 MiB more than once; each is
# another one, since equal ones share their room in a decision.
BALLAST = {f"BALLAST{i}": "x" * 4_000 for i in range(10)}
TASKS = 700
AT_ONCE = 10
FULL_SECONDS = 300
COUNTERS = {"epoch", "decision_seq", "used"}


class RetentionTest(suite.Case):
    def state(self, cluster, stream):
        with cluster.connect() as client:
            return client.api(f"STREAM.INFO.{stream}")["state"]

    def fill(self, cluster, first, tasks):
        """Submits tasks that end at once, as fast as the log takes them."""
        with cluster.connect() as client:
            for n in range(first, first + tasks, AT_ONCE):
                specs = [cluster.spec("ballast", "exit 0", id=f"ballast-{n + i}", restart="no",
                                      env={**BALLAST, "N": str(n + i)}) for i in range(AT_ONCE)]
                payload = json.dumps(specs).encode()

                def stored(payload=payload):
                    answer = json.loads(client.request("cube.tasks.submit", payload).payload)
                    return "error" not in answer or f"not yet: {answer['error']}"
                wait_for("a stream with room", stored, FULL_SECONDS)

    def picture(self, cluster):
        """What a user sees of all that lives; None if nobody answers."""
        tasks = cluster.cube("ps", "-o", "json", code=None)
        shown = cluster.cube("status", "-o", "json", code=None)
        if tasks.code != 0 or shown.code != 0:
            return None
        return tasks.json(), {k: v for k, v in shown.json().items() if k not in COUNTERS}

    def wait_same_tasks(self, cluster, tasks):
        def same():
            found = (self.picture(cluster) or [None])[0]
            return found == tasks or f"not yet: {found} is not {tasks}"
        wait_for("the same tasks", same)

    def wait_trimmed(self, cluster, stream, before=1):
        def trimmed():
            state = self.state(cluster, stream)
            return state["first_seq"] > before or f"not yet: {state}"
        wait_for(f"{stream} to be trimmed", trimmed, FULL_SECONDS)

    def wait_living(self, cluster, wanted):
        def reached():
            living = set(cluster.tasks(everything=False))
            return living == wanted or f"not yet: {len(living)} tasks live"
        wait_for("all others to end", reached)

    def test_a_log_that_fills_up(self):
        with Cluster("process") as cluster:
            cluster.start_nats()
            cluster.start_manager("manager", *FLAGS)
            cluster.start_worker("a", *SHARE)
            cluster.wait_ready("a")
            keeper = cluster.run(cluster.spec("keeper", id="keeper-0", ports=[8080]))[0]
            waits = cluster.run(cluster.spec("waits", id="waits-0", cpus=900), "-d")[0]
            crew = cluster.spec("crew")
            del crew["name"]
            cluster.run({"name": "crew", "replicas": 2, "task": crew})
            self.fill(cluster, 0, TASKS)
            self.wait_trimmed(cluster, "CUBE_INTENTS")
            self.wait_trimmed(cluster, "CUBE_DECISIONS")
            last = f"ballast-{TASKS - 1}"
            self.wait_living(cluster, {keeper, waits, "crew-v1-0", "crew-v1-1"})
            self.wait_trimmed(cluster, "CUBE_SNAPSHOTS")

            tasks, shown = self.picture(cluster)
            self.a_manager_without_its_view(cluster, tasks, shown)
            self.another_manager(cluster, tasks)
            self.a_worker_starts_again(cluster, tasks)
            self.all_of_one_mind(cluster)
            self.what_is_left_of_the_past(cluster, keeper, last)
            self.a_full_stream_gets_room(cluster)

    def a_manager_without_its_view(self, cluster, tasks, shown):
        cluster.kill("manager")
        shutil.rmtree(cluster.path("state", "manager", "manager", "view"))
        cluster.start_again("manager")

        def same():
            found = self.picture(cluster)
            return found == (tasks, shown) or f"not yet: {found} is not {(tasks, shown)}"
        wait_for("the same picture", same)
        with open(cluster.path("manager.log"), encoding="utf-8") as log:
            self.assertIn("reading the snapshot of the view", log.read())

    def another_manager(self, cluster, tasks):
        """One that has never seen the log's beginning takes over."""
        cluster.start_manager("second", *FLAGS)

        def following():
            with open(cluster.path("second.log"), encoding="utf-8") as log:
                return "reading the snapshot of the view" in log.read()
        wait_for("the second manager to begin with a snapshot", following)
        self.assertEqual(cluster.end("manager"), 0)
        self.wait_same_tasks(cluster, tasks)
        done = cluster.run(cluster.spec("after", "exit 0", id="after-0", restart="no"), "-d")[0]
        cluster.wait_status({done: "completed"})

    def a_worker_starts_again(self, cluster, tasks):
        """Without its store: it gets its set from the leader, and adopts what runs."""
        cluster.kill("a")
        shutil.rmtree(cluster.path("state", "worker", cluster.node("a"), "view"))
        cluster.start_again("a")
        cluster.wait_ready("a")
        self.wait_same_tasks(cluster, tasks)

    def all_of_one_mind(self, cluster):
        """The log is replayed from the older snapshot; the newer one is what follows from it. In a
        stream that fills within a second both may be of one decision, and have one name."""
        report = cluster.cube("verify", "-o", "json").json()
        self.assertGreater(report["began_with_snapshot"], 1)
        details = {one["name"]: (one["result"], one["detail"]) for one in report["compared"]
                   if one["kind"] == "snapshot"}
        whole = ("same", "whole; the log begins with it")
        self.assertIn(sorted(details.values()), ([whole], [("same", ""), whole]), report)

    def what_is_left_of_the_past(self, cluster, keeper, last):
        """Commands that read the log begin where it begins now."""
        kinds = [event["kind"] for event in cluster.events(last)]
        self.assert_in_order(["submit", "start", "exited"], kinds)
        self.assertEqual(cluster.cube("why", keeper).code, 0)
        self.assertEqual(cluster.cube("doctor", code=None).code, 0)

    def a_full_stream_gets_room(self, cluster):
        """While nobody leads the intents fill up; the next leader has them trimmed."""
        cluster.kill("second")
        with cluster.connect() as client:
            answer = {}
            n = 0
            while "error" not in answer:
                self.assertLess(n, 1000)
                spec = cluster.spec("more", "exit 0", id=f"more-{n}", restart="no",
                                    env={**BALLAST, "N": str(n)})
                n += 1
                answer = json.loads(
                    client.request("cube.tasks.submit", json.dumps(spec).encode()).payload)
            first = self.state(cluster, "CUBE_INTENTS")["first_seq"]
        cluster.start_again("second")
        self.wait_trimmed(cluster, "CUBE_INTENTS", first)
        done = cluster.run(cluster.spec("room", "exit 0", id="room-0", restart="no"), "-d")[0]
        cluster.wait_status({done: "completed"})


if __name__ == "__main__":
    suite.main()
