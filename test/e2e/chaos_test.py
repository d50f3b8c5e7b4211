#!/usr/bin/env python3
"""kill -9 at random moments: every accepted task runs exactly once afterwards.

CUBE_E2E_SEED=N replays the choices of a printed seed (the machine's timing stays its own),
CUBE_E2E_ROUNDS=N does more rounds.
"""

import json
import os
import random
import threading
import time
import unittest

from lib import checks, suite
from lib.cluster import Cluster, wait_for, why_no_docker
from lib.nats import NatsError

ROUNDS = int(os.environ.get("CUBE_E2E_ROUNDS", "4"))
SEED = int(os.environ.get("CUBE_E2E_SEED") or random.SystemRandom().randrange(1 << 32))
KILLS = 3              # in one round
DOWN_SECONDS_MAX = 5   # more than the three heartbeats after which a node counts as down
SETTLE_SECONDS = 180
ACCEPT_SECONDS = 120
HOLD_SECONDS = 5       # afterwards nothing may move: longer than it takes to call a node down
STOP_SHARE = 0.3       # of the operations after the first round
PAUSE_SECONDS_MAX = 0.5  # between two operations: so that they go on while somebody is down

VICTIMS = [["manager"], ["a"], ["b"], ["a", "b"], ["manager", "a"], ["manager", "a", "b"],
           ["nats"], ["nats", "manager"], ["nats", "a"]]


class Submitter(threading.Thread):
    """Submits and stops tasks, each until the log has it: a repeated submit is no second task."""

    def __init__(self, cluster, seed, operations, running):
        super().__init__(daemon=True)
        self._cluster = cluster
        self._random = random.Random(seed)
        self._operations = operations
        self._stoppable = list(running)
        self._client = None
        self.seed = seed
        self.accepted = []
        self.stopped = []
        self.done = 0
        self.failure = None

    def run(self):
        try:
            for number in range(self._operations):
                time.sleep(self._random.random() * PAUSE_SECONDS_MAX)
                self._operate(number, by_cube=self._random.random() < 0.4)
                self.done += 1
        except BaseException as error:
            self.failure = error
        finally:
            self._disconnect()

    def _operate(self, number, by_cube):
        if self._stoppable and self._random.random() < STOP_SHARE:
            task = self._stoppable.pop(self._random.randrange(len(self._stoppable)))
            self._until_taken(lambda: self._stop_task(task, by_cube))
            self.stopped.append(task)
        else:
            spec = self._spec(number)
            self._until_taken(lambda: self._submit(spec, by_cube))
            self.accepted.append(spec["id"])

    def _spec(self, number):
        script = None
        if self._cluster.engine == "process":
            script = checks.witness_script(self._cluster.dir)
        name = f"r{self.seed.rsplit('-', 1)[1]}"
        return self._cluster.spec(name, *([script] if script else []), id=f"{name}-n{number}",
                                  stop_grace="1s", restart="no")

    def _until_taken(self, attempt):
        wait_for("an acknowledgement", attempt, ACCEPT_SECONDS)

    def _submit(self, spec, by_cube):
        if by_cube:
            ran = self._cluster.cube("run", "-d", "-f", "-", stdin=json.dumps(spec).encode(),
                                     code=None)
            if ran.code not in (0, 1, 69):
                raise AssertionError(f"cube run: {ran}")
            return ran.code == 0
        return self._append("cube.tasks.submit", spec)

    def _stop_task(self, task, by_cube):
        if by_cube:
            ran = self._cluster.cube("stop", "-d", task, code=None)
            if ran.code not in (0, 1, 69):
                raise AssertionError(f"cube stop: {ran}")
            return ran.code == 0
        return self._append("cube.tasks.stop", {"id": task})

    def _append(self, subject, body):
        try:
            if self._client is None:
                self._client = self._cluster.connect()
            self._client.append(subject, json.dumps(body), timeout=3)
            return True
        except (NatsError, OSError):
            self._disconnect()
            return False

    def _disconnect(self):
        if self._client is not None:
            self._client.close()
            self._client = None


