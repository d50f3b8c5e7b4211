#!/usr/bin/env python3
"""scripts/lib/sim.py: it runs every seed once, and tells of the lowest broken one, however the
program fails. The program here is a stand-in with seeds that are broken."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SIM = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "lib" / "sim.py"

STAND_IN = """#!{python}
import json, os, sys
first, seeds = int(sys.argv[2]), int(sys.argv[4])
for seed in range(first, first + seeds):
    if seed in {dies}:
        os.kill(os.getpid(), 9)
    broken = "law 5: twice" if seed in {broken} or "--worse" in sys.argv else ""
    if "--trace" in sys.argv:
        print("  a line of the trace")
    else:
        print(json.dumps(dict(seed=seed, broken=broken, steps=10, simulated_hours=0.5, deaths=1,
                              decisions=2, trimmed=3, faults=dict(kills={kills}))), flush=True)
    if broken:
        sys.exit(1)
"""


class Sim(unittest.TestCase):
    def run_sim(self, *arguments, kept="", broken=(), dies=(), kills=1):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "cube-sim")
            program.write_text(STAND_IN.format(python=sys.executable, broken=set(broken) or "()",
                                               dies=set(dies) or "()", kills=kills))
            program.chmod(0o755)
            pathlib.Path(folder, "kept").write_text(kept)
            done = subprocess.run(
                [sys.executable, SIM, "--program", program, "--logs", f"{folder}/logs", "--kept",
                 f"{folder}/kept", "--jobs", "3", *arguments],
                capture_output=True, text=True, timeout=120, check=False)
            return done.returncode, done.stdout

    def test_all_seeds_run_once(self):
        code, out = self.run_sim("--first", "7", "--seeds", "180", kept="# none\n9\n12  # why\n")
        self.assertEqual(code, 0, out)
        self.assertIn("182 from 7 on, 2 of them kept ones", out)
        self.assertIn("1820 steps", out)
        self.assertRegex(out, r"kills +182\n")

    def test_lowest_broken_seed(self):
        code, out = self.run_sim("--seeds", "400", broken=(391, 260, 77, 76))
        self.assertEqual(code, 1)
        self.assertEqual(re.findall(r"seed (\d+) FAILED: (.*)", out), [("76", "law 5: twice")])
        self.assertIn("a line of the trace", out)
        self.assertIn("--first 76 --seeds 1 --trace", out)

    def test_program_that_dies(self):
        code, out = self.run_sim("--seeds", "100", dies=(33,))
        self.assertEqual(code, 1)
        self.assertIn("seed 33 FAILED: cube-sim ended with -9", out)

    def test_kept_seed_with_flags(self):
        code, out = self.run_sim("--seeds", "5000", kept="3 --worse  # it was\n")
        self.assertEqual(code, 1)
        self.assertIn("seed 3 FAILED", out)
        self.assertIn("--first 3 --seeds 1 --worse --trace", out)

    def test_kind_of_fault_that_never_strikes(self):
        self.assertEqual(self.run_sim("--seeds", "100", kills=0)[0], 0)
        self.assertEqual(self.run_sim("--seeds", "1000", kills=0)[0], 1)

    def test_wrong_usage(self):
        self.assertEqual(self.run_sim("--seeds", "many")[0], 64)
        self.assertEqual(self.run_sim("--jobs", "0")[0], 64)


if __name__ == "__main__":
    unittest.main()
