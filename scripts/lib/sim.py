#!/usr/bin/env python3
"""Runs cube-sim over ranges of seeds in several processes, and sums up what they say.

    sim.py --program PATH [--first SEED] [--seeds N] [--minutes M] [--jobs J]
           [--kept FILE] [--logs FOLDER]

--kept FILE: seeds that broke a law once, run first; a line of it is `SEED [FLAGS...] # what it
found`. The lowest broken seed is run once more, for its trace: its end is shown, all of it is in
the folder. Exit codes: 0 all laws held, 1 one was broken (or a run died or hung), 64 wrong usage.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

# Seeds that one process runs: enough that its start costs nothing, few enough that the lowest
# broken seed is soon known.
CHUNK_SEEDS = 25
# No seed takes longer, under any sanitizer; a defect may make one run for ever.
SEED_SECONDS = 240
# Of so many seeds each kind of fault strikes some: a kind that never does is not counted any more.
SEEDS_WITH_ALL_FAULTS = 1000
# Lines of a broken seed's output that are shown.
SHOWN_LINES = 100

Chunk = collections.namedtuple("Chunk", "first count flags kept")
Broken = collections.namedtuple("Broken", "seed flags why")


class Run:
    """What the processes share."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.totals = collections.Counter()
        self.faults = collections.Counter()
        self.broken = []
        self.next_seed = options.first
        self.kept = collections.deque(read_kept(options.kept))
        self.kept_seeds = 0

    def seconds(self):
        return time.monotonic() - self.began

    def take(self):
        """The next Chunk, or None when all is handed out."""
        with self.lock:
            if self.kept:
                self.kept_seeds += 1
                return Chunk(*self.kept.popleft(), kept=True)
            over = self.options.minutes and self.seconds() > self.options.minutes * 60
            if over or self.next_seed >= self.limit():
                return None
            first = self.next_seed
            count = CHUNK_SEEDS
            if self.options.seeds is not None:
                count = min(count, self.options.first + self.options.seeds - first)
            self.next_seed += count
            return Chunk(first, count, [], kept=False)

    def limit(self):
        """Seeds from here on are of no interest."""
        end = float("inf")
        if self.options.seeds is not None:
            end = self.options.first + self.options.seeds
        return min([end] + [broken.seed for broken in self.broken])

    def add(self, line):
        with self.lock:
            self.totals["seeds"] += 1
            for key in ("steps", "simulated_hours", "deaths", "decisions", "trimmed"):
                self.totals[key] += line[key]
            for kind, count in line["faults"].items():
                self.faults[kind] += count

    def fail(self, chunk, seed, why):
        with self.lock:
            self.broken.append(Broken(seed, chunk.flags, why))
            if chunk.kept:  # nothing that a range finds comes before it
                self.kept.clear()
                self.next_seed = float("inf")


def read_kept(path):
    if path is None:
        return
    for line in pathlib.Path(path).read_text().splitlines():
        words = line.partition("#")[0].split()
        if words:
            yield int(words[0]), 1, words[1:]


def run_chunk(run, chunk):
    """One process. A seed that ends without a line of its own has killed it."""
    command = [run.options.program, "--first", str(chunk.first), "--seeds", str(chunk.count),
               "--json", *chunk.flags]
    seed = chunk.first
    end = chunk.first + chunk.count
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as process:
        hung = threading.Event()
        watch = None

        def arm():
            nonlocal watch
            if watch is not None:
                watch.cancel()
            watch = threading.Timer(SEED_SECONDS, lambda: (hung.set(), process.kill()))
            watch.daemon = True
            watch.start()

        arm()
        for text in process.stdout:
            line = json.loads(text)
            run.add(line)
            if line["broken"]:
                run.fail(chunk, seed, line["broken"])
                end = seed
                break
            seed += 1
            if not chunk.kept and seed >= run.limit():
                process.kill()  # what it would still find is above what is known
                end = seed
                break
            arm()
        watch.cancel()
        code = process.wait()
    if hung.is_set():
        run.fail(chunk, seed, f"no end within {SEED_SECONDS} s")
    elif seed < end:
        run.fail(chunk, seed, f"cube-sim ended with {code}")


