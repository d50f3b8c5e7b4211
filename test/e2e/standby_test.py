#!/usr/bin/env python3
"""Two managers: the one that does not lead answers questions and says where it stands; it takes
over from one that stands still, and that one does no harm when it goes on."""

import json
import signal

from lib import suite
from lib.cluster import Cluster, wait_for


class StandbyTest(suite.Case):
    def status(self, cluster):
        answer = cluster.cube("status", "-o", "json", code=None)
        return answer.json() if answer.code == 0 else {}

    def container(self, cluster, task):
        return cluster.cube("task", "inspect", task, "-o", "json").json()[0]["container_id"]

    def wait_answer_of(self, cluster, manager, **wanted):
        """Until that manager answers so; which one is asked is the server's choice."""
        def answered():
            found = self.status(cluster)
            return found if found.get("manager") == manager and all(
                found.get(key) == value for key, value in wanted.items()) else f"not yet: {found}"
        return wait_for(f"{manager} to answer", answered)

    def test_standby(self):
        with Cluster("process") as cluster:
            cluster.start("a")
            web = cluster.run(cluster.spec("web", id="web-0"))[0]
            cluster.start_manager("second")
            found = self.wait_answer_of(cluster, "second", leading=False, behind=0)
            self.assertEqual(found["leader"], "manager")
            self.assertEqual(found["tasks"], {"running": 1})
            container = self.container(cluster, web)

            cluster.processes["manager"].send_signal(signal.SIGSTOP)
            self.wait_answer_of(cluster, "second", leading=True)
            after = cluster.run(cluster.spec("after", id="after-0"))[0]
            cluster.processes["manager"].send_signal(signal.SIGCONT)
            self.wait_answer_of(cluster, "manager", leading=False, behind=0, leader="second")

            self.assertEqual(cluster.end("second"), 0)
            self.wait_answer_of(cluster, "manager", leading=True)
            tasks = cluster.tasks()
            self.assertEqual({i: (t["status"], t["attempt"]) for i, t in tasks.items()},
                             {web: ("running", 1), after: ("running", 1)})
            self.assertEqual(self.container(cluster, web), container, "no task was disturbed")
            terms = [event["manager"] for event in cluster.events() if event["kind"] == "term"]
            self.assertEqual(terms, ["manager", "second", "manager"])

    def test_the_standby_is_asked_for_what_it_has_not_read_yet(self):
        with Cluster("process") as cluster:
            cluster.start("a")
            cluster.start_manager("second")
            self.wait_answer_of(cluster, "second", leading=False, behind=0)
            cluster.kill("manager")
            with cluster.connect() as client:
                client.append("cube.tasks.submit", json.dumps(cluster.spec("late", id="late-0")))
            # Nobody has decided on it before the standby takes over.
            cluster.cube("--request-timeout", "30s", "stop", "-d", "late-0")
            wait_for("its end", lambda: cluster.tasks()["late-0"]["status"] == "stopped")


if __name__ == "__main__":
    suite.main()
