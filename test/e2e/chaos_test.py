#!/usr/bin/env python3
"""Faults under load, briefly, without root's means; and whether the judge sees what it should.

CUBE_E2E_SEED=N replays the choices of a printed seed (the machine's timing stays its own).
scripts/chaos goes on for longer, with partitions, full disks and several servers.
"""

import collections
import os
import random
import struct
import types
import unittest

from chaos import judge, run, wire
from chaos.judge import Judge, Verdict, WentBackwards
from chaos.model import Model, Stored
from chaos.witness import Key, Overlap, container_key, uptime
from lib import suite
from lib.nats import NatsError

SEED = int(os.environ.get("CUBE_E2E_SEED") or random.SystemRandom().randrange(1 << 32))
ROUNDS, ROUND_SECONDS = 3, 16  # with the time to converge: 90 s


class NinetySecondsTest(suite.Case):
    def test_faults_under_load(self):
        options = run.parse(["--plain", "--seed", str(SEED), "--rounds", str(ROUNDS),
                             "--round-seconds", str(ROUND_SECONDS)])
        print(f"seed: CUBE_E2E_SEED={SEED}")
        chaos = run.run(options)
        print("faults: " + ", ".join(f"{name} {n}" for name, n in sorted(chaos.counts.items())))
        print(chaos.summary())
        self.assertEqual((chaos.lost, chaos.doubled, chaos.broken), ({}, {}, []))
        self.assertEqual(chaos.rounds, ROUNDS)
        self.assertGreater(len(chaos.judge.accepted), ROUNDS)
        self.assertEqual([kind for kind, n in chaos.counts.items() if n == 0], [],
                         "each kind of fault comes")


