#!/usr/bin/env python3
"""Twenty tasks at once on two workers; what the engine itself needs is measured beside it."""

import concurrent.futures
import subprocess
import time
import unittest

from lib import checks, suite
from lib.cluster import COMMAND_SECONDS, IMAGE, Cluster, wait_for, why_no_docker

TASKS = 20
CROWD_SECONDS = 120  # a deadline, not a measure: the engine on a busy machine starts one a second


def engine_alone(unique):
    """Seconds that `docker run -d` takes for as many containers at once, and to remove them."""
    def start(number):
        subprocess.run(["docker", "run", "-d", "--name", f"cube-e2e-{unique}-{number}", "--label",
                        f"cube.node=alone-{unique}", IMAGE, "sleep", "1000000"], check=True,
                       capture_output=True, timeout=COMMAND_SECONDS)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(TASKS) as pool:
        list(pool.map(start, range(TASKS)))
    seconds = time.monotonic() - began
    subprocess.run(["docker", "rm", "-f", *(f"cube-e2e-{unique}-{n}" for n in range(TASKS))],
                   check=True, capture_output=True, timeout=COMMAND_SECONDS)
    return seconds


class Crowd(suite.Case):
    def crowd(self, engine):
        with Cluster(engine) as cluster:
            alone = engine_alone(cluster.unique) if engine == "docker" else None
            cluster.start()
            specs = [cluster.spec("crowd", id=f"crowd-{n}") for n in range(TASKS)]
            feed = checks.Feed(cluster)
            began = time.monotonic()
            cluster.run(specs, "-d")
            wanted = [spec["id"] for spec in specs]
            # By the feed: asking again and again would take the processor from the engine.
            wait_for("all run", lambda: {e["task"] for _, e in feed.take()
                                         if e["status"] == "running"} >= set(wanted), CROWD_SECONDS)
            seconds = time.monotonic() - began
            feed.close()
            tasks = cluster.tasks()
            self.assertEqual(checks.engine_agrees(cluster, wanted, tasks), [])
            self.assertEqual(sorted(tasks[i]["node"] for i in wanted),
                             [cluster.node("a")] * 10 + [cluster.node("b")] * 10)
            print(f"  {TASKS} tasks on two workers, engine {engine}: {seconds:.2f} s from `cube "
                  "run` to all running" + (f"; {TASKS} parallel `docker run -d`: {alone:.2f} s"
                                           if alone else ""))
            began = time.monotonic()
            cluster.cube("stop", "-t", "1", *wanted)
            print(f"  stopped in {time.monotonic() - began:.2f} s")
            self.assertEqual({t["status"] for t in cluster.tasks().values()}, {"stopped"})
            if engine == "docker":
                wait_for("no container left",
                         lambda: not checks.containers(cluster.unique, everything=True))
            self.assertEqual(dict(checks.living(cluster)), {})
            checks.check_log(cluster)

    @unittest.skipIf(why_no_docker(), why_no_docker())
    def test_containers(self):
        self.crowd("docker")

    def test_processes(self):
        self.crowd("process")


if __name__ == "__main__":
    suite.main()
