#!/usr/bin/env python3
"""Checks every tracked (and new) file of the project against the house rules of rules.py.

    tidy.py ROOT            prints file:line: message for each finding; exit 1 if there is one
"""

import pathlib
import re
import subprocess
import sys

import rules

CPP_SUFFIXES = (".cc", ".h", ".c")
TEXT_SUFFIXES = (".md", ".txt", ".json", ".yml", ".yaml", ".conf", ".cmake", ".toml")
BUILT_SUFFIXES = (".cc", ".c", ".proto")


def project_files(root):
    """Paths that git tracks or would add; a copy without .git (an archive) is walked."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = listed.stdout.splitlines()
    else:
        paths = [str(p.relative_to(root)) for p in pathlib.Path(root).rglob("*")
                 if not {"build", "var", ".git"} & set(p.relative_to(root).parts)]
    return sorted(p for p in paths if (root / p).is_file())


def is_script(path, text):
    return path.endswith(".py") or text.startswith("#!") or path.startswith("scripts/lib/")


def rules_for(path, text):
    if path.endswith(CPP_SUFFIXES):
        return rules.CPP
    if path.endswith(".proto"):
        return rules.PROTO
    if is_script(path, text):
        return rules.SCRIPT
    if path.endswith(TEXT_SUFFIXES) or "/" not in path:
        return []  # prose and data: no rule looks at them
    return []


def test_names(texts):
    """Suite.Name of every GoogleTest in the tree, and every name given to ctest."""
    names = set()
    for path, text in texts.items():
        if path.endswith(".cc"):
            for suite, name in re.findall(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\s*\)", text, re.M):
                names |= {suite, f"{suite}.{name}"}
        elif path.endswith("CMakeLists.txt"):
            names |= set(re.findall(r"(?:cube_test\(|add_test\(\s*NAME)\s*(\w+)", text))
    return names


def findings(root):
    texts = {}
    for path in project_files(root):
        try:
            texts[path] = (root / path).read_text()
        except UnicodeDecodeError:
            continue  # an image or another binary file
    cmake = {path.rpartition("/")[0]: text for path, text in texts.items()
             if path.rpartition("/")[2] == "CMakeLists.txt"}
    folders = {str(parent) for path in texts for parent in pathlib.PurePath(path).parents}
    names = test_names(texts)
    for path, text in texts.items():
        for rule in rules_for(path, text):
            for line, message in rule(path, text):
                yield f"{path}:{line}: {message}"
        if path.endswith(BUILT_SUFFIXES):
            for line, message in rules.listed_in_cmake(path, text, cmake):
                yield f"{path}:{line}: {message}"
        if re.match(r"docs/adr/\d+.*\.md$", path):
            for line, message in rules.held_by(path, text, set(texts) | folders, names):
                yield f"{path}:{line}: {message}"


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 64
    root = pathlib.Path(arguments[0]).resolve()
    found = list(findings(root))
    for finding in found:
        print(finding)
    print(f"tidy: {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
