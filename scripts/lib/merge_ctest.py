#!/usr/bin/env python3
"""Joins the tests of several builds into one folder for ctest, so that one summary covers all.

    merge_ctest.py OUT PRESET:LABELS[:NAME=VALUE]...

LABELS is a regular expression; a test is taken when one of its labels matches it as a whole. Each
test keeps its command and properties, is called PRESET/NAME, and sees NAME=VALUE in its
environment. End-to-end tests run alone: they judge times.
"""

import json
import pathlib
import re
import subprocess
import sys

# Properties that describe a result or are given anew.
LEFT_OUT = {"ENVIRONMENT", "WORKING_DIRECTORY", "RUN_SERIAL"}


def quoted(text):
    """A CMake bracket argument: nothing in it is special."""
    return f"[==[{text}]==]"


def value_of(prop):
    value = prop["value"]
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, list):
        return ";".join(str(item) for item in value)
    return str(value)


def tests_of(root, preset):
    folder = root / "build" / preset
    answer = subprocess.run(["ctest", "--test-dir", folder, "--show-only=json-v1"],
                            check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)["tests"]


def entry(test, preset, labels, environment):
    """The lines of one test, or nothing if its labels do not match."""
    properties = {prop["name"]: prop for prop in test.get("properties", [])}
    own = properties.get("LABELS", {"value": []})["value"]
    if not any(re.fullmatch(labels, label) for label in own):
        return []
    if "command" not in test:
        raise SystemExit(f"merge_ctest: test {test['name']} of {preset} is not built")
    name = quoted(f"{preset}/{test['name']}")
    lines = [f"add_test({name} {' '.join(quoted(word) for word in test['command'])})"]
    settings = {key: value_of(prop) for key, prop in properties.items() if key not in LEFT_OUT}
    env = list(properties.get("ENVIRONMENT", {"value": []})["value"]) + environment
    if env:
        settings["ENVIRONMENT"] = ";".join(env)
    if "WORKING_DIRECTORY" in properties:
        settings["WORKING_DIRECTORY"] = value_of(properties["WORKING_DIRECTORY"])
    if "e2e" in own or properties.get("RUN_SERIAL", {"value": False})["value"]:
        settings["RUN_SERIAL"] = "TRUE"
    pairs = " ".join(f"{key} {quoted(value)}" for key, value in sorted(settings.items()))
    lines.append(f"set_tests_properties({name} PROPERTIES {pairs})")
    return lines


def main(arguments):
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 64
    root = pathlib.Path(__file__).resolve().parents[2]
    out = root / arguments[0]
    lines = ["# Written by scripts/lib/merge_ctest.py."]
    for part in arguments[1:]:
        preset, labels, *environment = part.split(":")
        taken = [line for test in tests_of(root, preset)
                 for line in entry(test, preset, labels, environment)]
        print(f"{preset}: {len(taken) // 2} tests ({labels})")
        lines += taken
    out.mkdir(parents=True, exist_ok=True)
    (out / "CTestTestfile.cmake").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
