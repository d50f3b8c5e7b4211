#!/usr/bin/env python3
"""Churn: tasks are submitted, stopped, crashed, made sick and drained away, all the time. At the
end nothing is left over, each task's story is whole, and the services hold what they held before.

CUBE_E2E_SEED=N replays the choices of a printed seed, CUBE_CHURN_SECONDS=N goes on for longer,
CUBE_CHURN_ENGINE=docker takes containers (scripts/soak does all that).
"""

import collections
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import time

from lib import checks, suite
from lib.cluster import Cluster, wait_for

SECONDS = float(os.environ.get("CUBE_CHURN_SECONDS", "30"))
ENGINE = os.environ.get("CUBE_CHURN_ENGINE", "process")
SEED = int(os.environ.get("CUBE_E2E_SEED") or random.SystemRandom().randrange(1 << 32))
RATE = 4.0          # operations a second
LIVE_MAX = 24       # tasks at one time
SAMPLES = 60        # looks at the processes, over the whole time
SETTLE_SECONDS = 180
# Few, so that forgetting is at work from early on.
KEPT = 100
# Growth is judged when both windows are long: an allocator needs its time to settle.
JUDGED_SECONDS = 300
GROWTH_MAX = 1.15
GROWTH_FREE_KIB = 1024  # of memory and of files
# Idle connections to the container engine that a worker may keep.
IDLE_MAX = 16 if ENGINE == "docker" else 0
FINAL = checks.FINISHED
# A command in a container costs the engine a tenth of a second of a core.
CHECK_EVERY = "3s" if ENGINE == "docker" else "500ms"

WEIGHTS = {"submit": 40, "stop": 22, "crash": 15, "sicken": 8, "drain": 3, "kill_worker": 1}
KINDS = ["steady", "steady", "sick", "short", "failing"]

Sample = collections.namedtuple("Sample", "at name anon_kib files view_kib")


class Watch:
    """What the feed has said of each task."""

    def __init__(self, cluster):
        self._client = cluster.connect()
        self._subscription = self._client.subscribe("cube.events.>")
        self._client.flush()
        self.stories = collections.defaultdict(list)

    def close(self):
        self._client.close()

    def look(self):
        for message in self._subscription.drain():
            event = json.loads(message.payload)
            self.stories[event.get("task")].append(event)

    def status(self, task):
        story = self.stories.get(task)
        return story[-1]["status"] if story else None

    def statuses(self, task):
        """Without refusals of a second stop, which are no state of the task."""
        statuses = [e["status"] for e in self.stories[task]]
        return [s for n, s in enumerate(statuses) if s != "refused" or n == 0]


