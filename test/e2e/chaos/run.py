#!/usr/bin/env python3
"""Rounds of faults under load, each followed by a time without faults and a verdict.

    run.py [--minutes M] [--rounds N] [--seed S] [--servers 1|3] ...

The seed draws what is done to whom, when and for how long; the machine's timing stays its own.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from chaos import faults, network  # noqa: E402
from chaos.judge import Judge  # noqa: E402
from chaos.load import Load  # noqa: E402
from chaos.witness import Containers, Watcher, uptime  # noqa: E402
from chaos.world import FAKETIME, World, server_version  # noqa: E402
from lib.cluster import nats_server, wait_for, why_no_docker  # noqa: E402
from lib.engine import Engine, why_none  # noqa: E402

ROUND_SECONDS = 30
QUIET_SECONDS = 3       # longest between two faults
AT_ONCE = 3             # faults at most
HEAL_SECONDS = 120
CONVERGE_SECONDS = 240
TELL_SECONDS = 5        # what it still waits for
HOLD_SECONDS = 4        # nothing may move: longer than it takes to call a node down
HEARD_AGAIN_SECONDS = 20  # after the last fault: a dead connection is noticed within 15 s
REPLICAS_SINCE = (2, 10, 23)


class Timeline:
    """What was done, when: a file for people, and lines on the screen."""

    def __init__(self, path, quiet):
        self._file = open(path, "w", encoding="utf-8")
        self._quiet = quiet
        self._began = time.time()

    def add(self, text, *, loud=True):
        now = time.time()
        clock = time.strftime("%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}"
        line = f"{clock} {now - self._began:7.1f} s  {text}"
        self._file.write(line + "\n")
        self._file.flush()
        if loud and not self._quiet:
            print(line, flush=True)


class Chaos:
    def __init__(self, world, seed, options, timeline):
        self.world = world
        self.seed = seed
        self.timeline = timeline
        self.dice = random.Random(seed)
        kinds = faults.ALWAYS + [faults.ON_DEMAND[name] for name in options.with_]
        self.kinds = [kind for kind in (make(world, self.dice) for make in kinds)
                      if kind.possible() and (not options.only or kind.name in options.only)]
        self.counts = dict.fromkeys((kind.name for kind in self.kinds), 0)
        socket = world.engine_socket()
        containers = Containers(socket, world.unique) if socket else None
        self.watcher = Watcher(world.unique, containers)
        self.judge = Judge(world, self.watcher, containers)
        self.judge.expects_restores = "restore" in options.with_
        self.rounds = 0
        self._round_began = 0
        self.bag = []     # kinds still to come, so that each comes
        self.lost = {}
        self.doubled = {}
        self.broken = []
        self.slowest = 0
        self.operations = 0
        self.stays = {True: [], False: []}

    @property
    def faults(self):
        return sum(self.counts.values())

    def good(self):
        return not (self.lost or self.doubled or self.broken)

    # ---- faults --------------------------------------------------------------------------------

    def _busy(self, active):
        """Names that a fault has: a group and its members, a node and its worker."""
        busy = set()
        for _, _, target in active:
            busy.add(target)
            busy.add(target.removeprefix("node "))
            busy.update(getattr(self.world, target, []) if target in (
                "servers", "managers", "workers") else [])
        return busy

    def _draw(self, active):
        """-> (kind, target), or None if nothing fits now."""
        if not self.bag:
            self.bag = [kind for kind in self.kinds for _ in range(kind.weight)]
            self.dice.shuffle(self.bag)
        busy = self._busy(active)
        for kind in list(self.bag):
            free = [t for t in kind.targets() if t.removeprefix("node ") not in busy
                    and not set(getattr(self.world, t, []) if t in (
                        "servers", "managers", "workers") else []) & busy]
            alone = getattr(kind, "alone", False) or any(
                getattr(other, "alone", False) for _, other, _ in active)
            if alone and active:
                continue
            if free:
                self.bag.remove(kind)
                return kind, self.dice.choice(free)
        return None

    def _strike(self, active):
        drawn = self._draw(active)
        if drawn is None:
            return
        kind, target = drawn
        seconds = self.dice.uniform(*kind.seconds)
        words = kind.strike(target)
        self.counts[kind.name] += 1
        active.append((time.monotonic() + seconds, kind, target))
        self.timeline.add(f"{kind.name} {target} for {seconds:.1f} s{': ' if words else ''}{words}")

    def _heal(self, active, due):
        for entry in sorted(active, key=lambda e: e[0]):
            if entry[0] <= due and entry[1].heal(entry[2]) is not False:
                active.remove(entry)
                self.timeline.add(f"  over: {entry[1].name} {entry[2]}")

    def _ended(self, active):
        """Whoever ended by itself is started again; without a full disk that is a defect."""
        expected = {target for _, kind, target in active if isinstance(kind, faults.FullDisk)}
        for name in self.world.revive():
            code = self.world.exits[-1][2]
            tail = self.world.log_tail(name).strip().rpartition("\n")[2]
            unexpected = name not in expected and name not in self._lately_full
            self.timeline.add(f"  {name} has ended by itself, code {code}: {tail}",
                              loud=unexpected or self.world.ends_in_a_row[name] == 1)
            if unexpected:
                self.broken.append(f"{name} has ended by itself with code {code}: {tail}")

    def storm(self, seconds):
        """Faults for so long; all of them are over afterwards."""
        active = []
        self._lately_full = set()
        end = time.monotonic() + seconds
        next_at = time.monotonic()
        try:
            while time.monotonic() < end:
                if time.monotonic() >= next_at and len(active) < AT_ONCE:
                    self._strike(active)
                    next_at = time.monotonic() + self.dice.uniform(0.2, QUIET_SECONDS)
                self._heal(active, time.monotonic())
                self._lately_full |= {target for _, kind, target in active
                                      if isinstance(kind, faults.FullDisk)}
                self._ended(active)
                time.sleep(0.05)
        finally:
            wait_for("the end of all faults",
                     lambda: self._heal(active, float("inf")) or not active, HEAL_SECONDS)

    # ---- a round -------------------------------------------------------------------------------

    def round(self, seconds):
        self.rounds += 1
        self._round_began = uptime()
        loads = [Load(self.world, self.seed, self.rounds, by_hand, self.stays[by_hand])
                 for by_hand in (True, False)]
        if self.rounds == 1:
            wait_for("the job", lambda: loads[0].submit_job(0))
        for load in loads:
            load.start()
        try:
            self.storm(seconds)
        finally:
            for load in loads:
                load.end()
        if self.world.restored_at > self._round_began:
            wait_for("nodes that take tasks", faults.Drain(self.world, self.dice).uncordon_all)
        for load in loads:
            self.operations += load.operations
            self.judge.owe(load)
            if load.failure is not None:
                self.broken.append(f"{load.name}: {load.failure}")
        self._conclude()

    def _conclude(self):
        unsettled, took = self._settle()
        self.slowest = max(self.slowest, took)
        self.judge.engine_was_away = self.counts.get(faults.RestartEngine.name, 0) > 0
        verdict = self.judge.verdict(unsettled)
        self.lost.update(verdict.lost)
        self.doubled.update(verdict.doubled)
        self.broken += verdict.other
        model = self.judge.model
        running = len(self.judge.wanted())
        self.timeline.add(
            f"round {self.rounds}: {'converged' if not unsettled else 'not converged'} after "
            f"{took:.1f} s; {running} run, {len(model.tasks) - running} ended; faults "
            f"{self.faults}, decisions {model.decisions}, terms {len(model.terms)}, lost "
            f"{len(self.lost)}, doubled {len(self.doubled)}, broken {len(self.broken)}")
        for line in verdict.lines():
            self.timeline.add("  " + line)

    def _settle(self):
        """-> what is left, and the seconds until nothing was. A worker may still carry out stops
        that went with the end of the log in this round, and one that was cut off may be heard again
        so late that a new leader calls it down first: what moves then has to settle anew."""
        began = time.monotonic()
        lossy = self.world.restored_at > self._round_began
        while True:
            unsettled = self._converge(began + CONVERGE_SECONDS)
            took = time.monotonic() - began
            if unsettled:
                return unsettled, took
            unsettled = self._hold()
            now = time.monotonic()
            may_move = lossy or now < began + HEARD_AGAIN_SECONDS
            if not unsettled or not may_move or now > began + CONVERGE_SECONDS:
                return unsettled, took
            self.timeline.add(f"  {unsettled}", loud=False)

    def _converge(self, deadline):
        self._lately_full = set(self.world.members)  # of the round: still on its way up
        tell_at = time.monotonic() + TELL_SECONDS
        while True:
            self._ended([])
            unsettled = self.judge.unsettled()
            if time.monotonic() > tell_at:
                tell_at = time.monotonic() + TELL_SECONDS
                self.timeline.add(f"  not yet: {unsettled}", loud=False)
            if not unsettled or time.monotonic() > deadline:
                return unsettled
            time.sleep(0.3)

    def _hold(self):
        """Settled means that nothing moves any more."""
        before = self.judge.wanted()
        end = time.monotonic() + HOLD_SECONDS
        while time.monotonic() < end:
            time.sleep(0.5)
            unsettled = self.judge.unsettled()
            if unsettled:
                return f"it moved again: {unsettled}"
        if self.judge.wanted() != before:
            return f"it moved again: {sorted(self.judge.wanted() ^ before)}"
        return ""

    def summary(self):
        return (f"rounds {self.rounds}, faults {self.faults}, tasks {len(self.judge.accepted)}, "
                f"lost {len(self.lost)}, doubled {len(self.doubled)}")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=0, help="so many, whatever the time")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--servers", type=int, choices=[1, 3], default=1)
    parser.add_argument("--managers", type=int, default=2)
    parser.add_argument("--round-seconds", type=float, default=ROUND_SECONDS)
    parser.add_argument("--plain", action="store_true",
                        help="no root's means: neither hosts, small disks nor an own engine")
    parser.add_argument("--no-docker", action="store_true", help="plain processes only")
    parser.add_argument("--with", dest="with_", action="append", default=[],
                        choices=sorted(faults.ON_DEMAND), help="a kind of fault more")
    parser.add_argument("--only", action="append", default=[], metavar="KIND",
                        help="these kinds of faults and no other")
    parser.add_argument("--keep", default="", metavar="DIR",
                        help="folder for everything if it fails (/tmp/cube-chaos.<seed>)")
    return parser.parse_args(arguments)


def why_not(options):
    """Empty, or why this cannot be run here."""
    if not options.plain and network.why_none():
        return f"{network.why_none()}; --plain does without"
    version = server_version(nats_server())
    if options.servers > 1 and options.plain:
        return "three servers need hosts of their own: leave out --plain"
    if options.servers > 1 and version < REPLICAS_SINCE:
        return (f"three servers need nats-server {'.'.join(map(str, REPLICAS_SINCE))} or newer, "
                f"{nats_server()} is {'.'.join(map(str, version))}: name one in CUBE_NATS_SERVER")
    if "clock" in options.with_ and not os.path.exists(FAKETIME):
        return f"clock steps need {FAKETIME} (package libfaketime)"
    return ""


def engines_of(options, docker):
    """Workers by letter: processes, containers, both."""
    if not docker:
        return {letter: ["process"] for letter in "abc"}
    return {"a": ["process"], "b": ["process"], "c": ["docker"], "d": ["docker", "process"]}


@contextlib.contextmanager
def _engine(options, docker):
    if docker and not options.plain and not why_none():
        with Engine(live_restore=True) as engine:
            yield engine
    else:
        yield None


def run(options, out=print):
    """-> Chaos, when all rounds are over; everything that was started has ended."""
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    docker = not options.no_docker and not why_no_docker()
    out(f"seed {seed}, {options.servers} nats-server "
        f"{'.'.join(map(str, server_version(nats_server())))}, {options.managers} managers, "
        f"workers {engines_of(options, docker)}")
    with _engine(options, docker) as engine, \
            World(options.servers, options.managers, engines_of(options, docker),
                  hosts=not options.plain, disks=not options.plain, engine=engine) as world:
        timeline = Timeline(world.path("timeline"), quiet=False)
        chaos = Chaos(world, seed, options, timeline)
        try:
            world.start_all()
            chaos.watcher.start()
            _rounds(chaos, options)
        except Exception as error:
            timeline.add("it ends here:\n" + traceback.format_exc())
            chaos.broken.append(repr(error))
        finally:
            if chaos.watcher.is_alive():
                chaos.watcher.end()
            if not chaos.good():
                _report(chaos, options, out)
    return chaos


def _rounds(chaos, options):
    end = time.monotonic() + options.minutes * 60
    while True:
        chaos.round(options.round_seconds)
        if not chaos.good():
            return
        enough = chaos.rounds >= options.rounds if options.rounds else time.monotonic() > end
        if enough:
            return


def _report(chaos, options, out):
    """For a person: what was found, and where everything lies."""
    folder = options.keep or f"/tmp/cube-chaos.{chaos.seed}"
    chaos.world.keep(folder)
    out(f"\nseed {chaos.seed} has found something. In {folder}: timeline, logs of all processes "
        f"(*.log), what the tasks wrote down (witness/lives), stores and streams (disk/). Found:")
    for task, why in sorted(chaos.lost.items()):
        out(f"  lost: {task}: {why}")
    for task, why in sorted(chaos.doubled.items()):
        out(f"  doubled: {task}: {why}")
    for what in chaos.broken:
        out(f"  broken: {what}")


def main():
    options = parse(sys.argv[1:])
    refusal = why_not(options)
    if refusal:
        sys.exit(f"scripts/chaos: {refusal}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    began = time.monotonic()
    chaos = run(options)
    print(f"\n{(time.monotonic() - began) / 60:.1f} minutes, {chaos.operations} operations, "
          f"{chaos.judge.model.decisions} decisions in {len(chaos.judge.model.terms)} terms, "
          f"{chaos.judge.model.stale_facts} facts of attempts that were over, "
          f"{len(chaos.watcher.overlaps())} overlaps while a node was silent, slowest convergence "
          f"{chaos.slowest:.1f} s, exit codes that nobody knows any more "
          f"{chaos.judge.unknown_codes}, containers that nobody saw but themselves "
          f"{len(chaos.judge.unseen)}, gone with a restored stream {len(chaos.judge.rolled_back)}, "
          f"readopted {len(chaos.judge.model.readopted)}, dropped "
          f"{len(chaos.judge.model.dropped)}, overlaps of these {chaos.judge.overlaps_of_losses}, "
          f"starts that a killed dockerd forgot {len(chaos.judge.forgotten_starts)}")
    print("faults: " + ", ".join(f"{name} {n}" for name, n in sorted(chaos.counts.items())))
    print(chaos.summary())
    sys.exit(0 if chaos.good() else 1)


if __name__ == "__main__":
    threading.current_thread().name = "chaos"
    main()
