"""What must hold, found out from the engines and the log themselves."""

import collections
import json
import os
import subprocess

from lib.cluster import wait_for

ENGINE_SECONDS = 60
FINISHED = {"completed", "failed", "stopped", "lost", "refused"}

# Which status may follow which, when nothing was left out.
FOLLOWS = {
    None: {"pending", "refused"},
    "pending": {"scheduled", "stopping", "stopped"},
    "scheduled": {"pulling", "starting", "running", "failed", "stopping", "pending", "lost",
                  "completed", "stopped", "restarting"},
    "pulling": {"starting", "running", "failed", "stopping", "pending", "lost", "restarting",
                "stopped"},
    "starting": {"running", "restarting", "failed", "completed", "stopping", "pending", "lost",
                 "stopped"},
    # Twice in a row: its health has become known.
    "running": {"running", "unhealthy", "restarting", "completed", "failed", "stopping", "pending",
                "lost", "stopped"},
    "unhealthy": {"running", "restarting", "completed", "failed", "stopping", "pending", "lost",
                  "stopped"},
    "restarting": {"pulling", "starting", "running", "failed", "completed", "stopping", "pending",
                   "lost", "stopped"},
    "stopping": {"stopped", "completed", "failed", "lost", "pending"},
}


def witness_script(folder):
    """A task that writes down who it is, and stays. The file is one line for each start."""
    return (f'echo "$CUBE_TASK $CUBE_ATTEMPT $CUBE_LAUNCH $CUBE_NODE $$" >> {folder}/witness; '
            "exec sleep 1000000")


def starts(folder):
    """(task, attempt, launch) -> how often a command was started for it."""
    counts = collections.Counter()
    try:
        with open(os.path.join(folder, "witness"), encoding="utf-8") as file:
            for line in file:
                task, attempt, launch, _, _ = line.split()
                counts[task, int(attempt), int(launch)] += 1
    except FileNotFoundError:
        pass
    return counts


def parent(pid):
    """The process that has started it; 0 if it has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def environments(*names):
    """(pid, variables) of each process that runs now and has one of these variables."""
    marks = [name.encode() + b"=" for name in names]
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                block = file.read()
        except OSError:
            continue
        if any(mark in block for mark in marks):
            yield int(entry), dict(item.split("=", 1)
                                   for item in block.decode("utf-8", "replace").split("\0")
                                   if "=" in item)


def is_of(variables, unique):
    """It is a command of a task on one of the test's nodes."""
    return "CUBE_TASK" in variables and variables.get("CUBE_NODE", "").endswith("-" + unique)


def without_children(found):
    """(pid, value) of those whose parent is not among them."""
    return [(pid, value) for pid, value in found.items() if parent(pid) not in found]


def living_processes(unique):
    """task -> [(node, attempt, launch, pid)] of commands that run now, from their environment."""
    found = {pid: (variables["CUBE_TASK"], variables["CUBE_NODE"], int(variables["CUBE_ATTEMPT"]),
                   int(variables["CUBE_LAUNCH"]))
             for pid, variables in environments("CUBE_NODE") if is_of(variables, unique)}
    tasks = collections.defaultdict(list)
    for pid, (task, *rest) in without_children(found):
        tasks[task].append((*rest, pid))
    return tasks


def containers(unique, everything=False):
    """task -> [(node, attempt, launch, id)] of containers that run now (or exist)."""
    labels = ["cube.node", "cube.task", "cube.attempt", "cube.launch"]
    template = "\t".join('{{.Label "%s"}}' % label for label in labels) + "\t{{.ID}}"
    done = subprocess.run(["docker", "ps", "--no-trunc", *(["-a"] if everything else []),
                           "--filter", "label=cube.node", "--format", template],
                          capture_output=True, timeout=ENGINE_SECONDS, check=True)
    found = collections.defaultdict(list)
    for line in done.stdout.decode().splitlines():
        node, task, attempt, launch, ident = line.split("\t")
        if node.endswith("-" + unique):
            found[task].append((node, int(attempt), int(launch), ident))
    return found


def living(cluster):
    """What the cluster's engine runs now."""
    if cluster.engine == "docker":
        return containers(cluster.unique)
    return living_processes(cluster.unique)


def engine_agrees(cluster, wanted, tasks):
    """Empty, or what differs between the wanted running tasks and the engine."""
    running = living(cluster)
    wrong = []
    for task in sorted(set(wanted) - set(running)):
        wrong.append(f"{task} does not run, though it should")
    for task in sorted(set(running) - set(wanted)):
        wrong.append(f"{task} runs, though it should not: {running[task]}")
    for task in sorted(set(running) & set(wanted)):
        if len(running[task]) != 1:
            wrong.append(f"{task} runs {len(running[task])} times: {running[task]}")
            continue
        node, attempt, launch, _ = running[task][0]
        said = tuple(tasks[task][key] for key in ("node", "attempt", "launch"))
        if said != (node, attempt, launch):
            wrong.append(f"{task} runs as {(node, attempt, launch)}, `cube ps` says {said}")
    return wrong