def sample(cluster, name, view):
    pid = cluster.processes[name].pid
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return Sample(time.monotonic(), name, int(fields["RssAnon"].split()[0]),
                  len(os.listdir(f"/proc/{pid}/fd")), os.stat(view).st_blocks // 2)


class ChurnTest(suite.Case):
    def setUp(self):
        super().setUp()
        print(f"seed: CUBE_E2E_SEED={SEED}")
        self.dice = random.Random(SEED)
        self.counts = collections.Counter()
        self.submitted = {}  # id -> kind
        self.drained = None
        self.samples = []

    # ---- operations ----------------------------------------------------------------------------

    def mark(self, cluster, task):
        """The file that makes a task sick."""
        return "/tmp/sick" if ENGINE == "docker" else cluster.path(f"sick-{task}")

    def live(self, *kinds):
        return [t for t, kind in self.submitted.items() if kind in kinds
                and self.watch.status(t) not in FINAL]

    def running(self, *kinds):
        return [t for t in self.live(*kinds) if self.watch.status(t) == "running"]

    def submit(self, cluster):
        if len(self.live(*KINDS)) >= LIVE_MAX:
            return self.stop(cluster)
        kind = self.dice.choice(KINDS)
        task = f"{kind}-{len(self.submitted)}"
        more = {"steady": {"restart": "always"},
                "short": {"script": "sleep 1; echo done", "restart": "no"},
                "failing": {"script": "sleep 0.3; exit 3", "restart": "on-failure:2"},
                "sick": {"script": f"rm -f {self.mark(cluster, task)}; exec sleep 1000000",
                         "restart": "always",
                         "health": {"interval": CHECK_EVERY, "retries": 1,
                                    "command": ["sh", "-c",
                                                f"! test -e {self.mark(cluster, task)}"]}}}[kind]
        spec = cluster.spec(f"churn-{kind}", id=task, stop_grace="500ms",
                            **{"script": "exec sleep 1000000", **more})
        self.client.append("cube.tasks.submit", json.dumps(spec))
        self.submitted[task] = kind
        return True

    def stop(self, cluster):
        live = self.live(*KINDS)
        if live:
            self.client.append("cube.tasks.stop", json.dumps({"id": self.dice.choice(live)}))
        return bool(live)

    def crash(self, cluster):
        """kill -9 of what a task has started."""
        running = self.running("steady", "sick")
        if not running:
            return False
        found = checks.living(cluster).get(self.dice.choice(running), [])
        for *_, ident in found:  # it may have ended since
            if ENGINE == "docker":
                subprocess.run(["docker", "kill", ident], capture_output=True, check=False,
                               timeout=checks.ENGINE_SECONDS)
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(ident, signal.SIGKILL)
        return bool(found)

    def sicken(self, cluster):
        running = self.running("sick")
        if not running:
            return False
        task = self.dice.choice(running)
        # It may have ended since.
        return cluster.cube("exec", task, "touch", self.mark(cluster, task), code=None).code == 0

    def drain(self, cluster):
        """One node after the other: away, and back the next time."""
        if self.drained:
            cluster.cube("node", "uncordon", self.drained)
            self.drained = None
        else:
            self.drained = cluster.node(self.dice.choice("abc"))
            cluster.cube("node", "drain", "-d", self.drained)
        return True

    def kill_worker(self, cluster):
        """Only c: the others shall show what a long life does to them."""
        cluster.kill("c")
        cluster.start_again("c")
        return True

    # ---- the whole -----------------------------------------------------------------------------

    def views(self, cluster):
        state = cluster.path("state")
        yield "manager", os.path.join(state, "manager", "manager", "view", "data.mdb")
        for letter in "ab":
            folder = os.path.join(state, "worker", cluster.node(letter))
            (file,) = [os.path.join(top, "data.mdb") for top, _, files in os.walk(folder)
                       if "data.mdb" in files]
            yield letter, file

    def look(self, cluster):
        cluster.check_alive()
        self.samples += [sample(cluster, name, view) for name, view in self.views(cluster)]

    def churn(self, cluster):
        begin = time.monotonic()
        next_sample = begin
        names = list(WEIGHTS)
        while time.monotonic() < begin + SECONDS:
            self.watch.look()
            name = self.dice.choices(names, list(WEIGHTS.values()))[0]
            self.counts[name] += bool(getattr(self, name)(cluster))
            if time.monotonic() >= next_sample:
                self.look(cluster)
                next_sample += SECONDS / SAMPLES
            time.sleep(self.dice.expovariate(RATE))
        if self.drained:
            cluster.cube("node", "uncordon", self.drained)

    def settle(self, cluster):
        """Everything is stopped; the engines are empty, and the services at rest."""
        def all_ended():
            self.watch.look()
            left = self.live(*KINDS)
            for task in left:
                self.client.append("cube.tasks.stop", json.dumps({"id": task}))
            if left:
                time.sleep(1)
            return not left or f"not yet: {len(left)} left, such as {left[:3]}"
        wait_for("all tasks have ended", all_ended, SETTLE_SECONDS)
        wait_for("nothing runs", lambda: not checks.living_processes(cluster.unique))
        if ENGINE == "docker":
            wait_for("no container", lambda: not checks.containers(cluster.unique, True))
        else:
            for letter in "abc":
                folder = cluster.path("state", "worker", cluster.node(letter), "process",
                                      "launches")
                wait_for("no launch folder", lambda f=folder: not os.listdir(f))
        known = wait_for("forgetting", lambda: len(cluster.tasks()) <= KEPT and cluster.tasks())
        self.assertTrue(all(task["status"] in FINAL for task in known.values()))

    def check_stories(self, cluster):
        """The feed and the log: no step is missing, no task without an end."""
        for task in self.submitted:
            statuses = self.watch.statuses(task)
            checks.check_order(task, statuses)
            self.assertIn(statuses[-1], FINAL, task)
        events = cluster.events()
        log = checks.LogChecker().fold(events)
        self.assertEqual(set(log.submitted), set(self.submitted))
        self.assertEqual(log.live, {})
        launches = collections.defaultdict(dict)  # (task, attempt) -> launch -> kinds
        for event in events:
            if event["stream"] == "facts" and event["kind"] in checks.STATES:
                key = event["task"], event["attempt"]
                launches[key].setdefault(event["launch"], set()).add(event["kind"])
        for key, seen in launches.items():
            self.assertEqual(sorted(seen), list(range(len(seen))), f"{key}: a launch is missing")
            for launch, kinds in seen.items():
                self.assertIn("exited", kinds, f"{key}, launch {launch}: it never ends")
        print(f"  {len(self.submitted)} tasks, {len(launches)} attempts, "
              f"{sum(map(len, launches.values()))} launches, each with its whole story")

    def check_flat(self):
        """The second fifth of the time beside the last."""
        begin, end = self.samples[0].at, self.samples[-1].at
        judged = end - begin >= JUDGED_SECONDS * 0.9
        grown = []
        for name in sorted({s.name for s in self.samples}):
            for field, free in (("anon_kib", GROWTH_FREE_KIB), ("files", 2),
                                ("view_kib", GROWTH_FREE_KIB)):
                windows = [[getattr(s, field) for s in self.samples if s.name == name
                            and low <= (s.at - begin) / (end - begin) <= high]
                           for low, high in ((0.2, 0.4), (0.8, 1))]
                before, after = map(statistics.median, windows)
                print(f"  {name:8} {field:9} {before:9.0f} -> {after:9.0f}")
                if after > before * GROWTH_MAX + free:
                    grown.append(f"{name}: {field} {before} -> {after}")
        if judged:
            self.assertEqual(grown, [])

    def test_churn(self):
        with Cluster(ENGINE) as cluster:
            cluster.start_nats()
            cluster.start_manager("manager", "--keep-finished-max", str(KEPT))
            for letter in "abc":
                cluster.start_worker(letter)
            cluster.wait_ready("abc")
            self.client = cluster.connect()
            self.watch = Watch(cluster)
            rest = {name: sample(cluster, name, view) for name, view in self.views(cluster)}
            self.churn(cluster)
            print("  " + ", ".join(f"{n} {name}" for name, n in sorted(self.counts.items())))
            self.settle(cluster)
            self.check_stories(cluster)
            self.check_flat()

            def at_rest():
                now = {n: sample(cluster, n, view).files for n, view in self.views(cluster)}
                return all(files <= rest[n].files + IDLE_MAX for n, files in now.items()) or \
                    f"not yet: {now}"
            wait_for("as few open files as at the start", at_rest)
            self.watch.close()
            self.client.close()


if __name__ == "__main__":
    suite.main()
