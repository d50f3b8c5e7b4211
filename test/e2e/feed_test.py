#!/usr/bin/env python3
"""Hand-published JSON does what `cube run` does, and the readable feed tells the story."""

import json

from lib import checks, suite
from lib.cluster import CONVERGE_SECONDS, Cluster, wait_for

FEED_FIELDS = ["time", "task", "name", "node", "attempt", "launch", "status", "healthy"]


def without_starting(events):
    """The statuses; a launch that is up at once is never said to be starting."""
    return [e["status"] for e in events if e["status"] != "starting"]


class FeedTest(suite.Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster("process")
        try:
            cls.cluster.start()
        except BaseException:
            cls.cluster.print_logs()
            cls.cluster.__exit__()
            raise
        cls.client = cls.cluster.connect()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.cluster.__exit__()

    def setUp(self):
        super().setUp()
        self.feed = checks.Feed(self.cluster)

    def tearDown(self):
        self.feed.close()
        self.cluster.check_alive()
        super().tearDown()

    def outcome(self, subject, payload):
        """Publishes with a header Cube-Outcome. -> (sequence, what became of it)"""
        token = f"t{self.client.last_sequence('CUBE_INTENTS')}-{self.cluster.unique}"
        answers = self.client.subscribe(f"cube.outcome.{token}")
        sequence = self.client.append(subject, payload, headers={"Cube-Outcome": token})
        answer = json.loads(answers.next(CONVERGE_SECONDS).payload)
        answers.close()
        self.assertEqual(answer["intent"], sequence)
        return sequence, answer["items"]

    def test_plain_publish(self):
        """As `nats pub` does it: no reply, no header, no id."""
        before = self.client.last_sequence("CUBE_INTENTS")
        self.client.publish("cube.tasks.submit", json.dumps(
            {"name": "plain", "command": ["sleep", "1000000"], "memory": "64Mi", "cpus": 0.1}))
        self.client.flush()

        def known():
            found = [t for t in self.cluster.tasks().values() if t["name"] == "plain"]
            return found and found[0]["status"] == "running" and found[0]
        task = wait_for("the task", known)
        self.assertRegex(task["id"], "^plain-[a-z0-9-]+$")
        self.assertEqual(self.client.last_sequence("CUBE_INTENTS"), before + 1)
        self.assertEqual(checks.engine_agrees(self.cluster, [
            i for i, t in self.cluster.tasks().items() if t["status"] == "running"],
            self.cluster.tasks()), [])
        self.cluster.cube("stop", "plain")

    def test_same_as_cube_run(self):
        """Both ways give tasks that differ in their ids alone."""
        spec = {"name": "twin", "command": ["sh", "-c", "exec sleep 1000000"],
                "env": {"A": "1"}, "labels": {"k": "v"}, "cpus": 0.25, "memory": "32Mi",
                "restart": "on-failure:2", "stop_grace": "1s"}
        _, items = self.outcome("cube.tasks.submit", json.dumps({**spec, "id": "twin-hand"}))
        self.assertEqual([(i["id"], i["status"]) for i in items], [("twin-hand", "accepted")])
        [other] = self.cluster.run(spec, "-d")
        self.cluster.wait_status({"twin-hand": "running", other: "running"})
        seen = []
        for task in ("twin-hand", other):
            shown = self.cluster.cube("status", task, "-o", "json").json()
            self.feed.wait_status(task, "running")
            seen.append((shown["spec"], shown["status"], shown["attempt"],
                         without_starting(self.feed.of(task))))
        self.assertEqual(seen[0], seen[1])
        _, items = self.outcome("cube.tasks.stop", json.dumps([{"id": "twin-hand"}, other]))
        self.assertEqual([(i["id"], i["status"]) for i in items],
                         [("twin-hand", "accepted"), (other, "accepted")])
        self.cluster.wait_status({"twin-hand": "stopped", other: "stopped"})

    def test_story(self):
        """One line for each transition, in order, each with the fields that scripts read."""
        [task] = self.cluster.run(self.cluster.spec("story"))
        self.cluster.cube("stop", task)
        events = self.feed.wait_status(task, "stopped")
        self.assertEqual(without_starting(events),
                         ["pending", "scheduled", "running", "stopping", "stopped"])
        for event in events:
            self.assertEqual([k for k in FEED_FIELDS if k not in event], [], event)
            self.assertEqual((event["task"], event["name"]), (task, "story"))
        times = [e["time"] for e in events]
        self.assertEqual(times, sorted(times))
        self.assertEqual({e["status"] for e in events if e["healthy"]}, {"running"})
        self.assertEqual({e["status"] for e in events if e["attempt"] == 0}, {"pending"})
        self.assertTrue(events[-1]["reason"])
        self.assertIn("exit_code", events[-1])
        for subject, event in self.feed.take():
            if event.get("task") == task:
                self.assertEqual(subject, f"cube.events.story.{task}.{event['status']}")

    def test_end_with_code(self):
        [task] = self.cluster.run(self.cluster.spec("ends", "exit 9", restart="no"), "-d")
        events = self.feed.wait_status(task, "failed")
        self.assertEqual(events[-1]["exit_code"], 9)
        checks.check_order(task, [e["status"] for e in events])

    def test_list_in_one_message(self):
        """A list is one intent; one bad item does not harm the others."""
        items = [{"name": "item", "id": f"item-{n}", "command": ["true"]} for n in range(3)]
        items.insert(1, {"name": "item", "id": "item-bad", "command": ["true"], "cpus": -1})
        _, answer = self.outcome("cube.tasks.submit", json.dumps(items))
        self.assertEqual([(i["id"], i["status"]) for i in answer],
                         [("item-0", "accepted"), ("item-bad", "refused"), ("item-1", "accepted"),
                          ("item-2", "accepted")])
        self.assertIn("cpus", answer[1].get("field", ""))
        self.cluster.wait_status({f"item-{n}": "completed" for n in range(3)})
        self.assertNotIn("item-bad", self.cluster.tasks())

    def test_ports_in_feed(self):
        spec = self.cluster.spec("porty", ports=[8080, "9000/udp"])
        [task] = self.cluster.run(spec)
        events = self.feed.wait_status(task, "running")
        running = [e for e in events if e["status"] == "running"][0]
        self.assertEqual([(p["port"], p["protocol"]) for p in running["ports"]],
                         [(8080, "tcp"), (9000, "udp")])
        self.assertTrue(all(1 <= p["host_port"] <= 65535 for p in running["ports"]))
        self.cluster.cube("stop", task)

    def test_summary_header(self):
        """`nats sub` and `nats stream view` print it."""
        submitted = self.client.subscribe("cube.tasks.submit")
        self.client.flush()
        [task] = self.cluster.run(self.cluster.spec("short", "true"), "-d")
        message = submitted.next(30)
        submitted.close()
        self.assertIn(task, message.headers["Cube-Summary"])


if __name__ == "__main__":
    suite.main()
