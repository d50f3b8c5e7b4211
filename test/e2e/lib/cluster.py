"""A cluster of the real programs on this machine: nats-server, managers, workers.

Everything is in one temporary folder, every port is chosen by the kernel, and all of it is gone
afterwards: a process of its own (guard.py) cleans up even when the test itself was killed.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from lib import guard
from lib.nats import Nats, NatsError

# Deadlines are generous: a shared machine may stop for seconds. None is a measure of speed.
UP_SECONDS = 60
COMMAND_SECONDS = 120
STOP_SECONDS = 30
CONVERGE_SECONDS = 120
LOOK_SECONDS = 0.1  # between two looks at a condition
TAIL_LINES = 40
IMAGE = "cube/busybox:1"


def bin_dir():
    """Where the programs under test are."""
    given = os.environ.get("CUBE_BIN")
    if given:
        return given
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    return os.path.join(root, "build/release/bin")


def nats_server():
    path = os.environ.get("CUBE_NATS_SERVER") or shutil.which(
        "nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not path:
        raise RuntimeError("nats-server is missing (scripts/setup installs it)")
    return path


def why_no_docker():
    """Empty if containers can be run; CI must be able to."""
    why = ""
    if not shutil.which("docker"):
        why = "there is no docker command"
    elif subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, timeout=60,
                        check=False).returncode != 0:
        why = f"no container engine answers, or it has no image {IMAGE} (scripts/test makes it)"
    if why and os.environ.get("CI") == "true":
        raise RuntimeError(why)
    return why


def wait_for(what, condition, timeout=CONVERGE_SECONDS):
    """Waits until the condition holds, and returns what it answered.

    A condition returns something true, or false, or a text that says what is still missing
    (prefixed with "not yet: ").
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer and not (isinstance(answer, str) and answer.startswith("not yet: ")):
            return answer
        if time.monotonic() > deadline:
            more = f" ({answer[9:]})" if isinstance(answer, str) else ""
            raise AssertionError(f"{what}: not within {timeout} s{more}")
        time.sleep(LOOK_SECONDS)


class Result:
    """What a command has said."""

    def __init__(self, args, done):
        self.args = args
        self.code = done.returncode
        self.out = done.stdout.decode("utf-8", "replace")
        self.err = done.stderr.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.out)

    def lines(self):
        return self.out.split("\n")[:-1]

    def __str__(self):
        return (f"{' '.join(self.args)}: exit code {self.code}\n--- stdout\n{self.out}"
                f"--- stderr\n{self.err}")