# ---- messages, written by hand -------------------------------------------------------------------


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def fixed(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def chunk(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def stamp(term, cycle):
    return fixed(1, term) + number(2, cycle)


def position(seq):
    return number(1, seq) + number(2, seq * 10)


def start(task, attempt):
    return chunk(1, chunk(1, task) + number(2, attempt) + number(3, 0))


def stop(task, attempt):
    return chunk(2, chunk(1, task) + number(2, attempt) + number(3, 0))


WELCOME = chunk(6, number(1, 0) + fixed(2, 99) + number(3, 1))
HOLD = chunk(6, number(1, 0) + fixed(2, 99) + number(3, 1) + number(4, 1))
SETTLE = chunk(20, number(1, 0))
ALL_HELD = chunk(10, b"")
NODE_DOWN = chunk(4, number(1, 0))


def readopt(task, attempt, placed_in, spec=0):
    return chunk(18, number(1, 0) + chunk(2, task) + number(3, attempt) +
                 chunk(4, stamp(7, placed_in)) + number(5, spec))


def drop(task, attempt, why="it is elsewhere"):
    return chunk(19, number(1, 0) + chunk(2, task) + number(3, attempt) + chunk(4, why))


def exited(code, stop_asked=False):
    return number(5, wire.EXITED) + number(6, 1) + number(7, code << 1) + number(13, 1) + \
        number(14, int(stop_asked))


RUNNING = number(5, wire.RUNNING)


class Log:
    """Writes a log, and has it folded by a model."""

    def __init__(self):
        self.model = Model()
        self.ends = {"intents": 0, "facts": 0, "decisions": 0}
        self.cycle = 0
        self.prev = None
        self.facts = 0

    def _next(self, stream):
        self.ends[stream] += 1
        return self.ends[stream]

    def submit(self, task):
        seq = self._next("intents")
        self.model.take("intents", Stored(seq, seq * 10, "cube.tasks.submit",
                                          b'{"id":"%s"}' % task.encode()))

    def stop(self, task):
        seq = self._next("intents")
        body = chunk(1, chunk(1, task))
        self.model.take("intents", Stored(seq, seq * 10, "cube.tasks.stop", body))

    def fact(self, task, attempt, what, placed_in, skip=0):
        seq = self._next("facts")
        self.facts += 1 + skip
        launch = chunk(1, task) + number(2, attempt) + chunk(4, stamp(7, placed_in)) + what
        self._say(seq, chunk(5, launch))

    def hold(self, *attempts):
        """The worker tells what it has: (task, attempt, placed in, observed); that is all."""
        for task, attempt, placed_in, observed in attempts:
            launch = chunk(1, task) + number(2, attempt) + chunk(4, stamp(7, placed_in)) + observed
            self.facts += 1
            self._say(self._next("facts"), chunk(9, chunk(1, task) + number(2, attempt) + chunk(
                3, stamp(7, placed_in)) + chunk(4, b"") + chunk(5, launch)))
        self.facts += 1
        self._say(self._next("facts"), ALL_HELD)

    def _say(self, seq, fact):
        body = chunk(1, "n") + fixed(2, 99) + number(3, 1) + number(4, self.facts) + chunk(5, fact)
        self.model.take("facts", Stored(seq, seq * 10, "cube.facts.n", body))

    def reset(self):
        """A term that has found a loss begins; its worker joins again."""
        self.decide(reset="facts are gone")
        self.facts = 0
        self.decide(HOLD)

    def decide(self, *items, prev=None, epoch=1, intents=None, reset=""):
        """One message; -> its cycle."""
        seq = self._next("decisions")
        self.cycle += 1
        before = prev or self.prev
        body = chunk(1, number(1, epoch) + fixed(2, 7)) + number(2, self.cycle)
        if before is not None:
            body += chunk(3, before)
        body += chunk(4, position(self.ends["intents"] if intents is None else intents))
        body += chunk(5, position(self.ends["facts"])) + chunk(9, "n")
        if reset:
            body += chunk(8, chunk(5, reset))
        body += b"".join(chunk(12, item) for item in items)
        self.model.decide(Stored(seq, seq * 10, "cube.decisions", body))
        self.prev = stamp(7, self.cycle)
        return self.cycle


class ModelTest(suite.Case):
    """A log that keeps the laws is good; each broken law is seen."""

    def setUp(self):
        super().setUp()
        self.log = Log()
        self.log.decide(WELCOME)
        self.log.submit("a-1")
        self.log.decide()

    def broken(self):
        return " | ".join(self.log.model.broken)

    def test_a_life(self):
        log = self.log
        self.assertEqual(log.model.tasks["a-1"].status(), "pending")
        placed = log.decide(start("a-1", 1))
        self.assertEqual(log.model.tasks["a-1"].status(), "scheduled")
        log.fact("a-1", 1, RUNNING, placed)
        log.decide()
        self.assertEqual(log.model.tasks["a-1"].status(), "running")
        log.stop("a-1")
        log.decide(stop("a-1", 1))
        self.assertEqual(log.model.tasks["a-1"].status(), "stopping")
        log.fact("a-1", 1, exited(143, stop_asked=True), placed)
        log.decide()
        self.assertEqual(log.model.tasks["a-1"].status(), "stopped")
        self.assertEqual(self.broken(), "")
        self.assertEqual(log.model.unfolded(), 0)

    def test_a_lost_node_and_another_attempt(self):
        placed = self.log.decide(start("a-1", 1))
        self.log.decide(NODE_DOWN)
        self.log.fact("a-1", 1, exited(0), placed)  # of a lost attempt: history
        self.log.decide(WELCOME)
        self.log.decide(start("a-1", 2))
        self.assertEqual(self.broken(), "")
        self.assertEqual(self.log.model.ended["a-1", 1], "lost")

    def test_a_stale_term_is_seen(self):
        self.log.decide(start("a-1", 1), prev=stamp(7, 1))
        self.assertIn("a stale term has written", self.broken())
        self.assertEqual(self.log.model.tasks["a-1"].attempt, 0, "it is not folded")

    def test_two_live_attempts_are_seen(self):
        self.log.decide(start("a-1", 1))
        self.log.decide(start("a-1", 2))
        self.assertIn("while attempt 1 is live", self.broken())

    def test_a_start_after_a_stop_is_seen(self):
        self.log.stop("a-1")
        self.log.decide(start("a-1", 1))
        self.assertIn("starts a-1, which is stopping", self.broken())

    def test_a_start_on_a_node_that_is_down_is_seen(self):
        self.log.decide(NODE_DOWN)
        self.log.decide(start("a-1", 1))
        self.assertIn("which is down", self.broken())

    def test_a_lost_fact_is_seen(self):
        placed = self.log.decide(start("a-1", 1))
        self.log.fact("a-1", 1, RUNNING, placed)
        self.log.fact("a-1", 1, exited(0), placed, skip=1)
        self.log.decide()
        self.assertIn("facts were lost", self.broken())

    def test_another_stream_under_the_decisions_is_seen(self):
        self.log.submit("b-1")
        self.log.model._waiting["intents"][0] = \
            self.log.model._waiting["intents"][0]._replace(time_ns=1)
        self.log.decide()
        self.assertIn("as_of of the intents names", self.broken())


class LossTest(suite.Case):
    """A log that has lost its end, and how it goes on."""

    def setUp(self):
        super().setUp()
        self.log = Log()
        self.log.model.lossy = True
        self.log.decide(WELCOME)
        self.log.submit("a-1")
        self.log.decide()
        self.log.reset()

    def broken(self):
        return " | ".join(self.log.model.broken)

    def test_what_runs_is_taken_up_again(self):
        self.log.hold(("a-1", 1, 90, RUNNING), ("b-1", 2, 91, RUNNING), ("c-1", 1, 92, RUNNING),
                      ("d-1", 1, 93, exited(0)))
        self.log.decide(readopt("a-1", 1, 90), readopt("b-1", 2, 91, spec=1), drop("c-1", 1),
                        SETTLE)
        self.assertEqual(self.broken(), "")
        model = self.log.model
        self.assertEqual({t.id: (t.status(), t.attempt) for t in model.tasks.values()},
                         {"a-1": ("running", 1), "b-1": ("running", 2)})
        self.assertEqual(model.anew, {"b-1"})
        self.assertEqual(list(model.dropped), [("c-1", 1, "n")])
        self.assertIn(("d-1", 1, "n"), model.over_there)
        self.log.stop("b-1")
        self.log.decide()
        self.log.fact("b-1", 2, exited(143, stop_asked=True), 91)
        self.log.decide()
        self.assertEqual(model.tasks["b-1"].status(), "stopped")

    def test_what_was_stopped_for_a_lost_reason_is_placed_again(self):
        self.log.hold(("a-1", 1, 90, exited(143, stop_asked=True)))
        self.log.decide(readopt("a-1", 1, 90), SETTLE)
        self.assertEqual(self.log.model.tasks["a-1"].status(), "pending")
        self.log.decide(start("a-1", 2))
        self.assertEqual(self.broken(), "")

    def test_a_settled_node_has_nothing_that_nobody_decided_on(self):
        self.log.hold(("a-1", 1, 90, RUNNING))
        self.log.decide(SETTLE)
        self.assertIn("says nothing of attempt 1 of a-1", self.broken())

    def test_a_second_life_of_what_was_told_is_seen(self):
        self.log.hold(("a-1", 1, 90, RUNNING))
        self.log.decide(start("a-1", 1))
        self.assertIn("has told an attempt that nobody", self.broken())

    def test_only_what_the_node_has_is_taken_up(self):
        self.log.hold(("a-1", 1, 90, RUNNING))
        self.log.decide(readopt("a-1", 1, 89))
        self.assertIn("which n does not have", self.broken())

    def test_what_lives_is_not_taken_up_a_second_time(self):
        self.log.hold(("a-1", 2, 90, RUNNING), ("a-1", 3, 91, RUNNING))
        self.log.decide(readopt("a-1", 2, 90), readopt("a-1", 3, 91))
        self.assertIn("while attempt 2 is live", self.broken())

    def test_a_drop_needs_a_reason(self):
        self.log.hold(("a-1", 1, 90, RUNNING))
        self.log.decide(drop("a-1", 1, why=""))
        self.assertIn("does not say why", self.broken())

    def test_what_names_a_lost_message_does_not_count(self):
        self.log.decide(start("a-1", 1), intents=7)
        self.assertEqual((self.log.model.foreign, self.log.model.tasks["a-1"].attempt), (1, 0))
        self.assertEqual(self.broken(), "")

    def test_a_loss_where_nothing_was_restored_is_seen(self):
        self.log.model.lossy = False
        self.log.reset()
        self.assertIn("the log has lost messages", self.broken())


class JudgeTest(suite.Case):
    """What the engines and the tasks say is compared with the log."""

    def setUp(self):
        super().setUp()
        self.log = Log()
        self.log.decide(WELCOME)
        self.log.submit("a-1")
        placed = self.log.decide(start("a-1", 1))
        self.log.fact("a-1", 1, RUNNING, placed)
        self.log.decide()
        self.key = Key("a-1", 1, 0, "n")
        self.live = {self.key: 1}
        self.overlaps = []
        watcher = types.SimpleNamespace(overlaps=lambda: self.overlaps, failure=None)
        self.world = types.SimpleNamespace(witness_dir="/nowhere", restored_at=0, engine_kills=[],
                                           damaged_at=collections.defaultdict(list),
                                           full_at=collections.defaultdict(list))
        self.judge = Judge(self.world, watcher, None)
        self.judge.model = self.log.model
        self.judge.running = lambda: self.live
        self.judge.accepted = {"a-1": "stay"}
        self.began(self.key)
        self.judge._judge_view = lambda verdict: None

    def began(self, key, at=1):
        self.judge._lives.note_start(key, at)

    def verdict(self):
        return self.judge.verdict("")

    def test_good(self):
        self.assertEqual(self.verdict().lines(), [])

    def test_an_acknowledged_task_that_is_nowhere_is_lost(self):
        self.judge.accepted["b-1"] = "short"
        self.assertEqual(list(self.verdict().lost), ["b-1"])

    def test_a_task_that_does_not_run_is_lost(self):
        self.live = {}
        self.assertEqual(list(self.verdict().lost), ["a-1"])

    def test_a_stop_that_came_to_nothing_is_lost(self):
        self.judge.stopped.add("a-1")
        self.assertEqual(list(self.verdict().lost), ["a-1"])

    def test_a_second_container_is_doubled(self):
        self.live = {self.key: 1, Key("a-1", 2, 0, "m"): 1}
        self.assertEqual(list(self.verdict().doubled), ["a-1"])

    def test_a_stray_is_doubled(self):
        self.live[Key("c-1", 1, 0, "n")] = 1
        self.assertEqual(list(self.verdict().doubled), ["c-1"])

    def test_a_launch_that_started_twice_is_doubled(self):
        self.began(self.key, at=2)
        self.assertEqual(list(self.verdict().doubled), ["a-1"])

    def test_a_start_that_nobody_decided_is_doubled(self):
        self.began(Key("a-1", 2, 0, "n"))
        self.assertEqual(list(self.verdict().doubled), ["a-1"])

    def test_a_needless_restart_is_seen(self):
        self.began(self.key._replace(launch=1))
        self.assertIn("was disturbed", self.verdict().other[0])

    def test_a_launch_that_began_on_a_full_disk_may_be_followed_by_another(self):
        self.began(self.key._replace(launch=1), at=5)
        for begin, end in (2, 4), (6, 9):
            self.world.full_at["n"] = [(begin, end)]
            self.assertIn("was disturbed", self.verdict().other[0])
        self.world.full_at["n"] = [(0, 4)]
        self.assertEqual(self.verdict().other, [])

    def test_an_overlap_needs_a_silent_node(self):
        self.overlaps = [Overlap(0, self.key, Key("a-1", 2, 0, "m"))]
        self.assertEqual(list(self.verdict().doubled), ["a-1"])
        self.log.model.ended["a-1", 1] = "lost"
        self.assertEqual(list(self.verdict().doubled), [])

    def test_an_end_without_a_fact_is_lost(self):
        self.judge._lives.note_end(self.key, 0, 2)
        self.assertEqual(list(self.verdict().lost), ["a-1"])

    def test_a_wrong_exit_code_is_seen(self):
        fact = self.log.model.tasks["a-1"].newest._replace(cause="exited", code=1)
        self.log.model.exits["a-1", 1, 0] = fact
        self.judge._lives.note_end(self.key, 0, 2)
        self.assertIn("its fact says 1", self.verdict().other[0])

    def test_an_end_that_nobody_has_seen_is_made_up(self):
        fact = self.log.model.tasks["a-1"].newest._replace(cause="exited", code=3)
        self.log.model.exits["a-1", 1, 0] = fact
        self.judge.accepted = {"a-1": "crash"}
        self.assertIn("itself does not", self.verdict().other[0])
        # Its container was gone before anybody looked, and that before the streams were restored.
        self.judge._lives.note_end(container_key("a-1", "0123456789ab"), 3, 2)
        self.world.restored_at = 5
        self.assertEqual([line for line in self.verdict().other if "itself does not" in line], [])

    def test_a_stream_that_went_backwards_is_bad_unless_expected(self):
        for expected in (False, True):
            self.judge.expects_restores = expected
            self.judge._begin_anew("it went backwards")
            self.live = {}
            self.judge.accepted = {}
            self.world.restored_at = 5
            self.assertEqual(self.verdict().good(), expected)

    def test_only_what_was_acknowledged_before_a_restore_may_be_lost(self):
        self.world.restored_at = 5
        self.judge.accepted["b-1"] = "stay"
        self.judge.sent["submit", "b-1"] = 4
        self.assertEqual(self.verdict().lines(), [])
        self.assertEqual(self.judge.rolled_back, {"b-1"})
        self.judge.sent["submit", "b-1"] = 9
        self.assertEqual(list(self.verdict().lost), ["b-1"])

    def test_a_stop_may_be_lost_with_the_end_of_the_log(self):
        self.judge.stopped.add("a-1")
        self.judge.sent["stop", "a-1"] = 4
        self.assertEqual(list(self.verdict().lost), ["a-1"])
        self.world.restored_at = 5
        self.assertEqual(self.verdict().lines(), [])
        self.log.model.stops.add("a-1")  # the log has it
        self.assertEqual(list(self.verdict().lost), ["a-1"])

    def test_after_a_restore_lost_and_doubled_tasks_are_seen_as_before(self):
        self.world.restored_at = 5
        self.live = {self.key: 2}
        self.assertEqual(list(self.verdict().doubled), ["a-1"])
        self.live = {self.key: 1, Key("b-1", 1, 0, "n"): 1}
        self.assertEqual(list(self.verdict().doubled), ["b-1"])
        self.live = {}
        self.assertEqual(list(self.verdict().lost), ["a-1"])

    def test_after_a_restore_starts_need_a_decision_or_a_drop(self):
        self.world.restored_at = 5
        stray = Key("b-1", 1, 0, "n")
        self.began(stray, at=4)
        self.assertEqual(self.verdict().lines(), [], "before: nobody knows any more")
        self.began(stray, at=6)
        self.assertEqual(list(self.verdict().doubled), ["b-1"])
        self.log.model.dropped["b-1", 1, "n"] = "it is elsewhere"
        self.assertEqual(self.verdict().lines(), [])

    def test_after_a_restore_an_overlap_needs_a_drop(self):
        self.world.restored_at = 5
        other = self.key._replace(node="m")
        self.overlaps = [Overlap(4, self.key, other)]
        self.assertEqual(self.verdict().lines(), [])
        self.overlaps = [Overlap(6, self.key, other)]
        self.assertEqual(list(self.verdict().doubled), ["a-1"])
        self.log.model.dropped["a-1", 1, "m"] = "it is elsewhere"
        self.assertEqual(self.verdict().lines(), [])
        self.assertEqual(self.judge.overlaps_of_losses, 1)

    def test_whose_store_went_as_the_log_lost_its_end_cannot_tell(self):
        self.world.restored_at = 500
        stray = Key("b-1", 1, 0, "m")
        self.began(stray, at=501)
        self.overlaps = [Overlap(501, self.key, self.key._replace(node="m"))]
        for damaged, good in (([], False), ([400], False), ([490], True), ([502], True),
                              ([530], False), ([490, 530], True)):
            self.world.damaged_at["m"] = damaged
            self.assertEqual(self.verdict().good(), good, damaged)

    def test_what_was_dropped_may_be_placed_under_its_number(self):
        self.world.restored_at = 5
        for at in (6, 7):
            self.began(self.key._replace(launch=at), at=at)
        self.assertIn("was disturbed", self.verdict().other[0])
        self.log.model.dropped["a-1", 1, "n"] = "it is elsewhere"
        self.assertEqual(self.verdict().lines(), [])
        self.began(self.key._replace(launch=8), at=8)
        self.assertIn("was disturbed", self.verdict().other[0])

    def test_a_gap_in_the_facts_needs_a_reset(self):
        self.log.model.lossy = True
        self.world.restored_at = 5
        self.log.fact("a-1", 1, RUNNING, 2, skip=1)
        self.log.decide()
        self.assertIn("facts of n are missing", self.verdict().other[0])
        self.log.reset()
        self.assertEqual(self.verdict().lines(), [])

    def test_only_a_killed_engine_forgets_that_it_has_started_a_container(self):
        life = container_key("a-1", "c0ffee")
        self.began(life, at=10)
        self.began(life, at=30)
        for kills, good in (([], False), ([9], False), ([25], False), ([31], False), ([11], True)):
            self.world.engine_kills = kills
            self.assertEqual(self.verdict().good(), good, kills)

    def test_not_converged_is_bad(self):
        self.assertFalse(self.judge.verdict("something moves").good())
        self.assertTrue(Verdict().good())


class ReaderTest(suite.Case):
    def test_what_several_servers_do_not_show_is_looked_for_again(self):
        for servers, since, error in ((1, 0, WentBackwards), (3, 0, NatsError),
                                      (3, judge.SHOWS_LESS_SECONDS + 1, WentBackwards)):
            reader = judge.Reader(types.SimpleNamespace(servers=["n"] * servers))
            reader._next["facts"] = 9
            reader._less_since["facts"] = uptime() - since
            with self.assertRaises(error):
                reader._compare(None, "facts", 7)


class WireTest(suite.Case):
    def test_garbage_is_an_error(self):
        for data in (b"\x80", b"\x0a\x05ab", b"\x0b", b"\x09\x01", b"\xff" * 11):
            with self.assertRaises(ValueError):
                wire.fields(data)

    def test_both_encodings_of_intents(self):
        human = wire.intents("cube.tasks.submit", b' [{"id":"a-1"},{"id":"b-1"}]')
        binary = wire.intents("cube.tasks.submit",
                              chunk(2, chunk(1, "a-1")) + chunk(2, chunk(1, "b-1")))
        self.assertEqual(human, binary)
        self.assertEqual(wire.intents("cube.jobs.scale", chunk(1, chunk(1, "w") + number(2, 3))),
                         ("scale_jobs", [{"name": "w", "replicas": 3}]))


if __name__ == "__main__":
    suite.main()
