#!/usr/bin/env python3
"""Faults under load, briefly, without root's means; and whether the judge sees what it should.

CUBE_E2E_SEED=N replays the choices of a printed seed (the machine's timing stays its own).
scripts/chaos goes on for longer, with partitions, full disks and several servers.
"""

import os
import random
import struct
import types
import unittest

from chaos import run, wire
from chaos.judge import Judge, Verdict
from chaos.model import Model, Stored
from chaos.witness import Key, Overlap
from lib import suite

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
NODE_DOWN = chunk(4, number(1, 0))


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
        body = chunk(1, "n") + fixed(2, 99) + number(3, 1) + number(4, self.facts) + \
            chunk(5, chunk(5, launch))
        self.model.take("facts", Stored(seq, seq * 10, "cube.facts.n", body))

    def decide(self, *items, prev=None, epoch=1, intents=None):
        """One message; -> its cycle."""
        seq = self._next("decisions")
        self.cycle += 1
        before = prev or self.prev
        body = chunk(1, number(1, epoch) + fixed(2, 7)) + number(2, self.cycle)
        if before is not None:
            body += chunk(3, before)
        body += chunk(4, position(self.ends["intents"] if intents is None else intents))
        body += chunk(5, position(self.ends["facts"])) + chunk(9, "n")
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
        world = types.SimpleNamespace(witness_dir="/nowhere")
        self.judge = Judge(world, watcher, None)
        self.judge.model = self.log.model
        self.judge.running = lambda: self.live
        self.judge.accepted = {"a-1": "stay"}
        self.judge._lives.starts[self.key] = 1
        self.judge._judge_view = lambda verdict: None

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
        self.judge._lives.starts[self.key] = 2
        self.assertEqual(list(self.verdict().doubled), ["a-1"])

    def test_a_start_that_nobody_decided_is_doubled(self):
        self.judge._lives.starts[Key("a-1", 2, 0, "n")] = 1
        self.assertEqual(list(self.verdict().doubled), ["a-1"])

    def test_a_needless_restart_is_seen(self):
        self.judge._lives.starts[self.key._replace(launch=1)] = 1
        self.assertIn("was disturbed", self.verdict().other[0])

    def test_an_overlap_needs_a_silent_node(self):
        self.overlaps = [Overlap(0, self.key, Key("a-1", 2, 0, "m"))]
        self.assertEqual(list(self.verdict().doubled), ["a-1"])
        self.log.model.ended["a-1", 1] = "lost"
        self.assertEqual(list(self.verdict().doubled), [])

    def test_an_end_without_a_fact_is_lost(self):
        self.judge._lives.ends[self.key] = 0
        self.assertEqual(list(self.verdict().lost), ["a-1"])

    def test_a_wrong_exit_code_is_seen(self):
        fact = self.log.model.tasks["a-1"].newest._replace(cause="exited", code=1)
        self.log.model.exits["a-1", 1, 0] = fact
        self.judge._lives.ends[self.key] = 0
        self.assertIn("its fact says 1", self.verdict().other[0])

    def test_a_stream_that_went_backwards_is_bad_unless_expected(self):
        for expected in (False, True):
            self.judge.expects_restores = expected
            self.judge._begin_anew("it went backwards")
            self.live = {}
            self.judge.accepted = {}
            self.assertEqual(self.verdict().good(), expected)

    def test_not_converged_is_bad(self):
        self.assertFalse(self.judge.verdict("something moves").good())
        self.assertTrue(Verdict().good())


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
