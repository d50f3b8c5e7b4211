#!/usr/bin/env python3
"""Reads the tables of docs/PARITY.md: 100 rows, each with something that shows it and exists.

    parity.py ROOT CTEST BUILD      prints what is wrong; exit 1 if something is

A test that is named must be one of CTest's, and its cases be in the sources that it is built from.
A command must be in the help of `cube` (test/unit/cli/golden/help.txt), with its flags.
"""

import ast
import json
import pathlib
import re
import subprocess
import sys

ROWS = 100
BEYOND = 34  # rows without a chapter
CASE = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\(\s*(\w+),\s*(\w+)\s*\)", re.M)
INCLUDE = re.compile(r'^#include "(test/[^"]+)"', re.M)
# What they take is said by the programs that they become.
PASSED_ON = {"manager", "worker"}


def rows_of(text):
    """(number, feature, chapter, meaning, [what shows it]) of each row, in order."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and cells[0].isdigit():
            if len(cells) != 5:
                yield int(cells[0]), *cells[1:4], None
            else:
                yield int(cells[0]), *cells[1:4], re.findall(r"`([^`]+)`", cells[4])


class Tests:
    """What can be run, and the cases in it."""

    def __init__(self, root, names):
        self._root = root
        self._names = names
        self._sources = {}  # ctest name -> files of a GoogleTest binary
        self._python = {}   # ctest name -> (file, selected cases)
        for lists in sorted((root / "test").rglob("CMakeLists.txt")):
            self._read(lists)

    def _read(self, lists):
        text = re.sub(r"#.*", "", lists.read_text())
        variables = dict(re.findall(r"set\((\w+)\s+([^)]*)\)", text))
        variables.update(CMAKE_CURRENT_SOURCE_DIR=str(lists.parent),
                         PROJECT_SOURCE_DIR=str(self._root))
        for name, arguments in re.findall(r"cube_test\((\w+)\s+([^)]*)\)", text):
            self._sources[name] = {path.resolve() for path in lists.parent.glob("*.cc")
                                   if path.name in arguments} | self._supporting(arguments)
        for name, arguments in re.findall(r"cube_e2e_test\((\w+)\s+([^)]*)\)", text):
            words = arguments.split()
            selected = words[words.index("TESTS") + 1:] if "TESTS" in words else []
            self._python[name] = lists.parent / (words[words.index("FILE") + 1] + ".py"), selected

    def _supporting(self, arguments):
        """The sources behind a variable: the contract of a port, for its fake and the real one."""
        port = re.search(r"\$\{CUBE_(\w+)_CONTRACT\}", arguments)
        return set((self._root / "test/support" / port.group(1).lower()).glob("*.cc")) if port \
            else set()

    def cases(self, name):
        if name in self._python:
            return self._python_cases(*self._python[name])
        found, todo, seen = set(), list(self._sources.get(name, [])), set()
        while todo:
            path = todo.pop()
            if path in seen or not path.exists():
                continue
            seen.add(path)
            text = path.read_text()
            found |= {f"{suite}.{case}" for suite, case in CASE.findall(text)}
            todo += [self._root / include for include in INCLUDE.findall(text)]
        return found

    @staticmethod
    def _python_cases(path, selected):
        classes = {node.name: node for node in ast.parse(path.read_text()).body
                   if isinstance(node, ast.ClassDef)}

        def methods(name):
            if name not in classes:
                return set()
            own = {node.name for node in classes[name].body if isinstance(node, ast.FunctionDef)
                   and node.name.startswith("test")}
            return own.union(*(methods(base.id) for base in classes[name].bases
                               if isinstance(base, ast.Name)))
        found = {f"{name}.{method}" for name in classes for method in methods(name)}
        return {case for case in found
                if not selected or case in selected or case.partition(".")[0] in selected}

    def fault(self, words):
        if words[0] not in self._names:
            return f"there is no test {words[0]}"
        missing = sorted(set(words[1:]) - (self.cases(words[0]) if words[1:] else set()))
        return f"{words[0]} has no {', '.join(missing)}" if missing else ""


def command_fault(words, helps):
    """Of "cube COMMAND ...": empty, or what the help does not know."""
    for length in (3, 2):
        page = helps.get(" ".join(words[:length]))
        if page is None:
            continue
        if words[1] in PASSED_ON:
            return ""
        for word in words[length:]:
            if word.startswith("-") and not re.search(rf"(?<!\S){re.escape(word)}(?![\w-])", page):
                return f"'{' '.join(words[:length])}' has no {word}"
        return ""
    return f"there is no command '{' '.join(words[:2])}'"


def helps_of(golden):
    """"cube node ls" -> its page."""
    pages = re.split(r"^---- (cube.*) --help$\n", golden, flags=re.M)[1:]
    return dict(zip(pages[::2], pages[1::2]))


def findings(text, tests, helps):
    numbers, beyond = [], 0
    for number, feature, chapter, meaning, shown in rows_of(text):
        numbers.append(number)
        beyond += chapter == "+"
        if shown is None:
            yield f"row {number}: not five cells"
            continue
        if not (feature and meaning and re.fullmatch(r"\+|\d+((, | to )\d+)*", chapter)):
            yield f"row {number}: a cell is empty, or '{chapter}' is no chapter"
        if "*Not yet*" in meaning:
            yield f"row {number}: no row may wait"
        if not shown:
            yield f"row {number}: nothing shows it"
        for what in shown:
            words = what.split()
            fault = command_fault(words, helps) if words[0] == "cube" else tests.fault(words)
            if fault:
                yield f"row {number}: {fault}"
    if numbers != list(range(1, ROWS + 1)):
        yield f"the rows are not 1 to {ROWS}, in order"
    if beyond != BEYOND:
        yield f"{beyond} rows are marked +, not {BEYOND}"


def ctest_names(ctest, build):
    done = subprocess.run([ctest, "--show-only=json-v1", "--test-dir", build], check=True,
                          capture_output=True)
    return {test["name"] for test in json.loads(done.stdout)["tests"]}


def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 64
    root = pathlib.Path(arguments[0]).resolve()
    tests = Tests(root, ctest_names(arguments[1], arguments[2]))
    helps = helps_of((root / "test/unit/cli/golden/help.txt").read_text())
    found = [f"docs/PARITY.md: {finding}"
             for finding in findings((root / "docs/PARITY.md").read_text(), tests, helps)]
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