class Cluster:
    """Use it with `with`. Nodes are called as `node(letter)` says, unique on this machine."""

    def __init__(self, engine="process"):
        self.engine = engine
        self.unique = "".join(random.SystemRandom().choices("abcdefghijkmnpqrstuvwxyz", k=6))
        self.dir = tempfile.mkdtemp(prefix="cube-e2e.")
        self.port = 0
        self.processes = {}  # name -> Popen
        self._starts = {}    # name -> command line
        self._guard = guard.start(self.dir, self.unique)
        self.environment = {k: v for k, v in os.environ.items()
                            if not k.startswith(("CUBE_", "NATS_"))}
        self.environment.update(HOME=self.dir, XDG_CONFIG_HOME=self.dir + "/config",
                                NO_COLOR="1", LC_ALL="C.UTF-8")

    def __enter__(self):
        return self

    def __exit__(self, kind=None, *_):
        if kind is not None:
            self.print_logs()
        for name in list(self.processes):
            self.kill(name)
        guard.finish(self._guard)
        guard.clean(self.dir, self.unique)

    # ---- processes -----------------------------------------------------------------------------

    def node(self, letter):
        return f"{letter}-{self.unique}"

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def _prefix(self, _name):
        """What the command line of a process begins with."""
        return []

    def _environment(self, _name):
        return self.environment

    def _spawn(self, name, command):
        self._starts[name] = command
        with open(self.path(name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                [*self._prefix(name), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environment(name), cwd=self.dir, start_new_session=True)

    def start_nats(self):
        """The first time on a port that the kernel chooses, later on the same one."""
        folder = self.path("nats")
        os.makedirs(folder, exist_ok=True)
        command = [nats_server(), "-a", "127.0.0.1", "-p", str(self.port or -1), "-js", "-sd",
                   folder, "--ports_file_dir", folder]
        self._spawn("nats", command)
        ports = os.path.join(folder, f"{os.path.basename(command[0])}_"
                                     f"{self.processes['nats'].pid}.ports")

        def ready():
            if not self.is_alive("nats"):
                raise AssertionError("nats-server has ended: " + self.log_tail("nats"))
            if not os.path.exists(ports) or os.path.getsize(ports) == 0:
                return False
            with open(ports, encoding="utf-8") as file:
                self.port = int(json.load(file)["nats"][0].rsplit(":", 1)[1])
            try:
                with self.connect() as client:
                    client.api("INFO", timeout=5)
                return True
            except (OSError, NatsError):
                return False
        wait_for("nats-server", ready, UP_SECONDS)
        self.environment["CUBE_SERVER"] = f"nats://127.0.0.1:{self.port}"

    def start_manager(self, name="manager", *flags):
        self._spawn(name, [os.path.join(bin_dir(), "cube-manager"), "--name", name, "--state-dir",
                           self.path("state", name), *flags])

    def start_worker(self, letter, *flags, process=None, state="state"):
        """With another process and state than the letter's own: a second worker of that name."""
        engine = [] if "--engine" in flags else ["--engine", self.engine]
        self._spawn(process or letter, [os.path.join(bin_dir(), "cube-worker"), "--name",
                                        self.node(letter), "--state-dir", self.path(state),
                                        *engine, *flags])

    def start_again(self, name):
        """With the same command line."""
        if name == "nats":
            self.start_nats()
        else:
            self._spawn(name, self._starts[name])

    def start(self, workers="ab"):
        """nats-server, one manager, workers; returns when all are ready."""
        self.start_nats()
        self.start_manager()
        for letter in workers:
            self.start_worker(letter)
        self.wait_ready(workers)
        return self

    def is_alive(self, name):
        return name in self.processes and self.processes[name].poll() is None

    def kill(self, name):
        """kill -9; what the worker has started lives on."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def end(self, name):
        """SIGTERM. -> the exit code."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{name} does not end: {self.log_tail(name)}") from None

    def check_alive(self):
        """Nobody has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise AssertionError(f"{name} has ended with code {process.returncode}: "
                                     + self.log_tail(name))

    def log_tail(self, name):
        try:
            with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as log:
                return "".join(log.readlines()[-TAIL_LINES:])
        except OSError:
            return "(no log)"

    def print_logs(self):
        for name in sorted(set(self._starts) - {"nats"}):
            print(f"--- end of the log of {name}\n{self.log_tail(name)}", file=sys.stderr)
        sys.stderr.flush()

    # ---- the command line ----------------------------------------------------------------------

    def cube(self, *args, code=0, stdin=None, timeout=COMMAND_SECONDS, environment=None):
        """Runs `cube`. code=None: any exit code will do."""
        result = self.program("cube", *args, stdin=stdin, timeout=timeout, environment=environment)
        if code is not None and result.code != code:
            raise AssertionError(f"exit code {code} was expected; {result}")
        return result

    def program(self, name, *args, stdin=None, timeout=COMMAND_SECONDS, environment=None):
        done = subprocess.run([*self._prefix("client"), os.path.join(bin_dir(), name), *args],
                              input=stdin, capture_output=True, timeout=timeout, cwd=self.dir,
                              check=False, env=environment or self.environment)
        return Result([name, *args], done)

    def cube_begin(self, *args):
        """Runs `cube` beside the test; end it with end_command."""
        return subprocess.Popen([os.path.join(bin_dir(), "cube"), *args],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.environment, cwd=self.dir)

    def connect(self):
        return Nats("127.0.0.1", self.port)

    def tasks(self, everything=True):
        """id -> task, as `cube ps -o json` says."""
        flags = ["-a"] if everything else []
        return {task["id"]: task for task in self.cube("ps", *flags, "-o", "json").json()}

    def events(self, *args):
        return [json.loads(line) for line in self.cube("events", "-o", "json", *args).lines()]

    def wait_ready(self, workers="ab"):
        wanted = sorted(self.node(letter) for letter in workers)

        def ready():
            self.check_alive()
            answer = self.cube("node", "ls", "-o", "json", code=None)
            if answer.code != 0:
                return "not yet: " + answer.err.strip()
            nodes = answer.json()
            good = sorted(n["name"] for n in nodes if n["status"] == "ready" and n["eligible"]
                          and any(e["kind"] == self.engine and e["up"] for e in n["engines"]))
            return set(wanted) <= set(good) or f"not yet: ready are {good}"
        wait_for(f"nodes {wanted}", ready, UP_SECONDS)

    def wait_status(self, wanted, timeout=CONVERGE_SECONDS):
        """wanted: id -> status."""
        def reached():
            answer = self.cube("ps", "-a", "-o", "json", code=None)
            if answer.code != 0:
                return "not yet: " + answer.err.strip()
            known = {task["id"]: task for task in answer.json()}
            wrong = {i: known.get(i, {}).get("status") for i, status in wanted.items()
                     if known.get(i, {}).get("status") != status}
            return known if not wrong else f"not yet: {len(wrong)} differ, such as " \
                                           f"{dict(list(wrong.items())[:3])}"
        return wait_for("the wanted statuses", reached, timeout)

    # ---- specs ---------------------------------------------------------------------------------

    def spec(self, name, script="exec sleep 1000000", **more):
        """A task of a shell script for this cluster's engine."""
        spec = {"name": name, "command": ["sh", "-c", script], "stop_grace": "2s", **more}
        if self.engine == "docker":
            spec["image"] = IMAGE
        return spec

    def run(self, spec, *flags, code=0):
        """cube run -f with the spec. -> ids"""
        result = self.cube("run", "-f", "-", *flags, stdin=json.dumps(spec).encode(), code=code)
        return result.lines()
