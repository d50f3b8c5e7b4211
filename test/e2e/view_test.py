#!/usr/bin/env python3
"""The view of a service, deleted while it is down: nobody sees a difference after its start."""

import os
import shutil

from lib import checks, suite
from lib.cluster import Cluster, wait_for

SHARE = ["--cpus", "4", "--memory", "1Gi", "--disk", "1Gi"]
# What a restart may change: a node that joins again is welcomed again, a manager opens a term.
NODE_COUNTERS = {"incarnation", "used", "load"}  # the last two are measured now and then
CLUSTER_COUNTERS = {"epoch", "decision_seq", "used"}
HOLD_LOOKS = 20  # afterwards the picture stays so for as many looks
SAME_SECONDS = 60


class ViewTest(suite.Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cluster = Cluster("process")
        try:
            cluster.start_nats()
            cluster.start_manager()
            for letter in "ab":
                cluster.start_worker(letter, *SHARE)
            cluster.wait_ready()
            cls.fill(cluster)
        except BaseException:
            cluster.print_logs()
            cluster.__exit__()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__()

    @classmethod
    def fill(cls, cluster):
        """Tasks in every state that lasts, and output of the living and the dead."""
        script = "echo output of $CUBE_TASK; " + checks.witness_script(cluster.dir)
        names = {"runs": 4, "stops": 2}
        wanted = {}
        for name, count in names.items():
            specs = [cluster.spec(name, script, id=f"{name}-{n}", labels={"kind": name}, cpus=0.1,
                                  memory="16Mi", ports=[8080]) for n in range(count)]
            wanted.update(dict.fromkeys(cluster.run(specs), "running"))
        for name, command, status in (("fails", "echo sorry; exit 3", "failed"),
                                      ("ends", "echo done", "completed")):
            spec = cluster.spec(name, command, id=f"{name}-0", restart="no")
            wanted[cluster.run(spec, "-d")[0]] = status
        wanted[cluster.run(cluster.spec("waits", id="waits-0", cpus=900), "-d")[0]] = "pending"
        cluster.cube("stop", "stops-0", "stops-1")
        wanted.update({"stops-0": "stopped", "stops-1": "stopped"})
        with cluster.connect() as client:
            client.append("cube.tasks.submit", '{"name": "refused", "cpus": -1}')
        cluster.wait_status(wanted)
        cls.running = {task for task, status in wanted.items() if status == "running"}
        cls.before = cls.picture()

    @classmethod
    def picture(cls):
        """All that a user sees."""
        cluster = cls.cluster
        tasks = cluster.cube("ps", "-a", "-o", "json").json()
        nodes = cluster.cube("node", "ls", "-o", "json").json()
        overall = cluster.cube("status", "-o", "json").json()
        ids = [task["id"] for task in tasks]
        return {
            "tasks": tasks,
            "inspected": [cluster.cube("status", i, "-o", "json").json() for i in ids],
            "nodes": [{k: v for k, v in n.items() if k not in NODE_COUNTERS} for n in nodes],
            "cluster": {k: v for k, v in overall.items() if k not in CLUSTER_COUNTERS},
            "logs": {i: cluster.cube("logs", i, code=None).out for i in ids if i != "waits-0"},
            "by label": cluster.cube("ps", "-q", "-l", "kind=runs").lines(),
            "story": cls.story(cluster.events()),
        }

    @staticmethod
    def story(events):
        """What happened to tasks. A worker without memory reports once more what runs."""
        keys = ["stream", "kind", "task", "node", "attempt", "launch", "text"]
        return list(dict.fromkeys(tuple(e.get(k) for k in keys) for e in events if e["task"]))

    def compare(self):
        """The same picture comes, and stays; what runs is not touched."""
        def same():
            self.cluster.check_alive()
            self.cluster.wait_ready()
            now = self.picture()
            wrong = [part for part in self.before if now[part] != self.before[part]]
            if not wrong:
                return True
            return "not yet: " + self.difference(wrong[0], now[wrong[0]], self.before[wrong[0]])
        wait_for("the same picture", same, SAME_SECONDS)
        looks = iter(range(HOLD_LOOKS))
        wait_for("looks", lambda: next(looks, None) is None or not self.check_still())
        self.assertEqual(checks.engine_agrees(self.cluster, self.running, self.cluster.tasks()), [])
        self.assertEqual(set(checks.starts(self.cluster.dir).values()), {1})
        self.assertTrue(same() is True)
        checks.check_log(self.cluster)

    @staticmethod
    def difference(part, now, before):
        if isinstance(now, list) and len(now) == len(before):
            now, before = next((n, b) for n, b in zip(now, before) if n != b)
        return f"{part}: now {now}, before {before}"

    def check_still(self):
        self.assertEqual(self.cluster.tasks(), {t["id"]: t for t in self.before["tasks"]})
        return True

    def delete_view(self, name):
        """-> it was there"""
        folder = {"manager": ["manager", "manager"]}.get(name, ["worker", self.cluster.node(name)])
        view = self.cluster.path("state", *folder, "view")
        self.assertTrue(os.listdir(view), "there is a view to delete")
        shutil.rmtree(view)

    def restart_without_view(self, names, by_kill):
        for name in names:
            if by_kill:
                self.cluster.kill(name)
            else:
                self.assertEqual(self.cluster.end(name), 0)
        for name in names:
            self.delete_view(name)
        for name in names:
            self.cluster.start_again(name)
        self.compare()

    def test_manager(self):
        self.restart_without_view(["manager"], by_kill=False)

    def test_manager_killed(self):
        self.restart_without_view(["manager"], by_kill=True)

    def test_worker(self):
        self.restart_without_view(["a"], by_kill=False)

    def test_worker_killed(self):
        self.restart_without_view(["b"], by_kill=True)

    def test_all(self):
        self.restart_without_view(["manager", "a", "b"], by_kill=False)

    def test_all_killed(self):
        self.restart_without_view(["a", "b", "manager"], by_kill=True)

    def test_restart_with_view(self):
        """The easy case, for comparison: everybody and the server, with what they remember."""
        for name in ("a", "b", "manager", "nats"):
            self.cluster.kill(name)
        for name in ("nats", "manager", "a", "b"):
            self.cluster.start_again(name)
        self.compare()

    def test_zz_work_goes_on(self):
        """Last: what was adopted can be stopped, and new tasks run."""
        task = self.cluster.run(self.cluster.spec("new"))[0]
        self.cluster.cube("stop", task, *sorted(self.running), "waits-0")
        wait_for("an empty engine", lambda: not checks.living(self.cluster))


if __name__ == "__main__":
    suite.main()