class Chaos(suite.Case):
    """One cluster over some rounds."""

    def setUp(self):
        super().setUp()
        print(f"seed: CUBE_E2E_SEED={SEED}")
        self.running = set()
        self.stopped = set()

    def strike(self, cluster, dice, victims, submitter, moment):
        """Kills after so many operations, and brings back after a random time."""
        wait_for("the moment", lambda: submitter.done >= moment or not submitter.is_alive(),
                 SETTLE_SECONDS)
        time.sleep(dice.random() * 0.1)  # not in step with the submitter's own acknowledgements
        down = dice.random() * DOWN_SECONDS_MAX
        print(f"  kill -9 {' '.join(victims)} at {submitter.done} operations, for {down:.1f} s")
        for name in victims:
            cluster.kill(name)
        time.sleep(down)
        # The server first: the services wait for it anyhow, but a test should be short.
        for name in sorted(victims, key=lambda name: name != "nats"):
            cluster.start_again(name)

    def round(self, cluster, number, operations, strikes, hold=False):
        """strikes: lists of names; each is killed once, in that order."""
        seed = f"{SEED}-{number}"
        dice = random.Random(seed)
        submitter = Submitter(cluster, seed, operations, sorted(self.running))
        submitter.start()
        moments = sorted(dice.randrange(operations) for _ in strikes)
        for victims, moment in zip(strikes, moments):
            self.strike(cluster, dice, victims, submitter, moment)
        submitter.join(SETTLE_SECONDS)
        self.assertIsNone(submitter.failure)
        self.assertFalse(submitter.is_alive(), "the submitter hangs")
        self.running |= set(submitter.accepted)
        self.running -= set(submitter.stopped)
        self.stopped |= set(submitter.stopped)
        began = time.monotonic()
        tasks = checks.wait_exactly_once(cluster, self.running, SETTLE_SECONDS)
        print(f"  round {number}: {len(self.running)} run exactly once, {len(self.stopped)} are "
              f"stopped, {time.monotonic() - began:.1f} s after the last one came back")
        self.assertEqual(set(tasks), self.running | self.stopped, "tasks that nobody asked for")
        self.check_starts(cluster)
        if hold:
            self.hold(cluster, tasks)

    def hold(self, cluster, tasks):
        """From here on nothing may move."""
        before = {task: (t["attempt"], t["launch"], t["node"]) for task, t in tasks.items()}
        time.sleep(HOLD_SECONDS)
        tasks = cluster.tasks()
        self.assertEqual(before, {task: (t["attempt"], t["launch"], t["node"])
                                  for task, t in tasks.items()})
        self.assertEqual(checks.engine_agrees(cluster, self.running, tasks), [])
        self.assertEqual({task: tasks[task]["status"] for task in self.stopped},
                         dict.fromkeys(self.stopped, "stopped"))

    def check_starts(self, cluster):
        twice = {key: n for key, n in checks.starts(cluster.dir).items() if n != 1}
        self.assertEqual(twice, {}, "a launch was started more than once")

    def check_log(self, cluster):
        log = checks.check_log(cluster)
        self.assertEqual(set(log.submitted), self.running | self.stopped)
        self.assertLessEqual(self.running, set(log.live), "running tasks are live in the log")
        self.assertEqual(set(log.live) & self.stopped, set())
        refused = [e for e in cluster.events() if e["kind"] in ("refuse", "unreadable")]
        # A stop that is repeated after its task has ended is refused, and says so.
        self.assertEqual([e for e in refused if e.get("task") not in self.stopped], [])
        return log

    def stop_all(self, cluster):
        left = sorted(self.running)
        cluster.cube("stop", *left)
        wait_for("an empty engine", lambda: not checks.living(cluster))
        self.stopped |= self.running
        self.running = set()
        self.assertEqual({t["status"] for t in cluster.tasks().values()}, {"stopped"})


class ChaosProcessTest(Chaos):
    def test_random_kills(self):
        with Cluster("process") as cluster:
            cluster.start()
            dice = random.Random(SEED)
            for number in range(ROUNDS):
                strikes = [dice.choice(VICTIMS) for _ in range(KILLS)]
                self.round(cluster, number, 20, strikes, number == ROUNDS - 1)
            self.check_log(cluster)
            self.stop_all(cluster)
            self.check_log(cluster)

    def test_each_victim(self):
        """Whatever the dice say: each kind of kill once."""
        with Cluster("process") as cluster:
            cluster.start()
            for number, victims in enumerate(VICTIMS):
                self.round(cluster, number, 8, [victims], number == len(VICTIMS) - 1)
            self.check_log(cluster)

    def test_two_managers(self):
        with Cluster("process") as cluster:
            cluster.start()
            cluster.start_manager("manager2")
            both = ("manager", "manager2")
            dice = random.Random(SEED + 1)
            for number in range(2):
                strikes = [dice.choice([["manager"], ["manager2"], ["a"], ["nats"], list(both),
                                        ["manager", "b"]]) for _ in range(KILLS)]
                self.round(cluster, number, 20, strikes, number == 1)
            self.check_log(cluster)
            leaders = [e["manager"] for e in cluster.events() if e["kind"] == "term"]
            print(f"  terms: {' '.join(leaders)}")
            self.stop_all(cluster)


@unittest.skipIf(why_no_docker(), why_no_docker())
class ChaosDockerTest(Chaos):
    def test_random_kills(self):
        with Cluster("docker") as cluster:
            cluster.start()
            dice = random.Random(SEED + 2)
            for number in range(2):
                strikes = [dice.choice(VICTIMS) for _ in range(2)]
                self.round(cluster, number, 8, strikes, number == 1)
            for task, found in checks.containers(cluster.unique, everything=True).items():
                keys = [entry[1:3] for entry in found]
                self.assertEqual(len(keys), len(set(keys)), f"{task}: a launch has two containers")
            self.check_log(cluster)
            self.stop_all(cluster)
            self.assertEqual(checks.containers(cluster.unique), {})


if __name__ == "__main__":
    suite.main()
