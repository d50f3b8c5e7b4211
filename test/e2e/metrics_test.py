#!/usr/bin/env python3
"""Metrics for a subscriber that shares no code with us, for people and for Prometheus."""

import os
import re
import socket
import subprocess
import sys
import unittest
import urllib.request

from lib import suite
from lib.cluster import Cluster, bin_dir, wait_for
from lib.nats import NatsError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INTERVAL = ["--metrics-interval", "1s"]
LISTEN = ["--metrics-listen", "127.0.0.1:0"]
SCRAPE_SECONDS = 30


def decode(payload):
    """Field names and values of a Metrics message, as protoc prints them."""
    return subprocess.run(
        ["protoc", "--decode=cube.v1.Metrics", "-I", os.path.join(ROOT, "messages"),
         "cube/v1/metrics.proto"], input=payload, capture_output=True, timeout=60,
        check=True).stdout.decode()


def block(text, name):
    """The first sub-message of that name as a dictionary of its numbers."""
    found = re.search(rf"^{name} {{\n(.*?)^}}", text, re.M | re.S)
    return {} if not found else {
        key: int(value) for key, value in re.findall(r"^  (\w+): (-?\d+)$", found[1], re.M)}


def meminfo(name):
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(rf"^{name}:\s+(\d+)", file.read(), re.M)[1])


def documented():
    """Names of the tables in docs/OPERATIONS.md."""
    with open(os.path.join(ROOT, "docs/OPERATIONS.md"), encoding="utf-8") as file:
        return set(re.findall(r"^\| `(cube_\w+)` \|", file.read(), re.M))


