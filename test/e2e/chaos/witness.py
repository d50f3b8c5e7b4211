"""What tasks and the kernel themselves say: neither reads the log.

Each task appends a line to one file when it starts, and, if it ends by itself, when it ends. The
watcher looks at the machine's processes several times a second; the commands in containers are
processes of this machine too. Their environment names task, attempt, launch and node.
"""

import collections
import json
import os
import socket
import threading

from lib import checks

LOOK_SECONDS = 0.25
CONTAINERS_EVERY = 2    # looks
ENGINE_SECONDS = 5

# A life. Of a container: which attempt and launch it is say its labels, see Containers.
Key = collections.namedtuple("Key", "task attempt launch node")
Overlap = collections.namedtuple("Overlap", "at first second")
ID_CHARACTERS = 12  # of a container's id, as it knows it itself: its host's name
CONTAINER = "container "


def script(folder, body):
    """A shell script that tells of its start; body may call `says end CODE`. A plain process knows
    what it is from its environment, a container its task and its own id."""
    return ('says() { read up x </proc/uptime; '
            'echo "$1 ${CUBE_TASK:-$WITNESS} ${CUBE_ATTEMPT:--1} ${CUBE_LAUNCH:--1} '
            '${CUBE_NODE:-$HOSTNAME} ${2:--} $up" '
            f'>>{folder}/lives; }}; says start; {body}')


def container_key(task, ident):
    return Key(task, -1, -1, CONTAINER + ident[:ID_CHARACTERS])


STAYS = "exec sleep 1000000"


def ends(seconds, code):
    return f"sleep {seconds}; says end {code}; exit {code}"


def uptime():
    """Seconds of the clock that tasks tell theirs by."""
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


class Lives:
    """The file, read on and on."""

    def __init__(self, folder):
        self._path = os.path.join(folder, "lives")
        self._offset = 0
        self.starts = collections.Counter()  # Key -> times
        self.ends = {}                       # Key -> exit code
        self._started = []                   # (Key, uptime), in order
        self._ended = {}                     # Key -> uptime
        self.odd = []                        # lines that cannot be read

    def read(self):
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return self
        whole, _, _ = data.rpartition(b"\n")
        if not whole:
            return self
        self._offset += len(whole) + 1
        for line in whole.decode("utf-8", "replace").split("\n"):
            parts = line.split(" ")
            if len(parts) != 7 or parts[0] not in ("start", "end"):
                self.odd.append(line)
                continue
            if parts[2] == "-1":
                key = container_key(parts[1], parts[4])
            else:
                key = Key(parts[1], int(parts[2]), int(parts[3]), parts[4])
            if parts[0] == "start":
                self.note_start(key, float(parts[6]))
            else:
                self.note_end(key, int(parts[5]), float(parts[6]))
        return self

    def note_start(self, key, at):
        self.starts[key] += 1
        self._started.append((key, at))

    def note_end(self, key, code, at):
        self.ends[key] = code
        self._ended[key] = at

    def times(self, key):
        """When it was started, each time."""
        return [at for started, at in self._started if started == key]

    def starts_since(self, at):
        return collections.Counter(key for key, began in self._started if began > at)

    def ends_since(self, at):
        return {key: self.ends[key] for key, ended in self._ended.items() if ended > at}


def look(unique):
    """Key -> pids of the commands that run now, whatever started them."""
    found = {}
    for pid, variables in checks.environments("CUBE_NODE", "WITNESS"):
        if checks.is_of(variables, unique):
            found[pid] = Key(variables["CUBE_TASK"], int(variables["CUBE_ATTEMPT"]),
                             int(variables["CUBE_LAUNCH"]), variables["CUBE_NODE"])
        elif variables.get("WITNESS_OF") == unique:
            found[pid] = container_key(variables["WITNESS"], variables["HOSTNAME"])
    keys = collections.defaultdict(list)
    for pid, key in checks.without_children(found):
        keys[key].append(pid)
    return keys


class Containers:
    """Asks an engine, over its socket, what it has: by labels, so that each container's life has
    its key. None of Cube's code is between."""

    def __init__(self, socket_path, unique):
        self._path = socket_path
        self._unique = unique
        self.keys = {}     # container key -> Key
        self.running = {}  # Key -> number of containers that run

    def look(self):
        """False: the engine does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ENGINE_SECONDS)
                connection.connect(self._path)
                connection.sendall(b"GET /containers/json?all=1 HTTP/1.0\r\nHost: engine\r\n\r\n")
                answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        except OSError:
            return False
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            return False
        running = collections.Counter()
        for container in json.loads(body):
            labels = container.get("Labels") or {}
            if not labels.get("cube.node", "").endswith("-" + self._unique):
                continue
            key = Key(labels["cube.task"], int(labels["cube.attempt"]), int(labels["cube.launch"]),
                      labels["cube.node"])
            self.keys[container_key(key.task, container["Id"])] = key
            if container["State"] in ("running", "paused", "restarting"):
                running[key] += 1
        self.running = running
        return True

    def resolve(self, key):
        """The life that a container's key stands for; the key itself if nobody has seen it."""
        return self.keys.get(key, key)


def runs(pid):
    """It has not ended, nor is it a dead process that nobody has asked for yet."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


class Watcher(threading.Thread):
    """Looks until it is told to end. Two launches of one task in one look are an overlap."""

    def __init__(self, unique, containers):
        super().__init__(daemon=True, name="watcher")
        self._unique = unique
        self._containers = containers
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._overlaps = {}   # (Key, Key) -> uptime at the first look
        self.looks = 0
        self.failure = None

    def run(self):
        try:
            while not self._end.wait(LOOK_SECONDS):
                self._look()
                if self._containers is not None and self.looks % CONTAINERS_EVERY == 0:
                    self._containers.look()
        except BaseException as error:
            self.failure = error

    def _look(self):
        pids = look(self._unique)
        tasks = collections.defaultdict(list)
        for key in pids:
            tasks[key.task].append(key)
        self.looks += 1
        for keys in tasks.values():
            keys.sort()
            for pair in zip(keys, keys[1:]):
                # A look takes its time: the first one may have ended before the second began.
                if all(any(runs(pid) for pid in pids[key]) for key in pair):
                    with self._lock:
                        self._overlaps.setdefault(pair, uptime())

    def overlaps(self):
        with self._lock:
            return [Overlap(at, *pair) for pair, at in self._overlaps.items()]

    def end(self):
        self._end.set()
        self.join()
