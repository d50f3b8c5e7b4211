"""The cluster under test: several servers, managers and workers, each a host of its own.

Without root's means all hosts are one machine. With them each has a network namespace (network.py)
and a small disk for its state, so that links can be cut and disks be filled.
"""

import collections
import contextlib
import json
import os
import shutil
import signal
import subprocess
import time

from chaos.network import Network
from lib import guard
from lib.cluster import (CONVERGE_SECONDS, IMAGE, UP_SECONDS, Cluster, bin_dir, nats_server,
                         wait_for)
from lib.nats import Nats, NatsError

CLIENT = "client"
DISK_BYTES = 384 << 20
STREAM_BYTES = "64Mi"      # of each: more than an hour writes
REVIVE_SECONDS = 1
SERVER_PORT, ROUTE_PORT = 4222, 6222
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def server_version(path):
    done = subprocess.run([path, "--version"], capture_output=True, timeout=30, check=True)
    text = done.stdout.decode().split()[-1].lstrip("v")
    return tuple(int(part) for part in text.split("-")[0].split("."))


class World(Cluster):
    """Names: managers m1.., workers by letter, servers n1... A host is called as what runs there.

    engines: letter -> list of engines. engine: lib.engine.Engine that all containers are in, or
    None for the machine's own.
    """

    def __init__(self, servers, managers, engines, *, hosts=False, disks=False, engine=None):
        super().__init__("process")
        self.servers = [f"n{n}" for n in range(1, servers + 1)]
        self.managers = [f"m{n}" for n in range(1, managers + 1)]
        self.engines = engines
        self.workers = sorted(engines)
        self.own_engine = engine
        self.network = None
        self.has_disks = disks
        self.exits = []       # (time, name, code) of processes that ended by themselves
        self.ends_in_a_row = collections.Counter()
        self._not_before = collections.defaultdict(float)
        self.clocks = {}      # name -> seconds that its wall clock is ahead
        self.damaged_at = collections.defaultdict(list)  # node -> uptimes: its worker's store
        self.restored_at = 0  # uptime when the streams went backwards last; 0 = they never have
        self.engine_kills = []   # uptimes
        self.full_at = collections.defaultdict(list)  # node -> [(uptime, uptime)]: no room there
        self.witness_dir = self.path("witness")
        os.makedirs(self.witness_dir)
        os.chmod(self.dir, 0o755)
        if hosts:
            self.network = Network(self.unique)
            for host in [CLIENT, *self.servers, *self.managers, *self.workers]:
                self.network.add(host)
        if disks:
            for host in [*self.servers, *self.managers, *self.workers]:
                self._mount(host)

    @property
    def members(self):
        return [*self.servers, *self.managers, *self.workers]

    def __exit__(self, kind=None, *_):
        for name in list(self.processes):
            self.resume(name)
        super().__exit__(None)

    def keep(self, folder):
        """Ends all processes, and copies logs, stores and streams to where a person can look at
        them."""
        for name in list(self.processes):
            self.kill(name)

        def ignored(path, names):
            """Neither sockets and pipes nor what only fills a disk."""
            paths = {name: os.path.join(path, name) for name in names}
            return [name for name, where in paths.items() if name == "ballast"
                    or os.path.islink(where)
                    or not (os.path.isfile(where) or os.path.isdir(where))]
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(shutil.Error):  # what tasks and engines remove meanwhile
            shutil.copytree(self.dir, folder, ignore=ignored)

    # ---- hosts ---------------------------------------------------------------------------------

    def _prefix(self, name):
        return self.network.prefix(name) if self.network is not None else []

    def _environment(self, name):
        environment = dict(self.environment)
        if self.own_engine is not None:
            environment["DOCKER_HOST"] = self.own_engine.host
        if name in self.clocks:
            environment.update(LD_PRELOAD=FAKETIME, FAKETIME=f"{self.clocks[name]:+d}s",
                               FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1")
        return environment

    def disk(self, host, *parts):
        return self.path("disk", host, *parts)

    def _mount(self, host):
        os.makedirs(self.disk(host), exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", f"cube-{host}",
                        self.disk(host)], check=True, capture_output=True, timeout=30)

    def address(self, host):
        return self.network.address(host) if self.network is not None else "127.0.0.1"

    # ---- servers -------------------------------------------------------------------------------

    def _write_configuration(self, name):
        routes = "".join(f'    "nats://{self.address(other)}:{ROUTE_PORT}"\n'
                         for other in self.servers)
        text = (f'server_name: "{name}"\nlisten: "{self.address(name)}:{SERVER_PORT}"\n'
                f'ping_interval: "2s"\nping_max: 2\n'
                f'jetstream {{ store_dir: "{self.disk(name, "jetstream")}", '
                f'max_file_store: 2G }}\n')
        if len(self.servers) > 1:
            text += (f'cluster {{\n  name: "chaos"\n  listen: "{self.address(name)}:{ROUTE_PORT}"\n'
                     f'  routes: [\n{routes}  ]\n}}\n')
        path = self.path(name + ".conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def start_server(self, name):
        os.makedirs(self.disk(name), exist_ok=True)
        if self.network is not None:
            self._spawn(name, [nats_server(), "-c", self._write_configuration(name)])
            return
        self._spawn(name, [nats_server(), "-a", "127.0.0.1", "-p", str(self.port or -1), "-js",
                           "-sd", self.disk(name, "jetstream"), "--ports_file_dir", self.dir])
        if self.port == 0:
            self._learn_port(name)

    def _learn_port(self, name):
        path = self.path(f"{os.path.basename(nats_server())}_{self.processes[name].pid}.ports")
        wait_for("the server's port",
                 lambda: os.path.exists(path) and os.path.getsize(path) > 0, UP_SECONDS)
        with open(path, encoding="utf-8") as file:
            self.port = int(json.load(file)["nats"][0].rsplit(":", 1)[1])

    def _port(self):
        return SERVER_PORT if self.network is not None else self.port

    @contextlib.contextmanager
    def _within(self):
        if self.network is None:
            yield
        else:
            with self.network.within(CLIENT):
                yield

    def connect(self, timeout=None):
        """To the first server that answers."""
        why = None
        for name in self.servers:
            try:
                with self._within():
                    return Nats(self.address(name), self._port(), timeout=timeout or 3)
            except (OSError, NatsError) as error:
                why = error
        raise NatsError(f"no server answers: {why}")

    def servers_ready(self):
        """JetStream answers, and has a leader."""
        try:
            with self.connect() as client:
                client.api("INFO", timeout=5)
            return True
        except (OSError, NatsError, ValueError):
            return False

    def streams_current(self):
        """"" if each copy of each stream is up to date, else what is not."""
        try:
            with self.connect() as client:
                names = client.api("STREAM.NAMES")["streams"] or []
                for name in names:
                    cluster = client.api(f"STREAM.INFO.{name}").get("cluster") or {}
                    if len(self.servers) > 1 and not cluster.get("leader"):
                        return f"{name} has no leader"
                    for replica in cluster.get("replicas") or []:
                        if not replica.get("current") or replica.get("offline"):
                            return f"{name}: the copy on {replica['name']} is behind"
        except (OSError, NatsError, ValueError) as error:
            return str(error)
        return ""

    # ---- all of it -----------------------------------------------------------------------------

    def start_all(self):
        for name in self.servers:
            self.start_server(name)
        wait_for("the servers", self.servers_ready, UP_SECONDS)
        urls = ",".join(f"nats://{self.address(n)}:{self._port()}" for n in self.servers)
        self.environment["CUBE_SERVER"] = urls
        for name in self.managers:
            self.start_manager(name, "--stream-bytes", STREAM_BYTES, "--replicas",
                               "3" if len(self.servers) >= 3 else "1")
        for letter in self.workers:
            flags = [word for kind in self.engines[letter] for word in ("--engine", kind)]
            self.start_worker(letter, *flags, "--allow-mount", self.witness_dir)
        self.wait_nodes(self.workers)
        self._check_copies()

    def _check_copies(self):
        """Three servers, three copies of everything: else a lost folder would be a real loss."""
        with self.connect() as client:
            for name in client.api("STREAM.NAMES")["streams"]:
                copies = client.api(f"STREAM.INFO.{name}")["config"]["num_replicas"]
                if copies != min(len(self.servers), 3):
                    raise AssertionError(f"{name} has {copies} copies")

    def start_manager(self, name="manager", *flags):
        self._spawn(name, [os.path.join(bin_dir(), "cube-manager"), "--name", name, "--state-dir",
                           self.disk(name), *flags])

    def start_worker(self, letter, *flags, **_):
        os.makedirs(self.disk(letter), exist_ok=True)
        self._spawn(letter, [os.path.join(bin_dir(), "cube-worker"), "--name", self.node(letter),
                             "--state-dir", self.disk(letter), *flags])

    def start_again(self, name):
        if name in self.servers:
            self.start_server(name)
        else:
            self._spawn(name, self._starts[name])

    def wait_nodes(self, letters, timeout=CONVERGE_SECONDS):
        wanted = {self.node(letter) for letter in letters}

        def ready():
            answer = self.cube("node", "ls", "-o", "json", code=None)
            if answer.code != 0:
                return "not yet: " + answer.err.strip()
            good = {n["name"] for n in answer.json() if n["status"] == "ready" and n["eligible"]
                    and all(e["up"] for e in n["engines"])}
            return wanted <= good or f"not yet: ready are {sorted(good)}"
        wait_for(f"nodes {sorted(wanted)}", ready, timeout)

    def revive(self):
        """What a service manager does: who has ended by itself is started again, once a second at
        most. -> their names"""
        ended = []
        for name, process in list(self.processes.items()):
            if process.poll() is None or time.monotonic() < self._not_before[name]:
                continue
            again = time.monotonic() < self._not_before[name] + 2 * REVIVE_SECONDS
            self.ends_in_a_row[name] = self.ends_in_a_row[name] + 1 if again else 1
            self._not_before[name] = time.monotonic() + REVIVE_SECONDS
            self.exits.append((time.time(), name, process.returncode))
            ended.append(name)
            self.start_again(name)
        return ended

    def engine_socket(self):
        """Of the engine with the containers; None if there are none."""
        if not any("docker" in kinds for kinds in self.engines.values()):
            return None
        host = self.own_engine.host if self.own_engine is not None else os.environ.get(
            "DOCKER_HOST", "unix:///var/run/docker.sock")
        return host.removeprefix("unix://")

    def pause(self, name):
        self.processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name):
        if name in self.processes:
            self.processes[name].send_signal(signal.SIGCONT)

    def clean_up_hosts(self):
        guard.clean(self.dir, self.unique)

    # ---- specifications ------------------------------------------------------------------------

    def task_spec(self, ident, kind, script, **more):
        """kind: process or docker."""
        spec = {"id": ident, "name": ident.rsplit("-", 1)[0], "stop_grace": "1s",
                **self.template(kind, script), **more}
        if kind == "docker":
            spec["env"] = {"WITNESS": ident, "WITNESS_OF": self.unique}
        return spec

    def template(self, kind, script):
        spec = {"command": ["sh", "-c", script], "engine": kind}
        if kind == "docker":
            spec.update(image=IMAGE, network="none",
                        volumes=[f"{self.witness_dir}:{self.witness_dir}"])
        return spec
