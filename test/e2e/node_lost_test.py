#!/usr/bin/env python3
"""A node dies: its tasks run on the other one; it returns: what is stale there goes away."""

import os
import signal
import time
import unittest

from lib import checks, suite
from lib.cluster import Cluster, wait_for, why_no_docker

# Three heartbeats of a second, and what a crowded machine adds.
MOVE_SECONDS = 60


class NodeLost(suite.Case):
    def place(self, cluster, **more):
        """Four tasks, two on each node. -> those of node a"""
        script = None if cluster.engine == "docker" else checks.witness_script(cluster.dir)
        specs = [cluster.spec("moves", *([script] if script else []), id=f"moves-{n}", **more)
                 for n in range(4)]
        self.ids = cluster.run(specs)
        tasks = cluster.tasks()
        return sorted(i for i in self.ids if tasks[i]["node"] == cluster.node("a"))

    def wait_node(self, cluster, letter, status):
        def seen():
            nodes = {n["name"]: n for n in cluster.cube("node", "ls", "-o", "json").json()}
            node = nodes[cluster.node(letter)]
            return node["status"] == status and node
        return wait_for(f"node {letter} {status}", seen, MOVE_SECONDS)

    def wait_moved(self, cluster, moved):
        began = time.monotonic()

        def there():
            tasks = cluster.tasks()
            return all((tasks[i]["node"], tasks[i]["status"], tasks[i]["attempt"])
                       == (cluster.node("b"), "running", 2) for i in moved) and tasks
        tasks = wait_for(f"{moved} on the other node", there, MOVE_SECONDS)
        print(f"  {len(moved)} tasks run elsewhere {time.monotonic() - began:.1f} s after the kill")
        for task in set(self.ids) - set(moved):
            self.assertEqual((tasks[task]["attempt"], tasks[task]["launch"]), (1, 0))
        down = self.wait_node(cluster, "a", "down")
        self.assertFalse(down["eligible"])
        self.assertTrue(down["reason"])
        return tasks

    def come_back(self, cluster):
        cluster.start_again("a")
        self.wait_node(cluster, "a", "ready")
        checks.wait_exactly_once(cluster, self.ids, MOVE_SECONDS)
        log = checks.check_log(cluster)
        self.assertEqual({i: log.live[i][1] for i in self.ids},
                         dict.fromkeys(self.ids, cluster.node("b")))
        # It is a node like any other again.
        task = cluster.run([cluster.spec("fresh", id=f"fresh-{n}") for n in range(2)])
        tasks = cluster.tasks()
        self.assertIn(cluster.node("a"), [tasks[i]["node"] for i in task])

    def feed_says(self, feed, moved):
        for task in moved:
            statuses = [e["status"] for e in feed.of(task)]
            checks.check_order(task, statuses)
            self.assertEqual(statuses.count("running"), 2, statuses)


class NodeLostProcessTest(NodeLost):
    def launch_folders(self, cluster):
        folder = cluster.path("state", "worker", cluster.node("a"), "process", "launches")
        return sorted(os.listdir(folder))

    def test_machine_dies(self):
        """The worker and all that it runs."""
        with Cluster("process") as cluster:
            cluster.start()
            feed = checks.Feed(cluster)
            moved = self.place(cluster)
            cluster.kill("a")
            for task in moved:
                for _, _, _, pid in checks.living(cluster)[task]:
                    supervisor = checks.parent(pid)
                    os.kill(supervisor, signal.SIGKILL)
                    os.kill(pid, signal.SIGKILL)
            self.wait_moved(cluster, moved)
            self.feed_says(feed, moved)
            feed.close()
            self.come_back(cluster)
            wait_for("no launch folder of the dead", lambda: not any(
                name.startswith("moves-") for name in self.launch_folders(cluster)))
            self.assertEqual(set(checks.starts(cluster.dir).values()), {1})

    def test_worker_dies(self):
        """The worker alone: what it runs is stale when it returns."""
        with Cluster("process") as cluster:
            cluster.start()
            feed = checks.Feed(cluster)
            moved = self.place(cluster)
            cluster.kill("a")
            self.wait_moved(cluster, moved)
            for task in moved:
                self.assertEqual(len(checks.living(cluster)[task]), 2, "nobody could stop it yet")
            self.feed_says(feed, moved)
            feed.close()
            self.come_back(cluster)
            wait_for("no launch folder of the stale", lambda: not any(
                name.startswith("moves-") for name in self.launch_folders(cluster)))

    def test_never_moved(self):
        """reschedule: never. The task stays lost, whatever comes back."""
        with Cluster("process") as cluster:
            cluster.start()
            stay = self.place(cluster, reschedule="never")
            cluster.kill("a")
            cluster.wait_status(dict.fromkeys(stay, "lost"), MOVE_SECONDS)
            self.assertTrue(cluster.tasks()[stay[0]]["reason"])
            cluster.start_again("a")
            self.wait_node(cluster, "a", "ready")
            wait_for("the stale to end", lambda: not set(stay) & set(checks.living(cluster)))
            self.assertEqual({cluster.tasks()[i]["status"] for i in stay}, {"lost"})

    def test_all_nodes_die(self):
        """Nowhere to go: the tasks wait with a reason, and run when a node returns."""
        with Cluster("process") as cluster:
            cluster.start()
            self.place(cluster)
            cluster.kill("a")
            cluster.kill("b")
            tasks = cluster.wait_status(dict.fromkeys(self.ids, "pending"), MOVE_SECONDS)
            self.assertTrue(all(tasks[i]["reason"] for i in self.ids))
            cluster.start_again("b")
            self.wait_node(cluster, "b", "ready")
            checks.wait_exactly_once_on(cluster, self.ids, cluster.node("b"), MOVE_SECONDS)
            cluster.start_again("a")
            self.wait_node(cluster, "a", "ready")
            checks.wait_exactly_once(cluster, self.ids, MOVE_SECONDS)
            checks.check_log(cluster)


@unittest.skipIf(why_no_docker(), why_no_docker())
class NodeLostDockerTest(NodeLost):
    def test_worker_dies(self):
        with Cluster("docker") as cluster:
            cluster.start()
            moved = self.place(cluster)
            cluster.kill("a")
            self.wait_moved(cluster, moved)
            self.come_back(cluster)

            def no_stale():
                found = checks.containers(cluster.unique, everything=True)
                return all(len(found[task]) == 1 for task in self.ids)
            wait_for("stale containers are removed", no_stale)
            cluster.cube("stop", *cluster.tasks(everything=False))
            wait_for("no container", lambda: not checks.containers(cluster.unique, True))


if __name__ == "__main__":
    suite.main()
