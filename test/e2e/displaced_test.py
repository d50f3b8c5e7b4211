#!/usr/bin/env python3
"""A worker sleeps: the others go on, and if one takes its name, it says why and ends."""

import signal

from lib import checks, suite
from lib.cluster import Cluster, wait_for

# Three echoes of silence, three more before the name is given away, and a crowded machine.
JOIN_SECONDS = 60


class DisplacedTest(suite.Case):
    def test_of_two_workers_of_one_name_the_older_ends(self):
        with Cluster("process") as cluster:
            cluster.start("a")
            sleeper = cluster.processes["a"]
            sleeper.send_signal(signal.SIGSTOP)
            cluster.start_worker("a", process="rival", state="state-of-rival")
            wait_for("the rival has joined",
                     lambda: "engine is up" in cluster.log_tail("rival"), JOIN_SECONDS)
            sleeper.send_signal(signal.SIGCONT)
            wait_for("the sleeper has ended", lambda: sleeper.poll() is not None, JOIN_SECONDS)
            self.assertEqual(sleeper.returncode, 1)
            log = cluster.log_tail("a")
            self.assertIn(f"another worker is node '{cluster.node('a')}'", log)
            del cluster.processes["a"]
            cluster.check_alive()
            cluster.wait_ready("a")
            task = cluster.run(cluster.spec("after"))[0]
            self.assertEqual(cluster.tasks()[task]["status"], "running")


class FrozenTest(suite.Case):
    def test_a_frozen_worker_keeps_nobody_else_waiting(self):
        with Cluster("process") as cluster:
            cluster.start()
            cluster.processes["a"].send_signal(signal.SIGSTOP)
            # Half of them go to the node that does not know that it sleeps.
            ids = cluster.run([cluster.spec("early", id=f"early-{n}") for n in range(4)], "-d")
            cluster.wait_status(dict.fromkeys(ids, "running"), JOIN_SECONDS)
            log = checks.check_log(cluster)
            attempts = sorted(log.attempts[i] for i in ids)
            self.assertEqual(attempts, [1, 1, 2, 2], "the other node's were not touched")
            late = cluster.run([cluster.spec("late", id=f"late-{n}") for n in range(20)])
            tasks = cluster.tasks()
            self.assertEqual({(tasks[i]["node"], tasks[i]["attempt"]) for i in late},
                             {(cluster.node("b"), 1)}, "who is down gets nothing")
            cluster.processes["a"].send_signal(signal.SIGCONT)
            cluster.wait_ready()
            checks.wait_exactly_once(cluster, ids + late, JOIN_SECONDS)


if __name__ == "__main__":
    suite.main()