class MetricsTest(suite.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = Cluster("process")
        try:
            cls.cluster.start_nats()
            cls.cluster.start_manager("manager", *LISTEN)
            cls.cluster.start_worker("a", *INTERVAL, *LISTEN)
            cls.cluster.wait_ready("a")
            cls.busy = cls.cluster.run(cls.cluster.spec("busy", "while :; do :; done"))[0]
        except BaseException:
            cls.cluster.__exit__(*sys.exc_info())
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__()

    def tearDown(self):
        self.cluster.check_alive()
        super().tearDown()

    def url(self, name):
        def found():
            with open(self.cluster.path(name + ".log"), encoding="utf-8") as log:
                return re.search(r'(http://127\.0\.0\.1:\d+/metrics)', log.read())
        return wait_for(f"{name} says where it listens", found)[1]

    def scrape(self, name):
        proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with proxy.open(self.url(name), timeout=SCRAPE_SECONDS) as answer:
            self.assertIn("text/plain", answer.headers["Content-Type"])
            return answer.read().decode()

    def metrics_with_the_task(self):
        """The first message that shows what the busy task uses, without being asked for."""
        with self.cluster.connect() as client:
            subscription = client.subscribe("cube.metrics.*")
            def arrived():
                try:
                    message = subscription.next(10)
                except NatsError:
                    return False
                text = decode(message.payload)
                return (message.subject, text) if "\n  cpu_millis: " in text else False
            return wait_for("metrics with the task", arrived)

    def test_subscriber_sees_them_without_asking(self):
        subject, text = self.metrics_with_the_task()
        self.assertEqual(subject, "cube.metrics." + self.cluster.node("a"))
        self.assertEqual(block(text, "memory")["mem_total"], meminfo("MemTotal"))
        self.assertEqual(block(text, "memory")["swap_total"] if meminfo("SwapTotal") else 0,
                         meminfo("SwapTotal"))
        cpu = block(text, "cpu")
        with open("/proc/stat", encoding="ascii") as file:
            now = [int(word) for word in file.readline().split()[1:]]
        names = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest",
                 "guest_nice"]
        for name, value in zip(names, now):
            if name != "iowait":  # may run backwards, says proc(5)
                self.assertLessEqual(cpu.get(name, 0), value, name)
        disk = block(text, "root_disk")
        root = os.statvfs("/")
        self.assertEqual(disk["all_bytes"], root.f_blocks * root.f_frsize)
        self.assertEqual(disk["used_bytes"], disk["all_bytes"] - disk["free_bytes"])
        self.assertGreater(block(text, "load")["process_total"], 1)
        task = re.search(r"^tasks {\n(.*?)^}", text, re.M | re.S)[1]
        self.assertIn(f'task: "{self.busy}"', task)
        self.assertIn('name: "busy"', task)
        self.assertGreater(int(re.search(r"cpu_nanos: (\d+)", task)[1]), 0)
        self.assertRegex(text, r"tasks_running: 1\n")

    def test_stream_keeps_the_newest(self):
        self.metrics_with_the_task()
        with self.cluster.connect() as client:
            state = client.api("STREAM.INFO.CUBE_METRICS")["state"]
        self.assertEqual(state["messages"], 1)

    def test_command_line(self):
        cluster = self.cluster
        self.metrics_with_the_task()
        node = cluster.cube("node", "ls", "-o", "json").json()[0]
        self.assertGreater(node["used"]["memory"], 1 << 20)
        self.assertGreater(node["used"]["cpus"], 0)
        self.assertGreater(node["used"]["disk"], 0)
        self.assertGreaterEqual(node["load"]["last1min"], 0)
        heading = cluster.cube("node").lines()[0]
        for title in ["NAME", "MEMORY (MiB)", "DISK (GiB)", "ROLE", "TASKS", "CPU%", "MEM%", "LOAD",
                      "AGE", "VERSION"]:
            self.assertIn(title, heading)
        every = cluster.cube("node", "inspect", node["name"], "-o", "json").json()[0]["metrics"]
        self.assertEqual(len(every["memory"]), 44)
        self.assertEqual(every["memory"]["mem_total"], meminfo("MemTotal"))
        self.assertEqual(len(every["cpu"]), 10)
        self.assertIn("free_inodes", every["root_disk"])
        self.assertIn("Load ", cluster.cube("node", "inspect", node["name"]).out)
        overall = cluster.cube("status")
        self.assertRegex(overall.out, r"(?m)^Used +[\d.]+ of \d+ cpus \(\d+%\)")
        self.assertEqual(cluster.cube("status", "-o", "json").json()["used"]["nodes"], 1)

    def test_top(self):
        cluster = self.cluster
        self.metrics_with_the_task()
        frame = cluster.cube("top").out
        self.assertNotIn("\033", frame, "nothing but text when piped")
        self.assertRegex(frame, r"^1 node, 1 task running\. Used: ")
        self.assertRegex(frame, r"(?m)^NODE +STATUS +CPU%")
        self.assertRegex(frame, rf"(?m)^{self.busy} +busy +{cluster.node('a')} +[\d.]+ ")
        tasks = cluster.cube("top", "tasks", "--sort", "mem", "-o", "json").json()
        self.assertEqual([task["id"] for task in tasks["tasks"]], [self.busy])
        self.assertNotIn("nodes", tasks)
        self.assertNotIn("TASK ", cluster.cube("top", "nodes").out)
        self.assertIn("cube top tasks", cluster.cube("top", "pods", code=64).err)

    def test_scrapes(self):
        self.metrics_with_the_task()
        manager = self.scrape("manager")
        worker = self.scrape("a")
        named = {}
        for text in (manager, worker):
            types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
            self.assertEqual(set(types), set(re.findall(r"^# HELP (\w+) .+$", text, re.M)))
            named.update(types)
        # The library's own, about itself.
        named = {name: kind for name, kind in named.items() if not name.startswith("exposer_")}
        self.assertEqual(set(named), documented(), "docs/OPERATIONS.md lists them")
        for name, kind in named.items():
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
        self.assertRegex(manager, r"(?m)^cube_manager_leading 1$")
        self.assertRegex(manager, r'(?m)^cube_manager_tasks{status="running"} 1$')
        self.assertRegex(manager, r'(?m)^cube_manager_nodes{state="ready"} 1$')
        self.assertRegex(manager, r"(?m)^cube_manager_append_seconds_count [1-9]")
        self.assertRegex(worker, r'(?m)^cube_worker_engine_up{engine="process"} 1$')
        self.assertRegex(worker, r'(?m)^cube_worker_launches{state="running"} 1$')
        self.assertRegex(worker, rf'(?m)^cube_task_memory_bytes{{.*task="{self.busy}".*}} \d')
        self.assertRegex(worker, r"(?m)^cube_node_memory_bytes{node=.*} "
                                 r"[\d.e+]+$")

    def test_addresses_that_cannot_be(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            for program in ("cube-worker", "cube-manager"):
                for address, code, words in [(where, 1, "is taken"), ("9464", 64, "HOST:PORT")]:
                    done = subprocess.run(
                        [os.path.join(bin_dir(), program), "--server",
                         self.cluster.environment["CUBE_SERVER"], "--state-dir",
                         self.cluster.path("other"), "--metrics-listen", address],
                        capture_output=True, timeout=60, check=False,
                        env=self.cluster.environment)
                    self.assertEqual(done.returncode, code, done.stderr)
                    self.assertIn(b"--metrics-listen", done.stderr)
                    self.assertIn(words.encode(), done.stderr)


if __name__ == "__main__":
    suite.main()
