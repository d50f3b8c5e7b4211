"""A container engine of a test's own, which it may stop and kill: dockerd with a folder for all."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

from lib import guard
from lib.cluster import IMAGE, wait_for

START_SECONDS = 90
# From what should work to what still runs containers in a sandbox. None has a network.
WAYS = [["--iptables=false", "--bridge=none"],
        ["--iptables=false", "--bridge=none", "--storage-driver=vfs"]]


def why_none():
    """Empty if one can be started; CI must be able to."""
    why = ""
    if os.geteuid() != 0:
        why = "an engine of one's own needs root"
    elif not shutil.which("dockerd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        why = "there is no dockerd"
    if why and os.environ.get("CI") == "true":
        raise RuntimeError(why)
    return why


def _end(pid, how, seconds=30):
    try:
        os.kill(pid, how)
    except OSError:
        return
    wait_for(f"process {pid} to end", lambda: not _alive(pid), seconds)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


# The end of no node's name: the clusters remove what is theirs.
NOBODY = "no.node"


class Engine:
    """Use it with `with`. live_restore: containers outlive the daemon."""

    def __init__(self, live_restore=False):
        self.dir = tempfile.mkdtemp(prefix="cube-engine.", dir="/var/tmp")
        self.host = f"unix://{self.dir}/docker.sock"
        self._guard = guard.start(self.dir, NOBODY)
        self._way = None
        self._process = None
        with open(self._path("daemon.json"), "w", encoding="ascii") as file:
            json.dump({"live-restore": live_restore}, file)

    def _path(self, name):
        return os.path.join(self.dir, name)

    def __enter__(self):
        try:
            self.start()
            image = subprocess.run(["docker", "save", IMAGE], capture_output=True, check=True,
                                   timeout=120).stdout
            self.docker("load", stdin=image)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._process and self._process.poll() is None:
            ids = self.docker("ps", "-aq", code=None).split()
            if ids:
                self.docker("rm", "-f", *ids, code=None)
        self.stop(signal.SIGTERM)
        guard.finish(self._guard)
        guard.clean(self.dir, NOBODY)

    def _end_containerd(self):
        """It ends with dockerd, except after a kill; a next dockerd would trust its pid file."""
        path = self._path("run/containerd/containerd.pid")
        try:
            with open(path, encoding="ascii") as file:
                _end(int(file.read()), signal.SIGTERM)
            os.remove(path)
        except (OSError, ValueError):
            pass

    def docker(self, *args, code=0, stdin=None):
        done = subprocess.run(["docker", "-H", self.host, *args], input=stdin, capture_output=True,
                              timeout=120, check=False)
        if code is not None and done.returncode != code:
            raise AssertionError(f"docker {' '.join(args)}: {done.stderr.decode()}")
        return done.stdout.decode()

    def running(self, task):
        """Ids of its containers that run."""
        return self.docker("ps", "-q", "--no-trunc", "--filter", f"label=cube.task={task}").split()

    def start(self):
        for way in [self._way] if self._way is not None else WAYS:
            if self._try(way):
                self._way = way
                return
        with open(self._path("log"), encoding="utf-8", errors="replace") as log:
            raise AssertionError("dockerd does not start: " + "".join(log.readlines()[-5:]))

    def _try(self, way):
        environment = dict(os.environ)
        environment["PATH"] += ":/usr/sbin:/sbin"
        environment.pop("DOCKER_HOST", None)
        with open(self._path("log"), "ab") as log:
            self._process = subprocess.Popen(
                # A network of its own: without a bridge it would remove that of another engine.
                ["unshare", "--net", "dockerd", "--config-file", self._path("daemon.json"),
                 "--host", self.host, "--pidfile", self._path("pid"), "--data-root",
                 self._path("data"), "--exec-root", self._path("run"), *way],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, start_new_session=True)

        def answers():
            return self._process.poll() is not None or \
                self.docker("version", code=None).count("Version") > 1
        wait_for("dockerd", answers, START_SECONDS)
        return self._process.poll() is None

    def stop(self, how=signal.SIGTERM):
        """The daemon only: SIGTERM takes its containers along, unless they outlive it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._end_containerd()
