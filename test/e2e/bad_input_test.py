#!/usr/bin/env python3
"""Bad input of each kind gets an error that names the field, and harms nobody."""

import json
import os
import random

from lib import checks, suite
from lib.cluster import CONVERGE_SECONDS, Cluster, wait_for
from lib.nats import NatsError

COMMAND = ["sleep", "1000000"]
BIG = "x" * 40_000  # above what one text may have (32 KiB)
# What is wrong -> (the fields of a task, the field that the error names).
BAD_TASKS = {
    "an unknown field": ({"comand": ["true"]}, "comand"),
    "an unknown field inside": ({"ports": [{"prot": 80}]}, "ports[0].prot"),
    "a field of jobs": ({"replicas": 3}, "replicas"),
    "a text for a list": ({"command": "sleep 5"}, "command"),
    "a number for a map": ({"env": 5}, "env"),
    "a map for a text": ({"user": {"name": "root"}}, "user"),
    "words for a number": ({"cpus": "lots"}, "cpus"),
    "a list in a list": ({"command": ["sleep", ["5"]]}, "command[1]"),
    "no image": ({"engine": "docker", "command": ["true"]}, "image"),
    "no image nor command": ({"command": None}, "image"),
    "a bad image": ({"image": "Not an image", "engine": "docker"}, "image"),
    "a port above all": ({"ports": [80, 70000]}, "ports[1]"),
    "a port below all": ({"ports": [{"port": 0}]}, "ports[0].port"),
    "a bad port text": ({"ports": ["80:x"]}, "ports[0]"),
    "a port twice": ({"ports": [80, 80]}, "ports[1]"),
    "a negative size": ({"memory": -1}, "memory"),
    "a negative size as text": ({"memory": "-5Mi"}, "memory"),
    "a negative disk": ({"disk": "-1"}, "disk"),
    "negative cpus": ({"cpus": -0.5}, "cpus"),
    "a bad name": ({"name": "No Name"}, "name"),
    "a bad id": ({"id": "../../etc"}, "id"),
    "a reserved id": ({"id": "web-v1-0"}, "id"),
    "a bad restart policy": ({"restart": "sometimes"}, "restart"),
    "a bad signal": ({"stop_signal": "SIGNOTHING"}, "stop_signal"),
    "a bad grace": ({"stop_grace": "soon"}, "stop_grace"),
    "a bad constraint": ({"constraints": ["a ~ b"]}, "constraints[0]"),
    "a bad engine": ({"engine": "steam"}, "engine"),
    "a label of ours": ({"labels": {"cube.node": "x"}}, "labels.cube.node"),
    "a text above all": ({"env": {"A": BIG}}, "env.A"),
}
# Whole messages that no task can be read from. None names a field.
BAD_MESSAGES = {
    "garbage": bytes(random.Random(1).randrange(256) for _ in range(300)),
    "zeros": b"\0" * 64,
    "nothing": b"",
    "half of a JSON": b'{"name": "x", "command": [',
    "a JSON number in a list": b"[5]",
    "an empty list": b"[]",
    "deep JSON": b'{"name":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "bad UTF-8": b'{"name": "\xff\xfe", "command": ["true"]}',
    "a truncated protobuf": b"\x0a\xff\xff\xff\xff\x0f",
}
# YAML that stands for 4^40 values.
BOMB = b"b0: &b0 [x, x]\n" + b"".join(
    b"b%d: &b%d [*b%d, *b%d, *b%d, *b%d]\n" % (n, n, n - 1, n - 1, n - 1, n - 1)
    for n in range(1, 40))


