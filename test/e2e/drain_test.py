#!/usr/bin/env python3
"""Nodes are taken out of service: their tasks move one by one, whoever is killed meanwhile."""

import time

from lib import checks, suite
from lib.cluster import Cluster, wait_for

MOVE_SECONDS = 120


class Drain(suite.Case):
    def node(self, cluster, letter):
        nodes = {n["name"]: n for n in cluster.cube("node", "ls", "-o", "json").json()}
        return nodes[cluster.node(letter)]

    def place(self, cluster, count, **more):
        script = checks.witness_script(cluster.dir)
        specs = [cluster.spec("moves", script, id=f"moves-{n}", **more) for n in range(count)]
        return cluster.run(specs)

    def on(self, cluster, letter):
        return sorted(i for i, task in cluster.tasks().items()
                      if task["node"] == cluster.node(letter) and task["status"] == "running")

    def test_drain_and_back(self):
        with Cluster("process") as cluster:
            cluster.start()
            ids = self.place(cluster, 6)
            moved = self.on(cluster, "a")
            self.assertEqual(len(moved), 3)
            done = cluster.cube("node", "drain", cluster.node("a"))
            self.assertEqual(done.lines(), [cluster.node("a")])
            self.assertIn("drained", done.err)
            tasks = checks.wait_exactly_once(cluster, ids, MOVE_SECONDS)
            self.assertEqual({tasks[i]["node"] for i in ids}, {cluster.node("b")})
            self.assertEqual({tasks[i]["attempt"] for i in moved}, {2})
            node = self.node(cluster, "a")
            self.assertEqual((node["status"], node["eligible"], node["cordoned"]),
                             ("drained", False, True))
            # One at a time: each move ends with a running task before the next begins.
            story = [(e["kind"], e["task"]) for e in cluster.events()
                     if e["task"] in moved and e["kind"] in ("evict", "running")]
            story = story[next(i for i, e in enumerate(story) if e[0] == "evict"):]
            self.assertEqual([kind for kind, _ in story], ["evict", "running"] * 3)
            # A drain outlives the worker; uncordon ends it.
            cluster.end("a")
            cluster.start_again("a")
            wait_for("the node is drained still",
                     lambda: self.node(cluster, "a")["status"] == "drained")
            self.assertEqual(cluster.cube("node", "uncordon", cluster.node("a")).lines(),
                             [cluster.node("a")])
            wait_for("the node is back", lambda: self.node(cluster, "a")["eligible"])
            fresh = cluster.run([cluster.spec("fresh", id=f"fresh-{n}") for n in range(2)])
            self.assertIn(cluster.node("a"), [cluster.tasks()[i]["node"] for i in fresh])
            checks.check_log(cluster)

    def test_nowhere_to_go(self):
        with Cluster("process") as cluster:
            cluster.start("a")
            (task,) = self.place(cluster, 1)
            waits = cluster.cube("node", "drain", "--timeout", "2s", cluster.node("a"), code=2)
            self.assertIn("1 tasks are left", waits.err)
            self.assertEqual(cluster.tasks()[task]["status"], "running")
            cluster.cube("node", "drain", "--deadline", "0", cluster.node("a"))
            found = wait_for("the task waits", lambda: cluster.tasks()[task]["status"] == "pending"
                             and cluster.tasks()[task])
            self.assertIn("cordoned 1", found["reason"])
            self.assertIn("the deadline has passed", found["reason"])
            self.assertEqual(cluster.cube("node", "drain", "nobody", code=3).out, "")

    def test_manager_dies_in_the_middle(self):
        with Cluster("process") as cluster:
            cluster.start()
            ids = self.place(cluster, 8)
            cluster.cube("node", "drain", "-d", cluster.node("a"))
            for _ in range(3):
                before = len(self.on(cluster, "b"))
                cluster.kill("manager")
                cluster.start_again("manager")
                wait_for("the manager answers", lambda: cluster.cube("ps", code=None).code == 0)
                wait_for("the drain goes on", lambda n=before: len(self.on(cluster, "b")) > n
                         or len(self.on(cluster, "b")) == 8, MOVE_SECONDS)
            tasks = checks.wait_exactly_once(cluster, ids, MOVE_SECONDS)
            self.assertEqual({tasks[i]["node"] for i in ids}, {cluster.node("b")})
            checks.check_log(cluster)
            self.assertEqual(set(checks.starts(cluster.dir).values()), {1})

    def test_worker_hands_over(self):
        with Cluster("process") as cluster:
            cluster.start("b")
            for letter, policy in (("a", "drain"), ("c", "stop")):
                cluster.start_worker(letter, "--on-exit", policy)
            cluster.wait_ready("abc")
            ids = self.place(cluster, 6)
            for letter in "ac":
                began = time.monotonic()
                self.assertEqual(cluster.end(letter), 0)
                print(f"  {letter} ended within {time.monotonic() - began:.1f} s")
                tasks = cluster.tasks()
                self.assertNotIn(cluster.node(letter), [tasks[i]["node"] for i in ids
                                                        if tasks[i]["status"] == "running"])
            tasks = checks.wait_exactly_once(cluster, ids, MOVE_SECONDS)
            self.assertEqual({tasks[i]["node"] for i in ids}, {cluster.node("b")})
            cluster.start_again("a")
            wait_for("the node is back", lambda: self.node(cluster, "a")["eligible"])
            checks.check_log(cluster)


if __name__ == "__main__":
    suite.main()
