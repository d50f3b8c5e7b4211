"""Work for the cluster, all the time: each operation goes on until the log has it.

One thread uses `cube`, the other publishes messages by hand. What was acknowledged is noted; only
that is owed.
"""

import json
import random
import threading
import time

from chaos import witness
from lib.nats import NatsError

ACCEPT_SECONDS = 90
RETRY_SECONDS = 0.2
PAUSE_SECONDS_MAX = 1.2   # between two operations of a thread
STAYS_MAX = 14            # of a thread at one time
# Exit codes that a busy or absent cluster may give; 3: no manager has folded the task yet.
CLI_AGAIN = (0, 1, 2, 3, 69)
JOB = "web"
WEIGHTS = {"stay": 30, "short": 22, "crash": 8, "stop": 20, "scale": 7, "update": 5}


class Load(threading.Thread):
    """round_: part of the ids, which are unique. by_hand: messages, not `cube`."""

    def __init__(self, world, seed, round_, by_hand, stays):
        super().__init__(daemon=True, name=f"load-{'hand' if by_hand else 'cube'}")
        self._world = world
        self._dice = random.Random(f"{seed}-{round_}-{by_hand}")
        self._round = round_
        self._by_hand = by_hand
        self._end = threading.Event()
        self._client = None
        self._sent_at = 0
        self._count = 0
        self.stays = stays       # acknowledged, and no stop was tried
        self.accepted = {}       # id -> kind of task
        self.stopped = set()
        self.sent = {}           # ("submit" or "stop", id) -> uptime, of what was acknowledged
        self.operations = 0
        self.given_up = 0
        self.failure = None
        self._kinds = sorted({kind for engines in world.engines.values() for kind in engines})
        self._docker = "docker" in self._kinds

    def run(self):
        try:
            while not self._end.wait(self._dice.random() * PAUSE_SECONDS_MAX):
                self._operate()
        except BaseException as error:
            self.failure = error
        finally:
            self._disconnect()

    def end(self):
        self._end.set()
        self.join()

    # ---- operations ----------------------------------------------------------------------------

    def _operate(self):
        kinds = dict(WEIGHTS)
        if len(self.stays) >= STAYS_MAX:
            kinds["stay"] = 0
        if not self.stays:
            kinds["stop"] = 0
        if not self._by_hand:  # one of the two changes the job: its last word counts
            kinds["scale"] = kinds["update"] = 0
        kind = self._dice.choices(list(kinds), list(kinds.values()))[0]
        getattr(self, "_do_" + kind)()
        self.operations += 1

    def _submit(self, kind, script, **more):
        self._count += 1
        way = "c" if not self._by_hand else "h"
        # Containers cost the engine most of a second of a core each.
        engine = "docker" if self._docker and self._dice.random() < 0.3 else "process"
        ident = f"{kind}-r{self._round}{way}-{self._count}"
        spec = self._world.task_spec(ident, engine,
                                     witness.script(self._world.witness_dir, script), **more)
        if self._until_taken(lambda: self._send_submit(spec)):
            self.accepted[ident] = kind
            self.sent["submit", ident] = self._sent_at
            return ident
        return None

    def _do_stay(self):
        ident = self._submit("stay", witness.STAYS, restart="always")
        if ident is not None:
            self.stays.append(ident)

    def _do_short(self):
        seconds = self._dice.choice([0, 0.2, 1, 3, 6])
        self._submit("short", witness.ends(seconds, 0), restart="no")

    def _do_crash(self):
        self._submit("crash", witness.ends(self._dice.choice([0, 0.5, 2]), 3),
                     restart="on-failure:2")

    def _do_stop(self):
        task = self.stays.pop(self._dice.randrange(len(self.stays)))
        if self._until_taken(lambda: self._send_stop(task)):
            self.stopped.add(task)
            self.sent["stop", task] = self._sent_at

    def _do_scale(self):
        replicas = self._dice.randrange(1, 6)
        self._until_taken(lambda: self._publish("cube.jobs.scale",
                                                {"name": JOB, "replicas": replicas}))

    def _do_update(self):
        self._until_taken(lambda: self.submit_job(self._dice.randrange(1 << 30)))

    def submit_job(self, mark):
        script = witness.script(self._world.witness_dir, witness.STAYS)
        task = {**self._world.template("process", script), "env": {"MARK": str(mark)},
                "stop_grace": "1s"}
        return self._publish("cube.jobs.submit", {
            "name": JOB, "replicas": 3, "task": task, "update": {"parallel": 2, "timeout": "1h"}})

    # ---- ways ----------------------------------------------------------------------------------

    def _until_taken(self, attempt):
        deadline = time.monotonic() + ACCEPT_SECONDS
        while not self._attempt(attempt):
            if self._end.is_set() or time.monotonic() > deadline:
                self.given_up += 1
                return False
            time.sleep(RETRY_SECONDS)
        return True

    def _attempt(self, attempt):
        self._sent_at = witness.uptime()
        return attempt()

    def _send_submit(self, spec):
        if self._by_hand:
            return self._publish("cube.tasks.submit", spec)
        return self._cube("run", "-d", "-f", "-", stdin=json.dumps(spec).encode())

    def _send_stop(self, task):
        if self._by_hand:
            return self._publish("cube.tasks.stop", {"id": task})
        return self._cube("stop", "-d", task)

    def _cube(self, *args, stdin=None):
        ran = self._world.cube(*args, stdin=stdin, code=None)
        if ran.code not in CLI_AGAIN:
            raise AssertionError(f"an exit code that no outage explains: {ran}")
        return ran.code == 0

    def _publish(self, subject, body):
        try:
            if self._client is None:
                self._client = self._world.connect()
            self._client.append(subject, json.dumps(body), timeout=3)
            return True
        except (NatsError, OSError, ValueError):
            self._disconnect()
            return False

    def _disconnect(self):
        if self._client is not None:
            self._client.close()
            self._client = None
