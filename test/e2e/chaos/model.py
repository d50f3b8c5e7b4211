"""What the log says, folded by a small model of its own, and the laws that the log must keep.

A law that is broken is noted with the sequence where it shows; nothing is raised, so that one
reading finds all of them. docs/STATE_MACHINES.md has the rules in words.
"""

import collections

from chaos import wire

Stored = collections.namedtuple("Stored", "seq time_ns subject data")


class Task:
    def __init__(self, ident, job=None, slot=0):
        self.id = ident
        self.job = job        # name, version
        self.slot = slot
        self.attempt = 0
        self.node = ""
        self.placement = None
        self.placed = "never"  # there, lost
        self.evicted = ""      # moves, ends
        self.stop = False
        self.over = False      # a stop ended it while no node had it
        self.newest = None     # Launch

    @property
    def ended(self):
        """Its last attempt has said its last fact."""
        return self.newest is not None and self.newest.final

    @property
    def live(self):
        return self.placed == "there" and not self.ended

    def fails_over(self):
        """Its attempt has failed for good, and a service's task is placed again."""
        if not self.ended or self.job is None or self.stop or self.evicted == "ends":
            return False
        clean = self.newest.cause == "exited" and self.newest.code == 0
        return not self.newest.stop_asked and not clean

    def status(self):
        if self.over:
            return "stopped"
        if self.ended and self.placed == "there":
            if self.evicted == "moves" and self.newest.stop_asked and not self.stop:
                return "pending"
            if self.fails_over():
                return "pending"
            if self.newest.stop_asked:
                return "stopped"
            clean = self.newest.cause == "exited" and self.newest.code == 0
            return "completed" if clean else "failed"
        if self.live and not self.stop and not self.evicted:
            if self.newest is None:
                return "scheduled"
            return {wire.PULLING: "pulling", wire.STARTING: "starting", wire.RUNNING: "running",
                    wire.EXITED: "restarting"}[self.newest.state]
        if self.stop or self.live:
            return "stopping"
        return "pending"

    def finished(self):
        return self.status() in ("stopped", "completed", "failed")


class Node:
    def __init__(self):
        self.instance = 0
        self.incarnation = 0
        self.last_fact = 0
        self.down = True
        self.gap = 0          # sequence of a fact before which others are missing
        self.holding = False  # it tells what it has, since the log has lost messages
        self.all_held = False
        self.held = {}        # (task, attempt) -> wire.Held, not decided on yet


class Job:
    def __init__(self):
        self.replicas = 0
        self.marks = []       # of its versions, in order
        self.wanted = False
        self.failed = set()   # versions whose update failed


def _place(fact):
    """Facts of one attempt move forward."""
    return fact.launch, fact.state, fact.final


