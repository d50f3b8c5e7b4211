#!/usr/bin/env python3
"""A task from `cube run` to its end, on both engines, through the command line."""

import json
import os
import re
import sys
import time
import unittest
import urllib.request

from lib import checks, suite
from lib.cluster import IMAGE, Cluster, wait_for, why_no_docker

TASK_FIELDS = {"id", "name", "job", "slot", "node", "status", "healthy", "attempt", "launch",
               "image", "reason", "exit_code", "ports", "created_at", "started_at", "finished_at"}
NODE_FIELDS = {"name", "status", "eligible", "cpus", "memory", "disk", "allocated", "used",
               "tasks", "labels", "engines", "version"}
STEPS = ["pending", "scheduled", "pulling", "starting", "running"]
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"


class Lifecycle:
    """The tests; the classes below name the engine."""

    engine = ""
    cluster = None

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(cls.engine)
        try:
            cls.cluster.start()
        except BaseException:
            cls.cluster.__exit__(*sys.exc_info())
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__()

    def tearDown(self):
        self.cluster.check_alive()
        super().tearDown()

    def run_flags(self, *flags):
        """Flags of cube run for the engine, up to where the command begins."""
        return [*flags, IMAGE] if self.engine == "docker" else ["--engine", "process", *flags]

    def test_run_show_stop(self):
        cluster = self.cluster
        ran = cluster.cube("run", *self.run_flags("--name", "web", "--label", "tier=front"), "sh",
                           "-c", "echo hello; echo oops >&2; trap 'exit 0' TERM; "
                           "sleep 1000000 & wait")
        task = ran.out.strip()
        self.assertRegex(task, r"^web-[a-z0-9]{8}$", "data on stdout is the id alone")
        shown = re.findall(rf"^{task}: (\w+)", ran.err, re.MULTILINE)
        self.assertEqual(shown, [s for s in STEPS if s in shown], "progress never goes back")
        self.assertEqual(shown[-1], "running")

        shown = cluster.tasks(everything=False)[task]
        self.assertLessEqual(TASK_FIELDS, set(shown))
        self.assertEqual(shown["status"], "running")
        self.assertEqual(shown["name"], "web")
        self.assertTrue(shown["healthy"])
        self.assertEqual((shown["attempt"], shown["launch"]), (1, 0))
        self.assertIsNone(shown["exit_code"])
        self.assertRegex(shown["created_at"], TIME)
        self.assertRegex(shown["started_at"], TIME)
        self.assertIn(shown["node"], [cluster.node("a"), cluster.node("b")])
        self.assertEqual(shown["image"], IMAGE if self.engine == "docker" else None)
        self.assertEqual(checks.engine_agrees(cluster, [task], {task: shown}), [])

        status = cluster.cube("status", task, "-o", "json").json()
        self.assertEqual((status["id"], status["status"]), (task, "running"))
        self.assertEqual(status["spec"]["labels"], {"tier": "front"})
        self.assertIn("running", cluster.cube("status", task).out)
        overall = cluster.cube("status", "-o", "json").json()
        self.assertGreaterEqual(overall["tasks"]["running"], 1)
        self.assertEqual(overall["nodes"], {"ready": 2})

        self.assertEqual(cluster.cube("ps", "-q").out, task + "\n")
        self.assertEqual(cluster.cube("ps", "-q", "-l", "tier=front").out, task + "\n")
        self.assertEqual(cluster.cube("ps", "-q", "-l", "tier=back").out, "")
        self.assertEqual(cluster.cube("ps", "-q", "--node", shown["node"]).out, task + "\n")

        def both_lines():
            logs = cluster.cube("logs", "web")
            return (logs.out, logs.err) == ("hello\n", "oops\n") or f"not yet: {logs}"
        wait_for("both lines of output", both_lines, 30)

        self.assertEqual(cluster.cube("stop", "web").out, task + "\n")
        ended = cluster.tasks()[task]
        self.assertEqual((ended["status"], ended["exit_code"]), ("stopped", 0))
        self.assertRegex(ended["finished_at"], TIME)
        self.assertNotIn(task, cluster.tasks(everything=False))
        self.assertEqual(checks.living(cluster).get(task), None)
        logs = cluster.cube("logs", task)
        self.assertEqual((logs.out, logs.err), ("hello\n", "oops\n"),
                         "the output of a task that has ended")

        kinds = [(e["stream"], e["kind"]) for e in cluster.events(task)]
        self.assert_in_order([("intents", "submit"), ("decisions", "start"), ("facts", "running"),
                              ("intents", "stop"), ("decisions", "stop"), ("facts", "exited")],
                             kinds)
        again = cluster.cube("stop", task)
        self.assertIn("ended already", again.err)

    def test_nodes(self):
        nodes = {n["name"]: n for n in self.cluster.cube("node", "ls", "-o", "json").json()}
        self.assertEqual(set(nodes), {self.cluster.node("a"), self.cluster.node("b")})
        for node in nodes.values():
            self.assertLessEqual(NODE_FIELDS, set(node))
            self.assertGreater(node["cpus"], 0)
            self.assertGreater(node["memory"], 0)
        name = self.cluster.node("a")
        inspected = self.cluster.cube("node", "inspect", name, "-o", "json").json()
        if isinstance(inspected, list):
            inspected = inspected[0]
        self.assertEqual(inspected["name"], name)

    def test_end_by_itself(self):
        cluster = self.cluster
        codes = {"good": 0, "bad": 7}
        ids = {}
        for name, code in codes.items():
            spec = cluster.spec(name, f"exit {code}", restart="no")
            ids[name] = cluster.run(spec, "-d")[0]
        cluster.wait_status({ids["good"]: "completed", ids["bad"]: "failed"})
        tasks = cluster.tasks()
        for name, code in codes.items():
            self.assertEqual(tasks[ids[name]]["exit_code"], code)
        waited = cluster.cube("wait", ids["bad"], code=None)
        self.assertIn("7", waited.out)
        failed = cluster.cube("ps", "-a", "-q", "--filter", "state=failed").lines()
        self.assertIn(ids["bad"], failed)
        self.assertNotIn(ids["good"], failed)

    def test_restart_in_place(self):
        cluster = self.cluster
        task = cluster.run(cluster.spec("flaky", "exit 3", restart="on-failure:3"), "-d")[0]
        cluster.wait_status({task: "failed"})
        shown = cluster.tasks()[task]
        self.assertEqual((shown["attempt"], shown["launch"], shown["exit_code"]), (1, 2, 3),
                         "three launches in one place")
        self.assertEqual([e["launch"] for e in cluster.events(task) if e["kind"] == "exited"],
                         [0, 1, 2])

    def test_run_files(self):
        cluster = self.cluster
        image = f"  image: {IMAGE}\n" if self.engine == "docker" else ""
        with open(cluster.path("two.yaml"), "w", encoding="utf-8") as file:
            for name in ("one", "two"):
                file.write(f"- name: {name}\n{image}  command: [sh, -c, exec sleep 1000000]\n"
                           "  stop_grace: 1s\n  cpus: 0.01\n  memory: 16Mi\n")
        ids = cluster.cube("run", "-f", "two.yaml").lines()
        self.assertEqual([i.rsplit("-", 1)[0] for i in ids], ["one", "two"])
        tasks = cluster.tasks()
        self.assertEqual([tasks[i]["status"] for i in ids], ["running", "running"])
        self.assertEqual({tasks[i]["node"] for i in ids}, {cluster.node("a"), cluster.node("b")},
                         "round robin")
        inspected = cluster.cube("task", "inspect", ids[0], "-o", "json").json()
        if isinstance(inspected, list):
            inspected = inspected[0]
        with open(cluster.path("again.json"), "w", encoding="utf-8") as file:
            json.dump({**inspected["spec"], "name": "three"}, file)
        third = cluster.cube("run", "-f", "again.json").lines()
        self.assertEqual(len(third), 1)
        self.assertEqual(cluster.cube("stop", *ids, *third).lines(), [*ids, *third])

    def test_same_id_twice(self):
        cluster = self.cluster
        spec = cluster.spec("same")
        first = cluster.run({**spec, "id": "same-00000001"})
        self.assertEqual(first, ["same-00000001"])
        cluster.run({**spec, "id": "same-00000001"})  # the same task: nothing happens
        other = cluster.cube("run", "-f", "-", code=4, stdin=json.dumps(
            {**spec, "id": "same-00000001", "labels": {"a": "b"}}).encode())
        self.assertIn("same-00000001", other.err)
        self.assertEqual(len(checks.living(cluster)["same-00000001"]), 1)
        self.assertEqual(cluster.tasks()["same-00000001"]["attempt"], 1)
        cluster.cube("stop", "same-00000001")

    def test_attach(self):
        attached = self.cluster.cube(
            "run", "--attach", *self.run_flags("--name", "batch", "--restart", "no"), "sh", "-c",
            "echo out; echo err >&2; exit 5", code=5)
        self.assertIn("out\n", attached.out)
        self.assertIn("err\n", attached.err)
        missing = self.cluster.cube("run", "--attach", *self.run_flags(
            "--name", "nothing", "--restart", "no"), "/no/such/program", code=None)
        self.assertEqual(missing.code, 127, missing)
        self.assertIn("/no/such/program", missing.err)
        folder = self.cluster.cube("run", "--attach", *self.run_flags(
            "--name", "folder", "--restart", "no"), "/etc", code=None)
        self.assertEqual(folder.code, 126, folder)

    def test_follow(self):
        cluster = self.cluster
        task = cluster.run(cluster.spec("ticks", "i=0; while :; do i=$((i+1)); echo tick $i; "
                                        "sleep 0.2; done"))[0]
        with cluster.cube_begin("logs", "-f", task) as follow:
            lines = [follow.stdout.readline() for _ in range(5)]
            cluster.cube("stop", "-t", "1", task)
            rest = follow.stdout.read()
            self.assertEqual(follow.wait(60), 0, follow.stderr.read())
        ticks = (b"".join(lines) + rest).decode().split("\n")[:-1]
        self.assertEqual(ticks, [f"tick {i + 1}" for i in range(len(ticks))], "each line once")

    def test_ports(self):
        cluster = self.cluster
        if self.engine == "docker":
            spec = cluster.spec("http", "echo served > /tmp/index.html; "
                                "exec httpd -f -p 8080 -h /tmp", ports=[8080])
        else:
            spec = cluster.spec("http", "exec python3 -m http.server -b 127.0.0.1 "
                                '"$CUBE_PORT_8080"', ports=[8080])
        task = cluster.run(spec)[0]
        ports = wait_for("a port", lambda: cluster.tasks()[task]["ports"])
        self.assertEqual((ports[0]["port"], ports[0]["protocol"]), (8080, "tcp"))
        def answers():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]['host_port']}/",
                                            timeout=10) as page:
                    return page.status == 200
            except OSError:
                return False
        wait_for("an answer on the published port", answers)
        cluster.cube("stop", "-t", "1", task)

    def test_unknown(self):
        cluster = self.cluster
        self.assertEqual(cluster.cube("stop", "nonesuch-00000000", code=3).err,
                         "cube: there is no task 'nonesuch-00000000'. 'cube ps -a' lists "
                         "them\n")
        for command in ("status", "logs", "wait"):
            self.assertIn("nonesuch", cluster.cube(command, "nonesuch", code=3).err)
        self.assertIn("nonesuch", cluster.cube("node", "inspect", "nonesuch", code=3).err)
        cluster.cube("stopp", "x", code=64)
        cluster.cube("run", code=64)
        cluster.cube("ps", "--no-such-flag", code=64)

    def test_never_placed(self):
        cluster = self.cluster
        spec = cluster.spec("huge", cpus=900)
        stuck = cluster.cube("run", "-f", "-", "--timeout", "1s", stdin=json.dumps(spec).encode(),
                             code=2)
        task = stuck.out.strip()
        shown = cluster.tasks()[task]
        self.assertEqual((shown["status"], shown["node"], shown["attempt"]), ("pending", None, 0))
        self.assertTrue(shown["reason"], "a pending task has a reason")
        self.assertIn("cpu", shown["reason"])
        cluster.cube("stop", task)
        self.assertEqual(cluster.tasks()[task]["status"], "stopped")


class LifecycleProcessTest(Lifecycle, suite.Case):
    engine = "process"


@unittest.skipIf(why_no_docker(), why_no_docker())
class LifecycleDockerTest(Lifecycle, suite.Case):
    engine = "docker"


class UnreachableTest(suite.Case):
    def test_no_server(self):
        with Cluster() as cluster:
            cluster.environment["CUBE_SERVER"] = "nats://127.0.0.1:1"
            began = time.monotonic()
            gone = cluster.cube("ps", code=69)
            self.assertIn("127.0.0.1:1", gone.err)
            self.assertLess(time.monotonic() - began, 60)

    def test_clean_end(self):
        with Cluster() as cluster:
            cluster.start("a")
            self.assertEqual(cluster.end("a"), 0)
            self.assertEqual(cluster.end("manager"), 0)
            self.assertTrue(os.path.isdir(cluster.path("state")))


if __name__ == "__main__":
    suite.main()