def wait_exactly_once(cluster, wanted, timeout):
    """Each wanted task runs exactly once, `cube ps` says so, and nothing else runs."""
    wanted = set(wanted)

    def good():
        cluster.check_alive()
        answer = cluster.cube("ps", "-a", "-o", "json", code=None)
        if answer.code != 0:
            return "not yet: " + answer.err.strip()
        tasks = {task["id"]: task for task in answer.json()}
        wrong = [f"{task} is {tasks.get(task, {}).get('status', 'unknown')}"
                 for task in sorted(wanted) if tasks.get(task, {}).get("status") != "running"]
        wrong = wrong or engine_agrees(cluster, wanted, tasks)
        return tasks if not wrong else f"not yet: {len(wrong)} wrong: {'; '.join(wrong[:5])}"
    return wait_for(f"{len(wanted)} tasks run exactly once", good, timeout)


def wait_exactly_once_on(cluster, wanted, node, timeout):
    """Each wanted task runs once on that node; what other nodes have left over does not count."""
    def good():
        tasks = cluster.tasks()
        running = living(cluster)
        return all(tasks[task]["status"] == "running" and tasks[task]["node"] == node
                   and sum(place[0] == node for place in running[task]) == 1 for task in wanted)
    wait_for(f"{len(wanted)} tasks run on {node}", good, timeout)


# ---- the feed ------------------------------------------------------------------------------------


class Feed:
    """Listens to cube.events.> over a connection of its own."""

    def __init__(self, cluster):
        self._client = cluster.connect()
        self._subscription = self._client.subscribe("cube.events.>")
        self._client.flush()
        self.messages = []

    def close(self):
        self._client.close()

    def take(self):
        """All objects heard so far, each once, in order."""
        self.messages += self._subscription.drain()
        seen = set()
        events = []
        for message in self.messages:
            text = message.payload.decode()
            if "\n" in text:
                raise AssertionError(f"an event is not one line: {text!r}")
            if text not in seen:  # at least once: a new leader may tell again
                seen.add(text)
                events.append((message.subject, json.loads(text)))
        return events

    def of(self, task):
        return [event for _, event in self.take() if event.get("task") == task]

    def wait_status(self, task, status, timeout=60):
        def heard():
            events = self.of(task)
            return any(e["status"] == status for e in events) and events
        return wait_for(f"'{status}' of {task} in the feed", heard, timeout)


def check_order(task, statuses):
    """Each status may follow the one before it, and nothing follows an end."""
    before = None
    for status in statuses:
        if status not in FOLLOWS.get(before, set()):
            raise AssertionError(f"{task}: {status} after {before}; all: {statuses}")
        before = status


# ---- the log -------------------------------------------------------------------------------------

STATES = ["pulling", "starting", "running", "exited"]


class LogChecker:
    """Folds `cube events -o json`: at most one attempt of a task is live, attempts grow by one,
    the launches of an attempt and their states only move forward."""

    def __init__(self):
        self.live = {}       # task -> (attempt, node)
        self.attempts = collections.Counter()
        self.submitted = []  # ids in the order of acceptance
        self.progress = {}   # (task, attempt) -> (launch, index of state)
        self.ended = set()   # (task, attempt) whose final fact was seen
        self.epoch = 0

    def fold(self, events):
        for event in events:
            if event.get("foreign"):
                continue
            handler = getattr(self, f"_{event['stream']}_{event['kind']}", None)
            if handler is not None:
                handler(event)
            elif event["stream"] == "facts" and event["kind"] in STATES:
                self._fact(event)
        return self

    def _intents_submit(self, event):
        if event["task"] not in self.submitted:
            self.submitted.append(event["task"])

    def _decisions_term(self, event):
        if event["epoch"] <= self.epoch:
            raise AssertionError(f"epoch {event['epoch']} follows {self.epoch}")
        self.epoch = event["epoch"]

    def _decisions_start(self, event):
        task = event["task"]
        if task in self.live:
            raise AssertionError(f"{task}: attempt {event['attempt']} starts while attempt "
                                 f"{self.live[task]} is live: {event}")
        if event["attempt"] != self.attempts[task] + 1:
            raise AssertionError(f"{task}: attempt {event['attempt']} after {self.attempts[task]}")
        self.attempts[task] = event["attempt"]
        self.live[task] = (event["attempt"], event["node"])

    def _drop_node(self, node):
        self.live = {t: placed for t, placed in self.live.items() if placed[1] != node}

    def _decisions_node_down(self, event):
        self._drop_node(event["node"])

    def _fact(self, event):
        key = event["task"], event["attempt"]
        if self.live.get(key[0]) != (key[1], event["node"]):
            return  # history: of an attempt that is lost
        now = event["launch"], STATES.index(event["kind"])
        if now < self.progress.get(key, (-1, -1)):
            raise AssertionError(f"{key}: {now} after {self.progress[key]}")
        self.progress[key] = now
        if event.get("final"):
            self.ended.add(key)
            del self.live[key[0]]


def check_log(cluster):
    return LogChecker().fold(cluster.events())