class Model:
    """lossy: the log was replaced by an older one. What it has lost is no broken law then; how it
    goes on from there has laws of its own."""

    def __init__(self):
        self.lossy = False
        self.tasks = {}
        self.nodes = collections.defaultdict(Node)
        self.jobs = {}
        self.broken = []      # laws: sentences
        self.accepted = {}    # id -> sequence of the intent that submitted it first
        self.refused = {}     # id -> why
        self.forgotten = {}   # id -> Task as it was then
        self.started = {}     # (task, attempt) -> (node, sequence of the decision)
        self.placed_on = set()  # (task, attempt, node), all that ever were
        self.readopted = set()  # the same, of those that were taken up again
        self.anew = set()     # tasks that the log has only from the node that runs them
        self.dropped = {}     # (task, attempt, node) -> why
        self.over_there = set()  # (task, attempt, node): told as ended, and not taken up again
        self.stops = set()    # tasks of which a stop has counted
        self.resets = []      # (sequence, sentence)
        self.ended = {}       # (task, attempt) -> "lost", "final"
        self.exits = {}       # (task, attempt, launch) -> the newest Launch that says exited
        self.terms = []       # (epoch, manager)
        self.foreign = 0
        self.decisions = 0
        self.stale_facts = 0
        self._last = None     # Stamp of the last message taken
        self._epoch = 0
        self._term = 0
        self._as_of = {"intents": wire.Position(0, 0, 0), "facts": wire.Position(0, 0, 0)}
        self._waiting = {"intents": collections.deque(), "facts": collections.deque()}
        self._refusals = {}   # (intent, index) -> task id that it would have made

    def _law(self, seq, sentence):
        self.broken.append(f"decision {seq}: {sentence}")

    # ---- reading -------------------------------------------------------------------------------

    def take(self, stream, stored):
        """A message of the intents or the facts: waits for the decision that folds it."""
        self._waiting[stream].append(stored)

    def unfolded(self):
        return sum(len(waiting) for waiting in self._waiting.values())

    def decide(self, stored):
        """The next message of the decisions."""
        try:
            decision = wire.decision(stored.data)
        except (ValueError, IndexError) as error:
            self._law(stored.seq, f"cannot be read: {error}")
            return
        self.decisions += 1
        if not self._follows(stored.seq, decision):
            self.foreign += 1
            return
        if self.lossy and not self._has_all(decision):
            self.foreign += 1
            return
        self._last = wire.Stamp(decision.term_id, decision.cycle)
        self._epoch, self._term = decision.epoch, decision.term_id
        if decision.first:
            self.terms.append((decision.epoch, decision.manager))
        for stream, fold in (("intents", self._fold_intent), ("facts", self._fold_facts)):
            self._fold_up_to(stored.seq, stream, getattr(decision, stream), fold)
        if decision.reset:
            self._reset(stored.seq, decision.reset)
        for item in decision.items:
            fold = getattr(self, "_on_" + item.kind, None)
            if fold is not None:
                fold(stored.seq, decision, **item.fields)
            elif item.kind == "unknown":
                self._law(stored.seq, "an item of a kind that is not in the protocol")

    def _follows(self, seq, decision):
        """The fence: nothing of a term that is over, nothing that did not see the last one."""
        if decision.prev != self._last:
            if not self.lossy:
                self._law(seq, f"follows {decision.prev}, not {self._last}: a stale term has "
                               "written")
            return False
        same = decision.term_id == self._term and decision.epoch == self._epoch
        if same and decision.cycle != (self._last.cycle if self._last else 0) + 1:
            self._law(seq, f"cycle {decision.cycle} after {self._last}")
            return False
        if not same and (decision.epoch <= self._epoch or decision.cycle != 1):
            self._law(seq, f"epoch {decision.epoch} cycle {decision.cycle} after epoch "
                           f"{self._epoch}")
            return False
        return True

    def _has_all(self, decision):
        """What it names is in the log: else it was decided on what is lost, and counts no more."""
        for stream in ("intents", "facts"):
            position, before = getattr(decision, stream), self._as_of[stream]
            there = [before] if position.seq <= before.seq else self._waiting[stream]
            if not any((position.seq, position.time_ns) == (at.seq, at.time_ns) for at in there):
                return False
        return True

    def _reset(self, seq, why):
        """A term begins that has found a loss: every worker has to tell what it has."""
        self.resets.append((seq, why))
        if not self.lossy:
            self._law(seq, f"the log has lost messages, it says: {why}")
        for node in self.nodes.values():
            node.instance = 0
            node.gap = 0
            node.holding, node.all_held, node.held = False, False, {}

    def _fold_up_to(self, seq, stream, position, fold):
        before = self._as_of[stream]
        if position.seq < before.seq:
            self._law(seq, f"as_of of the {stream} goes back: {position} after {before}")
            return
        waiting = self._waiting[stream]
        last = before
        while waiting and waiting[0].seq <= position.seq:
            stored = waiting.popleft()
            last = wire.Position(stored.seq, stored.time_ns, 0)
            fold(stored)
        if (position.seq, position.time_ns) != (last.seq, last.time_ns):
            self._law(seq, f"as_of of the {stream} names {position}, the stream has {last}")
        self._as_of[stream] = position

    # ---- intents -------------------------------------------------------------------------------

    def _fold_intent(self, stored):
        try:
            what, items = wire.intents(stored.subject, stored.data)
        except (ValueError, KeyError, TypeError):
            return  # to be refused
        for index, item in enumerate(items):
            getattr(self, "_intent_" + what, lambda *_: None)(stored.seq, index, item)

    def _intent_submit_tasks(self, seq, index, item):
        task = item["id"]
        if task not in self.tasks:
            self.tasks[task] = Task(task)
            self.accepted.setdefault(task, seq)
            self._refusals[seq, index] = task

    def _intent_stop_tasks(self, _seq, _index, item):
        task = self.tasks.get(item["id"])
        if task is not None and task.job is None and not task.finished():
            task.stop = True
            self.stops.add(task.id)

    def _intent_submit_job(self, _seq, _index, item):
        job = self.jobs.setdefault(item["name"], Job())
        job.wanted = True
        job.replicas = item["replicas"]
        again = bool(job.marks) and len(job.marks) in job.failed
        if not job.marks or job.marks[-1] != item["mark"] or again:
            job.marks.append(item["mark"])

    def _intent_scale_jobs(self, _seq, _index, item):
        if item["name"] in self.jobs:
            self.jobs[item["name"]].replicas = item["replicas"]

    def _intent_stop_jobs(self, _seq, _index, item):
        if item["name"] in self.jobs:
            self.jobs[item["name"]].wanted = False

    # ---- facts ---------------------------------------------------------------------------------

    def _fold_facts(self, stored):
        try:
            batch = wire.facts(stored.data)
        except ValueError as error:
            self.broken.append(f"fact {stored.seq}: cannot be read: {error}")
            return
        node = self.nodes[batch.node]
        for number, fact in enumerate(batch.facts, batch.first):
            if fact == "joined":
                continue
            current = (batch.instance, batch.incarnation) == (node.instance, node.incarnation)
            if not current or node.incarnation == 0 or number <= node.last_fact:
                self.stale_facts += 1
                continue
            if number != node.last_fact + 1 and self.lossy:
                node.gap = stored.seq
            elif number != node.last_fact + 1:
                self.broken.append(f"fact {stored.seq}: {batch.node} says number {number} after "
                                   f"{node.last_fact}: facts were lost")
            node.last_fact = number
            if isinstance(fact, wire.Launch):
                self._fold_launch(batch.node, fact)
            elif isinstance(fact, wire.Held):
                self._fold_held(batch.node, node, fact)
            elif fact == "all held":
                node.all_held = node.holding

    def _fold_held(self, name, node, held):
        task = self.tasks.get(held.task)
        known = task is not None and task.live and (task.node, task.attempt, task.placement) == (
            name, held.attempt, held.placement)
        if not known and node.holding and not node.all_held:
            node.held[held.task, held.attempt] = held

    def _fold_launch(self, node, fact):
        if fact.state == wire.EXITED:
            self.exits[fact.task, fact.attempt, fact.launch] = fact
        held = self.nodes[node].held.get((fact.task, fact.attempt))
        if held is not None and held.placement == fact.placement:
            if held.observed is None or _place(held.observed) < _place(fact):
                self.nodes[node].held[fact.task, fact.attempt] = held._replace(
                    observed=fact, ended=held.ended or fact.final)
            return
        task = self.tasks.get(fact.task)
        if task is None or not task.live or (task.node, task.attempt, task.placement) != (
                node, fact.attempt, fact.placement):
            self.stale_facts += 1
            return
        before = task.newest
        if before is not None and _place(fact) < _place(before):
            self.stale_facts += 1
            return
        task.newest = fact
        self._note_end(task)

    def _note_end(self, task):
        if not task.ended:
            return
        self.ended[task.id, task.attempt] = "final"
        if task.newest.stop_asked and not task.stop and not task.evicted and self.lossy:
            # The decision that asked for its stop is lost: it is placed again.
            task.placed = "lost"
            self.ended[task.id, task.attempt] = "lost"

    # ---- decisions -----------------------------------------------------------------------------

    def _on_refuse(self, _seq, _decision, intent, index, why, **_):
        made = self._refusals.get((intent, index))
        if made is not None and self.tasks.get(made) and self.tasks[made].attempt == 0:
            del self.tasks[made]
            self.accepted.pop(made, None)
            self.refused[made] = why

    def _on_start(self, seq, decision, task, attempt, node, **_):
        known = self.tasks.get(task)
        if known is None:
            self._law(seq, f"starts {task}, which nobody has asked for")
            return
        if known.live:
            self._law(seq, f"starts attempt {attempt} of {task} while attempt {known.attempt} is "
                           f"live on {known.node}")
        if attempt != known.attempt + 1:
            self._law(seq, f"starts attempt {attempt} of {task} after {known.attempt}")
        if known.stop or known.finished():
            self._law(seq, f"starts {task}, which is {known.status()}")
        if self.nodes[node].down:
            self._law(seq, f"starts {task} on {node}, which is down")
        for name, other in self.nodes.items():
            if other.all_held and not other.down and any(
                    held.task == task and not held.ended for held in other.held.values()):
                self._law(seq, f"starts {task}, of which {name} has told an attempt that nobody "
                               "has decided on")
        known.attempt, known.node, known.placed, known.evicted = attempt, node, "there", ""
        known.placement = wire.Stamp(decision.term_id, decision.cycle)
        known.newest = None
        self._note_place(task, attempt, node, seq)

    def _on_readopt(self, seq, _decision, node, task, attempt, placement, anew):
        held = self.nodes[node].held.pop((task, attempt), None)
        if held is None or held.placement != placement:
            self._law(seq, f"takes up attempt {attempt} of {task}, which {node} does not have")
            return
        known = self.tasks.get(task)
        if known is None and anew and not held.ended:
            known = self.tasks[task] = Task(task)
            self.anew.add(task)
        elif known is None:
            self._law(seq, f"takes {task} up again, which nobody has asked for")
            return
        if known.live:
            self._law(seq, f"takes up attempt {attempt} of {task} while attempt {known.attempt} is "
                           f"live on {known.node}")
        if known.stop or known.finished():
            self._law(seq, f"takes up {task}, which is {known.status()}")
        if attempt <= known.attempt:
            self._law(seq, f"takes up attempt {attempt} of {task} after {known.attempt}")
        known.attempt, known.node, known.placed, known.evicted = attempt, node, "there", ""
        known.placement, known.newest = placement, held.observed
        self.readopted.add((task, attempt, node))
        self._note_place(task, attempt, node, seq)
        if held.observed is not None and held.observed.state == wire.EXITED:
            self.exits[task, attempt, held.observed.launch] = held.observed
        self._note_end(known)

    def _note_place(self, task, attempt, node, seq):
        self.started[task, attempt] = (node, seq)
        self.placed_on.add((task, attempt, node))

    def _on_drop(self, seq, _decision, node, task, attempt, why):
        if self.nodes[node].held.pop((task, attempt), None) is None:
            self._law(seq, f"drops attempt {attempt} of {task}, which {node} does not have")
        elif not why:
            self._law(seq, f"drops attempt {attempt} of {task} and does not say why")
        self.dropped[task, attempt, node] = why

    def _on_settle(self, seq, _decision, node):
        known = self.nodes[node]
        for held in known.held.values():
            self.over_there.add((held.task, held.attempt, node))
            if not held.ended:
                self._law(seq, f"settles {node} and says nothing of attempt {held.attempt} of "
                               f"{held.task}, which it has")
        known.holding, known.all_held, known.held = False, False, {}

    def _on_stop(self, _seq, _decision, task, attempt, **_):
        known = self.tasks.get(task)
        if known is not None and attempt == 0 and known.stop and not known.live:
            known.over = True

    def _on_evict(self, _seq, _decision, task, attempt, ends, **_):
        known = self.tasks.get(task)
        if known is not None and known.live and known.attempt == attempt:
            known.evicted = "ends" if ends else "moves"

    def _on_node_down(self, _seq, _decision, node, **_):
        self.nodes[node].down = True
        for task in self.tasks.values():
            if task.live and task.node == node:
                task.placed = "lost"
                self.ended[task.id, task.attempt] = "lost"

    def _on_node_up(self, _seq, _decision, node, **_):
        self.nodes[node].down = False

    def _on_welcome(self, _seq, _decision, node, instance, incarnation, hold):
        known = self.nodes[node]
        known.holding, known.all_held, known.held, known.gap = hold, False, {}, 0
        known.instance, known.incarnation = instance, incarnation
        known.last_fact, known.down = 0, False

    def _on_forget(self, seq, _decision, task):
        known = self.tasks.pop(task, None)
        if known is None:
            return
        self.forgotten[task] = known
        if not known.finished():
            self._law(seq, f"forgets {task}, which is {known.status()}")

    def _on_fill(self, _seq, _decision, job, version, first, count, vacant):
        for slot in range(first, first + (0 if vacant else count)):
            ident = f"{job}-v{version}-{slot}"
            task = self.tasks.setdefault(ident, Task(ident, (job, version), slot))
            if task.attempt > 0 and task.finished():
                task.stop = task.over = False
                task.placed, task.evicted, task.newest = "never", "", None
            elif task.over:
                task.stop = task.over = False

    def _on_empty(self, _seq, _decision, job, version, first, count, **_):
        for slot in range(first, first + count):
            task = self.tasks.get(f"{job}-v{version}-{slot}")
            if task is not None:
                task.stop = True

    def _on_end_update(self, _seq, _decision, job, why):
        if why and job in self.jobs:
            self.jobs[job].failed.add(len(self.jobs[job].marks))