class BadInputTest(suite.Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster("process")
        try:
            cls.cluster.start()
            cls.client = cls.cluster.connect()
            cls.good = cls.cluster.run(cls.cluster.spec("bystander"))[0]
        except BaseException:
            cls.cluster.print_logs()
            cls.cluster.__exit__()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.cluster.__exit__()

    def tearDown(self):
        """Services stay up: the same processes, and they still work."""
        self.cluster.check_alive()
        tasks = self.cluster.tasks()
        self.assertEqual((tasks[self.good]["status"], tasks[self.good]["launch"]), ("running", 0))
        [task] = self.cluster.run({"name": "after", "command": ["true"], "restart": "no"}, "-d")
        self.cluster.wait_status({task: "completed"})
        super().tearDown()

    @staticmethod
    def task(fields):
        spec = {"name": "bad", "command": COMMAND, **fields}
        return {key: value for key, value in spec.items() if value is not None}

    def outcome(self, subject, payload):
        token = f"b{random.getrandbits(60)}"
        answers = self.client.subscribe(f"cube.outcome.{token}")
        sequence = self.client.append(subject, payload, headers={"Cube-Outcome": token})
        answer = json.loads(answers.next(CONVERGE_SECONDS).payload)
        answers.close()
        self.assertEqual(answer["intent"], sequence)
        return sequence, answer["items"]

    def check_refused(self, feed, sequence, item, field):
        """In the answer, in the feed and in the log."""
        self.assertEqual(item["status"], "refused", item)
        self.assertTrue(item["reason"])
        if field is not None:
            self.assertIn(field, item["field"])
        subject = f"cube.events.-refused.{sequence}.refused"
        told = wait_for(subject, lambda: [e for s, e in feed.take() if s == subject], 30)
        self.assertEqual(len(told), 1)
        self.assertTrue(told[0]["reason"])
        refusals = [e for e in self.cluster.events() if e["kind"] == "refuse"
                    and e["stream"] == "decisions" and e["intent"] == sequence]
        self.assertEqual(len(refusals), 1, "one decision refuses it")
        self.assertEqual((refusals[0]["reason"], refusals[0]["field"]),
                         (item["reason"], item.get("field", "")))

    def test_by_command_line(self):
        before = set(self.cluster.tasks())
        for kind, (fields, field) in BAD_TASKS.items():
            with self.subTest(kind):
                text = json.dumps(self.task(fields)).encode()
                refused = self.cluster.cube("run", "-f", "-", stdin=text, code=None)
                self.assertIn(refused.code, (1, 64), refused)
                self.assertEqual(refused.out, "", refused)
                self.assertIn(field, refused.err)
        self.assertEqual({t for t in self.cluster.tasks() if t.startswith("bad")}, set())
        self.assertLessEqual(before, set(self.cluster.tasks()))

    def test_by_flags(self):
        flags = {"-p": ("99999", "port"), "--memory": ("-1", "memory"), "--cpus": ("many", "cpus"),
                 "--restart": ("sometimes", "restart"), "-e": ("=x", "env"),
                 "--name": ("A B", "name"),
                 "--disk": ("1Zi", "disk"), "--stop-timeout": ("-3s", "stop"),
                 "--no-such": ("x", "no-such"), "--replicas": ("-3", "replicas"),
                 "--type": ("daemon", "type")}
        for flag, (value, named) in flags.items():
            with self.subTest(flag):
                refused = self.cluster.cube("run", "--engine", "process", flag, value, "true",
                                            code=64)
                self.assertIn(named, refused.err.lower())

    def test_by_file(self):
        files = {"garbage": BAD_MESSAGES["garbage"], "empty": b"", "half": b"{",
                 "no map": b"[1, 2]", "tabs": b"name: x\n\tcommand: [true]\n", "bomb": BOMB}
        for kind, content in files.items():
            with self.subTest(kind):
                path = self.cluster.path("bad-file")
                with open(path, "wb") as file:
                    file.write(content)
                refused = self.cluster.cube("run", "-f", path, code=64)
                self.assertEqual(refused.out, "")
                self.assertTrue(refused.err.startswith("cube: "), refused)
        self.assertIn("no-such-file", self.cluster.cube("run", "-f", "no-such-file", code=None).err)

    def test_by_message(self):
        for kind, (fields, field) in BAD_TASKS.items():
            with self.subTest(kind):
                feed = checks.Feed(self.cluster)
                sequence, items = self.outcome("cube.tasks.submit", json.dumps(self.task(fields)))
                self.assertEqual(len(items), 1)
                self.check_refused(feed, sequence, items[0], field)
                feed.close()

    def test_whole_messages(self):
        for kind, payload in BAD_MESSAGES.items():
            for subject in ("cube.tasks.submit", "cube.tasks.stop"):
                with self.subTest(kind, subject=subject):
                    feed = checks.Feed(self.cluster)
                    sequence, items = self.outcome(subject, payload)
                    self.check_refused(feed, sequence, items[0], None)
                    feed.close()

    def test_oversized(self):
        """Above 64 KiB a task is refused; above the server's limit nothing is stored."""
        large = self.task({"env": {f"A{n}": "x" * 30_000 for n in range(4)}})
        feed = checks.Feed(self.cluster)
        sequence, items = self.outcome("cube.tasks.submit", json.dumps(large))
        self.check_refused(feed, sequence, items[0], None)
        feed.close()
        self.assertIn("64 KiB", items[0]["reason"])
        refused = self.cluster.cube("run", "-f", "-", stdin=json.dumps(large).encode(), code=None)
        self.assertIn(refused.code, (1, 64), refused)
        self.assertIn("64 KiB", refused.err)

        last = self.client.last_sequence("CUBE_INTENTS")
        beyond = json.dumps([self.task({"env": {"A": "x" * 30_000}})] * 50)
        self.assertGreater(len(beyond), self.client.info["max_payload"])
        with self.cluster.connect() as other, self.assertRaises(NatsError):
            other.append("cube.tasks.submit", beyond)
        self.assertEqual(self.client.last_sequence("CUBE_INTENTS"), last)
        # The command line parts what does not fit into one message.
        many = [self.task({"name": "many", "engine": "process", "command": ["true"],
                           "restart": "no", "env": {"A": "x" * 30_000}})] * 50
        with open(self.cluster.path("many.json"), "w", encoding="utf-8") as file:
            json.dump(many, file)
        ids = self.cluster.cube("run", "-d", "-f", "many.json").lines()
        self.assertEqual(len(set(ids)), 50)
        self.cluster.wait_status(dict.fromkeys(ids, "completed"))

    def test_stop_unknown(self):
        stopped = self.cluster.cube("stop", "nobody-00000000", code=3)
        self.assertIn("nobody-00000000", stopped.err)
        feed = checks.Feed(self.cluster)
        sequence, items = self.outcome("cube.tasks.stop", json.dumps({"id": "nobody-00000000"}))
        self.check_refused(feed, sequence, items[0], None)
        self.assertEqual(items[0]["code"], "not_found")
        for fields, field in (({"id": "x", "grace": -5}, "grace"), ({"id": 7}, "id"),
                              ({"task": "x"}, "task")):
            sequence, items = self.outcome("cube.tasks.stop", json.dumps(fields))
            self.check_refused(feed, sequence, items[0], field)
        feed.close()

    def test_unknown_verb(self):
        feed = checks.Feed(self.cluster)
        sequence, items = self.outcome("cube.tasks.frobnicate", '{"name": "x"}')
        self.check_refused(feed, sequence, items[0], None)
        feed.close()

    def test_garbage_everywhere(self):
        """On every subject that a service reads. Only the log of decisions is refused by nobody:
        whoever may write there is trusted, yet a foreign message is skipped."""
        node = self.cluster.node("a")
        dice = random.Random(2)
        for subject in (f"cube.facts.{node}", "cube.facts.stranger", f"cube.heartbeats.{node}",
                        "cube.heartbeats.stranger", f"cube.metrics.{node}", f"cube.assign.{node}",
                        f"cube.logs.{node}", "cube.query.tasks", "cube.query.nothing",
                        f"cube.desired.{node}.0", "cube.decisions"):
            for size in (0, 1, 100, 10_000):
                self.client.publish(subject, dice.randbytes(size))
            self.client.publish(subject, b'{"node": "a"}')
        self.client.flush()
        task = self.cluster.run(self.cluster.spec("through"))[0]
        self.assertEqual(self.cluster.tasks()[task]["attempt"], 1)
        self.cluster.cube("stop", task)
        self.assertEqual(self.cluster.cube("events", "-o", "json").code, 0)
        # The state of it all survives a restart too, though garbage is in the streams now.
        for name in ("manager", "a"):
            self.cluster.kill(name)
            self.cluster.start_again(name)
        self.cluster.wait_ready()
        self.assertEqual(self.cluster.tasks()[task]["status"], "stopped")

    def test_bad_flags_of_services(self):
        """A service that cannot work says why and ends with 64, or 1."""
        for program, flags, named in (
                ("worker", ["--cpus", "-1"], "cpus"), ("worker", ["--name", "No Name"], "name"),
                ("worker", ["--engine", "steam"], "engine"), ("worker", ["--frob"], "frob"),
                ("manager", ["--scheduler", "magic"], "scheduler"),
                ("manager", ["--frob"], "frob")):
            with self.subTest(program, flags=flags):
                folder = self.cluster.path("unused")
                refused = self.cluster.cube(program, "--state-dir", folder, *flags, code=64,
                                            timeout=30)
                self.assertIn(named, refused.err.lower())

    def test_second_service_on_one_folder(self):
        name = self.cluster.node("a")
        second = self.cluster.cube("worker", "--name", name, "--engine", "process", "--state-dir",
                                   self.cluster.path("state"), code=1, timeout=60)
        self.assertIn(os.path.join("worker", name), second.err)
        second = self.cluster.cube("manager", "--state-dir", self.cluster.path("state", "manager"),
                                   code=1, timeout=60)
        self.assertIn("state/manager", second.err)


if __name__ == "__main__":
    suite.main()
