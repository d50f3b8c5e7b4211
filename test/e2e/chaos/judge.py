"""Decides: what the log says, what the engines run and what the tasks themselves have written down
must be one story, and everything that was acknowledged must be in it."""

import base64
import calendar
import collections
import re
import time

from chaos import witness
from chaos.load import JOB
from chaos.model import Model, Stored
from lib.nats import NatsError

STREAMS = {"intents": "CUBE_INTENTS", "decisions": "CUBE_DECISIONS", "facts": "CUBE_FACTS"}
SAMPLE = 5  # of many of a kind, in a sentence
API_SECONDS = 10
# A launch that no process engine or container engine could tell the exit code of says -1.
UNKNOWN = -1
# What Docker says of a container that ended while dockerd was away; no task here ends so.
ENDED_UNSEEN = 255
# A store that was damaged so long before the log lost its end may not have been told again.
FORGOT_SECONDS = 60
# Or so shortly behind it, before it was asked for what it has.
START_SECONDS = 5
# A stream's leader that is cut off answers so long, and one that has just begun has not all of it.
SHOWS_LESS_SECONDS = 30
# A dockerd that is killed while it starts a container knows nothing of that afterwards.
ENGINE_START_SECONDS = 10


def _nanoseconds(text):
    """RFC 3339 in UTC, as the server writes it."""
    match = re.fullmatch(r"(\d+-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z", text)
    seconds = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S"))
    return seconds * 10**9 + int((match[2] or "").ljust(9, "0"))


class WentBackwards(Exception):
    """A stream is not the one that was read."""


class Reader:
    """Reads the streams raw, message by message, each once."""

    def __init__(self, world):
        self._world = world
        self._next = dict.fromkeys(STREAMS, 1)
        self._times = {}  # stream -> server's time of the last message that was read
        self._less_since = {}  # stream -> uptime: what was read of it is not shown since then

    def read(self, model):
        """Feeds what is new. NatsError, OSError: nothing is lost, read again later."""
        with self._world.connect() as client:
            # The end of the decisions is asked for first: what they name is before the other ends.
            ends = {name: client.api(f"STREAM.INFO.{STREAMS[name]}", timeout=API_SECONDS)["state"]
                    for name in ("decisions", "intents", "facts")}
            for name in ("intents", "facts", "decisions"):
                state = ends[name]
                self._compare(client, name, state["last_seq"])
                while self._next[name] <= state["last_seq"]:
                    stored = self._one(client, STREAMS[name], self._next[name])
                    self._next[name] += 1
                    self._times[name] = stored.time_ns
                    if name == "decisions":
                        model.decide(stored)
                    else:
                        model.take(name, stored)

    def _compare(self, client, name, end):
        """The last message that was read is still there, and still the same."""
        last = self._next[name] - 1
        if last == 0:
            return
        if end < last:
            since = self._less_since.setdefault(name, witness.uptime())
            if len(self._world.servers) > 1 and witness.uptime() < since + SHOWS_LESS_SECONDS:
                raise NatsError(f"{STREAMS[name]} is not shown to its end")
            raise WentBackwards(f"{STREAMS[name]} ends at {end}, {last} was there")
        self._less_since.pop(name, None)
        if self._one(client, STREAMS[name], last).time_ns != self._times[name]:
            raise WentBackwards(f"{STREAMS[name]} has another message {last}")

    @staticmethod
    def _one(client, stream, seq):
        found = client.api(f"STREAM.MSG.GET.{stream}", {"seq": seq},
                           timeout=API_SECONDS)["message"]
        return Stored(seq, _nanoseconds(found["time"]), found["subject"],
                      base64.b64decode(found.get("data", "")))


def some(things):
    things = sorted(things)
    more = f" and {len(things) - SAMPLE} more" if len(things) > SAMPLE else ""
    return ", ".join(str(thing) for thing in things[:SAMPLE]) + more


def ends_by_itself(task):
    """By its id: all but those that stay come to an end, whether acknowledged or not."""
    return task.startswith(("short-", "crash-"))


class Verdict:
    """What is wrong. lost and doubled are sets of task ids."""

    def __init__(self):
        self.lost = {}
        self.doubled = {}
        self.other = []

    def lose(self, task, why):
        self.lost.setdefault(task, why)

    def double(self, task, why):
        self.doubled.setdefault(task, why)

    def good(self):
        return not (self.lost or self.doubled or self.other)

    def lines(self):
        return [*(f"lost: {task}: {why}" for task, why in sorted(self.lost.items())),
                *(f"doubled: {task}: {why}" for task, why in sorted(self.doubled.items())),
                *(f"broken: {what}" for what in self.other)]


