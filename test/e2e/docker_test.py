#!/usr/bin/env python3
"""What a single machine's Docker gives, through Cube: ports, volumes, networks, names, ends."""

import json
import os
import subprocess
import sys
import unittest

from lib import suite
from lib.cluster import IMAGE, Cluster, wait_for, why_no_docker

UNTIL_TOLD = "trap 'exit 0' TERM; while :; do sleep 1000000 & wait $!; done"


def docker(*args, code=0):
    done = subprocess.run(["docker", *args], capture_output=True, text=True, timeout=120,
                          check=False)
    if code is not None and done.returncode != code:
        raise AssertionError(f"docker {' '.join(args)}: {done.returncode}\n{done.stderr}")
    return done.stdout.strip()


@unittest.skipIf(why_no_docker(), why_no_docker())
class DockerTest(suite.Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster("docker")
        try:
            cls.allowed = cls.cluster.path("allowed")
            os.makedirs(cls.allowed)
            cls.cluster.start_nats()
            cls.cluster.start_manager()
            cls.cluster.start_worker("a", "--allow-mount", cls.allowed)
            cls.cluster.wait_ready("a")
        except BaseException:
            cls.cluster.__exit__(*sys.exc_info())
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__()

    def tearDown(self):
        self.cluster.check_alive()
        super().tearDown()

    def containers(self, task):
        """Ids of the containers of a task, in any state."""
        return docker("ps", "-aq", "--no-trunc", "--filter", f"label=cube.task={task}").split()

    def wait_reason(self, task, status, says):
        def reached():
            shown = self.cluster.tasks().get(task, {})
            text = f"{shown.get('status')}: {shown.get('reason')}"
            return shown if shown.get("status") == status and says in (shown.get("reason") or "") \
                else f"not yet: {text}"
        return wait_for(f"{status} for '{says}'", reached)

    def run_fails(self, says, *flags):
        """A task that this node must not start: failed at once, for good, with a reason."""
        ran = self.cluster.cube("run", "-d", *flags, IMAGE, "sleep", "1000000")
        shown = self.wait_reason(ran.out.strip(), "failed", says)
        self.assertEqual(shown["launch"], 0, "it was not tried again")
        self.assertEqual(self.containers(shown["id"]), [], "nothing is left behind")

    def test_volumes(self):
        cluster = self.cluster
        with open(os.path.join(self.allowed, "file"), "w", encoding="utf-8") as file:
            file.write("from the node\n")
        name = f"e2e-{cluster.unique}"
        flags = ["--attach", "-v", f"{name}:/data", "-v", f"{self.allowed}:/in:ro"]
        try:
            ran = cluster.cube("run", *flags, IMAGE, "sh", "-c",
                               "cat /in/file; echo kept >/data/x; touch /in/y || echo cannot")
            self.assertIn("from the node\n", ran.out)
            self.assertIn("cannot\n", ran.out)
            ran = cluster.cube("run", *flags, IMAGE, "cat", "/data/x")
            self.assertEqual(ran.out, "kept\n", "a named volume outlives its tasks")
            spec = cluster.spec("spec", "cat /data/x; touch /data/y && echo written",
                                volumes=[f"{name}:/data", "/own"], read_only_root=True)
            task = cluster.run(spec, "-d")[0]
            cluster.wait_status({task: "completed"})
            self.assertEqual(cluster.cube("logs", task).out, "kept\nwritten\n")
            shown = cluster.cube("task", "inspect", task, "-o", "json").json()[0]
            self.assertEqual(shown["spec"]["volumes"],
                             [{"source": name, "target": "/data"}, {"target": "/own"}])
        finally:
            for row in docker("ps", "-aq", "--filter", f"volume={name}").split():
                docker("rm", "-f", row)
            docker("volume", "rm", "-f", name)

    def check_by_hand(self):
        """The same from a message that no program of Cube has made."""
        with self.cluster.connect() as link:
            def submit(task, more, headers=None):
                link.append("cube.tasks.submit", json.dumps({
                    "id": task, "name": "by-hand", "image": IMAGE,
                    "command": ["sleep", "1000000"], **more}), headers)
            for number, (more, says) in enumerate((
                    ({"volumes": ["/etc:/x"]}, "--allow-mount"),
                    ({"volumes": ["/var/run/docker.sock:/x:ro"]}, "--allow-mount"),
                    ({"network": "host"}, "--allow-host-network"),
                    ({"cap_add": ["ALL"]}, "--allow-cap ALL"))):
                task = f"by-hand-{number}-{self.cluster.unique}"
                submit(task, more)
                self.wait_reason(task, "failed", says)
                self.assertEqual(self.containers(task), [], "nothing is left behind")
            outcomes = link.subscribe("cube.outcome.by-hand")
            for field in ("privileged", "devices", "pid", "security_opt"):
                submit("by-hand-x", {field: True}, {"Cube-Outcome": "by-hand"})
                item, = json.loads(outcomes.next().payload)["items"]
                self.assertEqual((item["status"], item["field"]), ("refused", field))

    def test_what_the_node_does_not_allow(self):
        self.run_fails("--allow-mount", "-v", "/etc:/x")
        self.run_fails("--allow-mount", "-v", f"{self.allowed}x:/x")
        os.symlink("/etc", os.path.join(self.allowed, "link"))
        self.run_fails("--allow-mount", "-v", f"{self.allowed}/link:/x")
        self.run_fails("--allow-host-network", "--network", "host")
        self.run_fails("docker network create", "--network", "no-such-network")
        self.run_fails("--allow-cap SYS_ADMIN", "--cap-add", "sys_admin")
        self.check_by_hand()
        refused = self.cluster.cube("run", "-v", "../x:/x", IMAGE, code=64)
        self.assertIn("--volume '../x:/x'", refused.err)
        refused = self.cluster.cube("run", "--engine", "process", "-v", "x:/x", "true", code=64)
        self.assertIn("--volume", refused.err)

    def test_network_and_capabilities(self):
        ran = self.cluster.cube("run", "--attach", "--network", "none", "--cap-drop", "all",
                                "--read-only", IMAGE, "sh", "-c",
                                "ls /sys/class/net; grep CapEff /proc/self/status; touch /x",
                                code=1)
        self.assertIn("lo\n", ran.out)
        self.assertNotIn("eth0", ran.out)
        self.assertIn("CapEff:\t0000000000000000", ran.out)

    def test_exposed_ports_are_published_and_clash(self):
        cluster = self.cluster
        spec = cluster.spec("ports", UNTIL_TOLD, ports=[8080, "9090/udp"])
        task = cluster.run(spec)[0]
        ports = {p["port"]: p["host_port"] for p in cluster.tasks()[task]["ports"]}
        self.assertEqual(set(ports), {8080, 9090})
        self.assertTrue(all(ports.values()))
        # A port that somebody outside of Cube has.
        clash = cluster.run(cluster.spec("clash", UNTIL_TOLD, ports=[f"{ports[8080]}:80"]), "-d")[0]
        self.wait_reason(clash, "failed", str(ports[8080]))

    def test_failed_start_is_clean_and_says_why(self):
        cluster = self.cluster
        task = cluster.run(cluster.spec("bad", command=["/no/such/program"]), "-d")[0]
        shown = self.wait_reason(task, "failed", "/no/such/program")
        self.assertEqual(self.containers(task), [])
        self.assertIsNone(shown["started_at"])
        image = cluster.run({"name": "gone", "image": "localhost:1/no/image:1",
                             "restart": "on-failure:2"}, "-d")[0]
        shown = self.wait_reason(image, "failed", "localhost:1")
        self.assertEqual(shown["launch"], 1, "tried as often as asked")

    def test_same_name_twice_and_duplicates(self):
        cluster = self.cluster
        spec = cluster.spec("twin", UNTIL_TOLD)
        first, second = cluster.run(spec)[0], cluster.run(spec)[0]
        self.assertNotEqual(first, second)
        self.assertEqual([len(self.containers(task)) for task in (first, second)], [1, 1])
        again = cluster.run({"id": first, **spec})
        self.assertEqual(again, [first], "the same answer")
        self.assertEqual(len(self.containers(first)), 1)
        other = cluster.run({"id": first, **spec, "env": {"A": "1"}}, code=4)
        self.assertEqual(other, [])
        cluster.cube("stop", first)
        self.assertIn("ended already", cluster.cube("stop", first).err)
        stops = [e for e in cluster.events(first) if e["kind"] == "exited"]
        self.assertEqual(len(stops), 1)

    def test_removed_from_outside(self):
        cluster = self.cluster
        once = cluster.run(cluster.spec("once", UNTIL_TOLD, restart="no"))[0]
        docker("rm", "-f", *self.containers(once))
        self.wait_reason(once, "failed", "vanished")
        again = cluster.run(cluster.spec("again", UNTIL_TOLD, restart="always"))[0]
        docker("rm", "-f", *self.containers(again))

        def is_back():
            shown = cluster.tasks()[again]
            return (shown["status"], shown["launch"]) == ("running", 1) or f"not yet: {shown}"
        wait_for("the next launch", is_back)
        self.assertEqual(len(self.containers(again)), 1)

    def test_ends(self):
        cluster = self.cluster
        code = cluster.run(cluster.spec("code", "exit 3", restart="no"), "-d")[0]
        self.assertEqual(self.wait_reason(code, "failed", "exit code 3")["exit_code"], 3)
        killed = cluster.run(cluster.spec("killed", "kill -SEGV $$; sh -c 'kill -SEGV $$'; exit $?",
                                          restart="no"), "-d")[0]
        self.wait_reason(killed, "failed", "SIGSEGV")
        hog = cluster.run(cluster.spec("hog", command=["tail", "/dev/zero"], memory="16Mi",
                                       restart="no"), "-d")[0]
        self.assertEqual(self.wait_reason(hog, "failed", "out of memory")["exit_code"], 137)
        paused = cluster.run(cluster.spec("paused", UNTIL_TOLD))[0]
        docker("pause", *self.containers(paused))
        self.assertEqual(cluster.tasks()[paused]["status"], "running")
        ran = cluster.cube("exec", paused, "true", code=125)
        self.assertIn("paused", ran.err)
        # A stop ends it all the same.
        cluster.cube("stop", "-t", "1", paused)
        self.assertEqual(cluster.tasks()[paused]["status"], "stopped")

    def test_limits_env_command_labels(self):
        cluster = self.cluster
        spec = cluster.spec("limits", UNTIL_TOLD, cpus=0.5, memory="64Mi", env={"A": "b c"},
                            restart="always", user="1000:1000", labels={"team": "x"})
        task = cluster.run(spec)[0]
        shown = json.loads(docker("inspect", *self.containers(task)))[0]
        host = shown["HostConfig"]
        self.assertEqual((host["NanoCpus"], host["Memory"]), (500_000_000, 64 << 20))
        self.assertEqual(host["RestartPolicy"]["Name"], "no", "Docker itself restarts nothing")
        self.assertIn("A=b c", shown["Config"]["Env"])
        self.assertEqual(shown["Config"]["Labels"]["team"], "x")
        self.assertEqual(cluster.cube("exec", task, "id", "-u").out, "1000\n")


if __name__ == "__main__":
    suite.main()
