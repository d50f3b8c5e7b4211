#!/usr/bin/env python3
"""clang-tidy-19 on every .cc of ours whose text has changed since it was last clean.

    clang_tidy.py BUILD [FILE...]

BUILD holds compile_commands.json, the precompiled header and the generated messages. What a file
is judged by: its own text, that of each header of ours that it includes (also indirectly), its
compiler's command, .clang-tidy, and the version of clang-tidy. The digest of all that is kept in
BUILD/tidy once nothing was found; the same digest is not looked at again. Removing BUILD/tidy
looks at everything. FILE: only these. Exit codes: 0 clean, 1 findings.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

TOOL = "clang-tidy-19"
OURS = ("shared", "services", "test", "bench")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


class Texts:
    """What a file includes of ours, each file read once."""

    def __init__(self, folders):
        self._folders = folders
        self._known = {}

    def _read(self, path):
        """The digest of a file, and those files of ours that it names."""
        if path not in self._known:
            text = path.read_bytes()
            named = INCLUDE.findall(text.decode("utf-8", "replace"))
            found = [folder / name for name in named for folder in self._folders
                     if (folder / name).is_file()]
            self._known[path] = (hashlib.sha256(text).hexdigest(), found)
        return self._known[path]

    def closure(self, path):
        """Lines `digest path` of a file and all that it includes, in the order of paths."""
        seen, waiting = set(), [path]
        while waiting:
            at = waiting.pop()
            if at not in seen:
                seen.add(at)
                waiting.extend(self._read(at)[1])
        return [f"{self._read(at)[0]} {at}" for at in sorted(seen)]


def wanted(root, build, only):
    """The compiler's command of each file to look at."""
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        # Generated code is not ours; a precompiled header's own .cc has nothing to say.
        if not path.is_relative_to(root) or path.relative_to(root).parts[0] not in OURS:
            continue
        if path.suffix == ".cc" and (not only or path in only):
            commands[path] = entry["command"]
    return commands


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    build = pathlib.Path(sys.argv[1]).resolve()
    only = {pathlib.Path(name).resolve() for name in sys.argv[2:]}
    commands = wanted(root, build, only)
    if only - commands.keys():
        sys.exit(f"clang_tidy: not built: {', '.join(map(str, sorted(only - commands.keys())))}")

    version = subprocess.run([TOOL, "--version"], check=True, capture_output=True, text=True).stdout
    common = version + (root / ".clang-tidy").read_text()
    header = build / "shared/CMakeFiles/cube_pch.dir/cmake_pch.hxx"
    common += header.read_text() if header.is_file() else ""
    texts = Texts([root, build / "messages/gen"])
    stamps = build / "tidy"
    due = {}
    for path, command in commands.items():
        judged = "\n".join([common, command, *texts.closure(path)])
        digest = hashlib.sha256(judged.encode()).hexdigest()
        stamp = stamps / f"{path.relative_to(root)}.clean"
        if not stamp.is_file() or stamp.read_text() != digest:
            due[path] = (stamp, digest)
    print(f"clang-tidy: {len(due)} of {len(commands)} files have changed since they were clean")

    def look(path):
        return subprocess.run([TOOL, "-quiet", "-p", build, path], check=False, cwd=root,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    told, bad = set(), 0
    jobs = min(os.cpu_count() or 1, 3)
    # The largest first, so that none of them runs alone at the end.
    order = sorted(due, key=lambda path: -path.stat().st_size)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(look, path): path for path in order}
        for done in concurrent.futures.as_completed(running):
            path, result = running[done], done.result()
            stamp, digest = due[path]
            if result.returncode == 0:
                stamp.parent.mkdir(parents=True, exist_ok=True)
                stamp.write_text(digest)
                continue
            bad += 1
            # A finding in a header comes once from each file that includes it.
            finding = re.split(r"(?m)^(?=/\S+:\d+:\d+: (?:error|warning):)", result.stdout)[1:]
            for text in finding or [f"{path}: {result.stdout}{result.stderr}"]:
                if text not in told:
                    told.add(text)
                    print(text.replace(f"{root}/", ""), end="", flush=True)
    if bad:
        sys.exit(f"clang-tidy: {len(told)} findings in {bad} of {len(due)} files")


if __name__ == "__main__":
    main()