class Judge:
    def __init__(self, world, watcher, containers):
        self._world = world
        self._watcher = watcher
        self._containers = containers
        self._reader = Reader(world)
        self._lives = witness.Lives(world.witness_dir)
        self.model = Model()  # of the log as it stands
        self.accepted = {}    # id -> kind, acknowledged to a load
        self.stopped = set()
        self.unknown_codes = 0
        self.engine_was_away = False
        self.expects_restores = False
        self.sent = {}        # ("submit" or "stop", id) -> uptime
        self.rolled_back = set()
        self.forgotten_starts = set()  # containers that dockerd was killed over
        self.overlaps_of_losses = 0    # that a lost end of the log explains
        self.unseen = set()   # lives of containers whose labels nobody has seen
        self._told = 0        # laws already in an earlier verdict

    def owe(self, load):
        self.accepted.update(load.accepted)
        self.stopped |= load.stopped
        self.sent.update(load.sent)

    @property
    def restored_at(self):
        """When the log went back to an older one, last; 0 = it never has. What is before that was
        judged by the log as it was."""
        return self._world.restored_at

    def _may_be_lost(self, what, ident):
        """It was sent to a log that is gone, and acknowledged by that or, while it was asked for,
        by the one behind it."""
        return self.restored_at > 0 and self.sent.get((what, ident), 0) <= self.restored_at

    def _stop_is_lost(self, ident):
        """With the end of the log, or it came before the task was known again."""
        return ident not in self.model.stops and (
            ident in self.model.anew or self._may_be_lost("stop", ident))

    def _begin_anew(self, why):
        """The log as it stands is the truth. Without a fault that does so it is a defect."""
        self._reader, self.model = Reader(self._world), Model()
        self._told = 0
        if not self.expects_restores:
            self.model.broken.append(why)

    # ---- convergence ---------------------------------------------------------------------------

    def wanted(self):
        """Keys of what should run, by the log."""
        return {witness.Key(t.id, t.attempt, t.newest.launch, t.node)
                for t in self.model.tasks.values() if t.status() == "running"}

    def running(self):
        """Keys -> number of processes or containers, by the engines themselves. None: an engine
        does not say."""
        if self._containers is not None and not self._containers.look():
            return None
        found = collections.Counter({self._resolve(key): len(pids) for key, pids
                                     in witness.look(self._world.unique).items()})
        if self._containers is not None:
            for key, count in self._containers.running.items():
                found[key] = max(found[key], count)
        return found

    def _resolve(self, key):
        return self._containers.resolve(key) if self._containers is not None else key

    def unsettled(self):
        """Empty, or what is still on its way. Reads the log on."""
        self.model.lossy = self.restored_at > 0
        try:
            self._reader.read(self.model)
        except WentBackwards as error:
            self._begin_anew(str(error))
            return str(error)
        except (NatsError, OSError, ValueError) as error:
            return f"the streams cannot be read: {error}"
        if self.model.unfolded():
            return f"{self.model.unfolded()} messages wait to be folded"
        down = [name for name, node in self.model.nodes.items() if node.down]
        if down:
            return f"nodes are down: {some(down)}"
        moving = [f"{t.id} is {t.status()}" for t in self.model.tasks.values()
                  if not t.finished() and (t.status() != "running" or ends_by_itself(t.id))]
        if moving:
            return f"{len(moving)} tasks are on their way: {some(moving)}"
        return self._job_unsettled() or self._engines_differ()

    def _job_unsettled(self):
        job = self.model.jobs.get(JOB)
        if job is None or not job.wanted:
            return ""
        running = [t for t in self.model.tasks.values()
                   if t.job is not None and t.job[0] == JOB and t.status() == "running"]
        slots = sorted(t.slot for t in running)
        if slots != list(range(job.replicas)):
            return f"job {JOB} has slots {slots}, asked for were {job.replicas}"
        version = len(job.marks)
        old = [t.id for t in running if t.job[1] != version]
        if old and version not in job.failed:
            return f"job {JOB} is not updated to version {version}: {some(old)}"
        return ""

    def _engines_differ(self):
        wanted, running = self.wanted(), self.running()
        if running is None:
            return "the container engine does not answer"
        if set(running) - wanted:
            return f"these run and should not: {some(set(running) - wanted)}"
        if wanted - set(running):
            return f"these should run and do not: {some(wanted - set(running))}"
        return ""

    # ---- the verdict ---------------------------------------------------------------------------

    def verdict(self, unsettled):
        """After convergence, or what is left of it at the deadline."""
        verdict = Verdict()
        self._lives.read()
        if unsettled:
            verdict.other.append(f"did not converge: {unsettled}")
        verdict.other += self.model.broken[self._told:]
        self._told = len(self.model.broken)
        self._judge_accepted(verdict)
        self._judge_engines(verdict)
        self._judge_starts(verdict)
        self._judge_overlaps(verdict)
        self._judge_exits(verdict)
        self._judge_losses(verdict)
        self._judge_view(verdict)
        verdict.other += [f"the witness has an odd line: {line!r}" for line in self._lives.odd]
        if self._watcher.failure is not None:
            verdict.other.append(f"the watcher has failed: {self._watcher.failure!r}")
        return verdict

    def _judge_accepted(self, verdict):
        """Law 4: what was acknowledged runs, or has ended. Everything has room here, so that
        `pending` is no answer."""
        for ident, kind in self.accepted.items():
            task = self.model.tasks.get(ident) or self.model.forgotten.get(ident)
            if ident in self.model.refused:
                verdict.lose(ident, f"it was refused: {self.model.refused[ident]}")
            elif task is None and self._may_be_lost("submit", ident):
                self.rolled_back.add(ident)  # went with the end of the stream
            elif task is None:
                verdict.lose(ident, "its submission was acknowledged and is not in the log")
            elif not (task.finished() or task.status() == "running") or (
                    ends_by_itself(ident) and not task.finished()):
                verdict.lose(ident, f"it is {task.status()}")
            elif ident in self.stopped and not task.finished() and self._stop_is_lost(ident):
                self.rolled_back.add(ident)
            elif ident in self.stopped and not task.finished():
                verdict.lose(ident, f"its stop was acknowledged, and it is {task.status()}")
            elif kind == "stay" and task.status() != "running" and not task.stop:
                verdict.lose(ident, f"nobody has stopped it, and it is {task.status()}")

    def _judge_engines(self, verdict):
        wanted, running = self.wanted(), self.running()
        if running is None:
            verdict.other.append("the container engine does not answer")
            return
        places = collections.defaultdict(list)
        for key, count in running.items():
            places[key.task] += [key] * count
        for task, keys in places.items():
            if len(keys) > 1:
                verdict.double(task, f"it runs {len(keys)} times: {some(keys)}")
            elif keys[0] not in wanted:
                verdict.double(task, f"it runs and should not: {keys[0]}")
        for key in wanted - set(running):
            verdict.lose(key.task, f"it should run, and does not: {key}")

    def _judge_starts(self, verdict):
        """What has started was decided, on that node, and each launch started once. What stays was
        not restarted in place: launches outlive workers, stores and the engine's daemon."""
        lives = collections.Counter()
        for life, count in self._lives.starts_since(self.restored_at).items():
            key = self._resolve(life)
            if count > 1 and not self._engine_forgot(life):
                verdict.double(key.task, f"{key} was started {count} times")
            if key.attempt < 0:
                self.unseen.add(key)  # gone before anybody looked at the engine
                continue
            started = self.model.started.get((key.task, key.attempt))
            place = (key.task, key.attempt, key.node)
            if place in self.model.placed_on or self._was_given_up(place):
                pass
            elif self.restored_at > 0 and self._forgot(key.node):
                pass
            elif started is None:
                verdict.double(key.task, f"{key} ran, and no decision started it")
            else:
                verdict.double(key.task, f"{key} ran, and was placed on {started[0]}")
            if not ends_by_itself(key.task) and not self._had_no_room(life, key.node):
                lives[place] += 1
        # One that the log had lost ends for the one that it has placed since, under its number.
        verdict.other += [f"attempt {attempt} of {task} was disturbed: {n} launches of it have run"
                          for (task, attempt, node), n in lives.items()
                          if n > 1 + ((task, attempt, node) in self.model.dropped)]

    def _had_no_room(self, life, node):
        """Its supervisor could not note that it runs, and has ended it."""
        return life.attempt >= 0 and any(begin <= at <= end for at in self._lives.times(life)
                                         for begin, end in self._world.full_at[node])

    def _was_given_up(self, place):
        """Of what the log had lost: its node has told it, and it was dropped or had ended."""
        return place in self.model.dropped or place in self.model.over_there

    def _engine_forgot(self, life):
        """Docker notes that a container runs after it has begun: killed between the two, it says
        that the container was never started. Nobody can tell, so it is started again."""
        times = self._lives.times(life)
        forgot = life.attempt < 0 and all(
            any(one < killed < min(one + ENGINE_START_SECONDS, other)
                for killed in self._world.engine_kills)
            for one, other in zip(times, times[1:]))
        if forgot:
            self.forgotten_starts.add(life)
        return forgot

    def _judge_overlaps(self, verdict):
        """Two lives of a task at one time: only if the log had given up the earlier one, since its
        node was silent. At most once holds in the log always, in the world while nodes can talk."""
        self.overlaps_of_losses = 0
        for overlap in self._watcher.overlaps():
            if 0 < overlap.at <= self.restored_at:
                continue  # the log that explained it is gone
            older, newer = sorted(map(self._resolve, (overlap.first, overlap.second)),
                                  key=lambda key: key.attempt)
            lost = self.model.ended.get((older.task, older.attempt)) == "lost"
            if older.node != newer.node and self._loss_explains(older, newer):
                self.overlaps_of_losses += 1
            elif older.attempt == newer.attempt or not lost:
                verdict.double(older.task, f"{older} and {newer} ran at one time, and the node of "
                                           "the first was not down")

    def _loss_explains(self, *keys):
        """One of the two was in the lost end of the log, which has given it up since: it is being
        stopped, or its node was away when all others were asked for what they have."""
        return self.restored_at > 0 and any(
            self._was_given_up((key.task, key.attempt, key.node)) or self._forgot(key.node)
            for key in keys)

    def _forgot(self, node):
        """Its worker had lost its store when the log lost its end: nobody knew what it ran, until
        it looked at its engine and ended that."""
        return any(-FORGOT_SECONDS < at - self.restored_at < START_SECONDS
                   for at in self._world.damaged_at[node])

    def _judge_losses(self, verdict):
        """Whoever has found that facts are missing says so, and asks all nodes anew."""
        verdict.other += [f"facts of {name} are missing before {node.gap}, and no term has said so"
                          for name, node in self.model.nodes.items() if node.gap]

    def _judge_exits(self, verdict):
        """Exit facts say what the programs themselves say."""
        self.unknown_codes = 0
        since = self._lives.ends_since(self.restored_at)
        ends = {self._resolve(life): code for life, code in since.items()}
        all_ends = {self._resolve(life) for life in self._lives.ends}
        in_containers = {self._resolve(life) for life in self._lives.ends if life.attempt < 0}
        # Also before a restore: a worker tells ends of then again.
        gone_unseen = {end.task for end in all_ends if end.attempt < 0}
        for key, code in ends.items():
            fact = self.model.exits.get((key.task, key.attempt, key.launch))
            if fact is None:
                task = self.model.tasks.get(key.task)
                newest = task is not None and task.placed == "there" and (
                    task.node, task.attempt) == (key.node, key.attempt)
                if newest and self.restored_at:  # of a lost end the newest launch is told
                    newest = task.newest is None or task.newest.launch <= key.launch
                if newest and self.model.ended.get((key.task, key.attempt)) != "lost":
                    verdict.lose(key.task, f"{key} ended with code {code}, and no fact says so")
            elif fact.code == ENDED_UNSEEN and key in in_containers and self.engine_was_away:
                self.unknown_codes += 1
            elif fact.cause == "exited" and fact.code not in (code, UNKNOWN):
                verdict.other.append(f"{key} ended with code {code}, its fact says {fact.code}")
            elif fact.cause != "exited" or fact.code == UNKNOWN:
                self.unknown_codes += 1
        for (ident, attempt, launch), fact in self.model.exits.items():
            task = self.model.tasks.get(ident)
            if task is None or self.accepted.get(ident) not in ("short", "crash"):
                continue
            if (ident, attempt) not in self.model.started:
                continue  # told of an attempt that the log has lost
            key = witness.Key(ident, attempt, launch, self.model.started[ident, attempt][0])
            if fact.cause == "exited" and fact.code in (0, 3) and key not in all_ends and \
                    ident not in gone_unseen:
                verdict.other.append(f"a fact says that {key} ended with {fact.code}, the program "
                                     "itself does not")

    def _judge_view(self, verdict):
        """What `cube ps` says, from a manager's view, is what the log says."""
        answer = self._world.cube("ps", "-a", "-o", "json", code=None)
        if answer.code != 0:
            verdict.other.append(f"cube ps: exit code {answer.code}: {answer.err.strip()}")
            return
        shown = {t["id"]: (t["status"], t["attempt"]) for t in answer.json()}
        known = {t.id: (t.status(), t.attempt) for t in self.model.tasks.values()}
        for ident in sorted(set(shown) | set(known)):
            if shown.get(ident) != known.get(ident):
                verdict.other.append(f"`cube ps` says {ident} is {shown.get(ident)}, the log says "
                                     f"{known.get(ident)}")