def work(run):
    while (chunk := run.take()) is not None:
        run_chunk(run, chunk)


def progress(run, done):
    """On a terminal, the state twice a second; else a line a minute."""
    terminal = sys.stderr.isatty()
    while not done.wait(0.5 if terminal else 60):
        seeds = run.totals["seeds"]
        text = f"{seeds} seeds, {seeds / run.seconds():.1f}/s, {run.seconds():.0f} s"
        if run.options.seeds is not None:
            text = f"of {run.options.seeds}: {text}"
        print(f"\r\033[K{text}" if terminal else text, end="" if terminal else "\n",
              file=sys.stderr, flush=True)
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def summary(run):
    totals = run.totals
    took = run.seconds()
    options = run.options
    seeds = f"{totals['seeds']} from {options.first} on"
    if run.kept_seeds:
        seeds += f", {run.kept_seeds} of them kept ones"
    print(f"seeds      {seeds}")
    print(f"simulated  {totals['simulated_hours']:.1f} hours, {totals['steps']} steps, "
          f"{totals['decisions']} decisions, {totals['trimmed']} messages trimmed")
    print(f"deaths     {totals['deaths']}")
    print(f"faults     {sum(run.faults.values())}")
    for kind, count in run.faults.items():
        print(f"  {kind:<18} {count:>12}")
    print(f"took       {took:.1f} s in {options.jobs} processes, {totals['seeds'] / took:.1f} "
          f"seeds/s, {totals['simulated_hours'] * 3600 / took:.0f} times real time")


def show_broken(run):
    """Runs the lowest broken seed again. -> always 1."""
    broken = min(run.broken)
    seed = ["--first", str(broken.seed), "--seeds", "1", *broken.flags]
    folder = pathlib.Path(run.options.logs)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed_{broken.seed}.txt"
    with open(path, "w") as log:
        try:
            subprocess.run([run.options.program, *seed, "--trace"], stdout=log,
                           stderr=subprocess.STDOUT, timeout=SEED_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            log.write(f"no end within {SEED_SECONDS} s\n")
    with open(path, errors="replace") as log:
        for line in collections.deque(log, SHOWN_LINES):
            print(line, end="")
    print(f"seed {broken.seed} FAILED: {broken.why}")
    print(f"  trace:  {os.path.relpath(path)}")
    print(f"  replay: {os.path.relpath(run.options.program)} {' '.join(seed)} --trace")
    return 1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.error = lambda text: (print(f"sim.py: {text}", file=sys.stderr), sys.exit(64))
    parser.add_argument("--program", required=True)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kept")
    parser.add_argument("--logs", default="build/sim")
    options = parser.parse_args()
    if options.seeds is None and not options.minutes:
        options.seeds = int(os.environ.get("CUBE_SIM_SEEDS", 200))
    if options.first < 1 or options.jobs < 1 or (options.seeds or 0) < 0 or options.minutes < 0:
        parser.error("numbers must be positive")
    # A child has its seeds from here.
    os.environ.pop("CUBE_SIM_SEEDS", None)
    return options


def main():
    run = Run(arguments())
    done = threading.Event()
    reporter = threading.Thread(target=progress, args=(run, done), daemon=True)
    reporter.start()
    workers = [threading.Thread(target=work, args=(run,), daemon=True)
               for _ in range(run.options.jobs)]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        print("sim.py: interrupted; nothing was broken so far", file=sys.stderr)
        return 130
    finally:
        done.set()
        reporter.join()
    summary(run)
    if run.broken:
        return show_broken(run)
    if run.totals["seeds"] >= SEEDS_WITH_ALL_FAULTS:
        silent = [kind for kind, count in run.faults.items() if count == 0]
        if silent:
            print(f"no seed had any of: {', '.join(silent)}; see FaultCounts::Note",
                  file=sys.stderr)
            return 1
    print("all laws held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
