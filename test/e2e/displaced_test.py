#!/usr/bin/env python3
"""A worker sleeps, and another one takes its name: woken up, the first one says why and ends."""

import signal

from lib import suite
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


if __name__ == "__main__":
    suite.main()
