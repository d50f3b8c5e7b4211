#!/usr/bin/env python3
"""Compares docs/OPERATIONS.md with the flags of the services, and follows the documents' links.

    docs.py ROOT            prints what is missing on either side; exit 1 if something is
"""

import pathlib
import re
import sys

SOURCES = ["shared/service/service_flags.cc", "services/manager/main.cc",
           "services/worker/flags.cc"]
# Declared by the library for us.
LIBRARY_FLAGS = {"--config"}


def flags_of(text):
    """Flag -> variable of the environment, of each add_option and add_flag."""
    flags = {}
    for call in re.split(r"\badd_(?=option|flag)", text)[1:]:
        name = re.match(r'(?:option|flag)\(\s*"(--[\w-]+)"', call)
        if name:
            variable = re.search(r'envname\("(\w+)"\)', call)
            flags[name.group(1)] = variable.group(1) if variable else ""
    return flags


def documented(text):
    """Flag -> the cell beside it, of the tables before the one of the command line tool."""
    services = text.split("## Settings of `cube`")[0]
    return dict(re.findall(r"^\| `(--[\w-]+)` \| ([^|]*)\|", services, re.M))


def findings(flags, rows):
    for flag, variable in sorted(flags.items()):
        if flag not in rows:
            yield f"docs/OPERATIONS.md lacks {flag} ({variable})"
        elif f"`{variable}`" not in rows[flag]:
            yield f"docs/OPERATIONS.md: {flag} lacks its variable {variable}"
    for flag in sorted(set(rows) - set(flags) - LIBRARY_FLAGS):
        yield f"docs/OPERATIONS.md names {flag}, which no service has"


def broken_links(root):
    """Links between the project's own documents that lead nowhere."""
    for document in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"),
                            *root.glob("bench/*.md")]):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, heading = target.partition("#")
            if ":" in path:
                continue  # elsewhere
            file = document.parent / path if path else document
            if not file.exists():
                yield f"{document.relative_to(root)}: {target} is not there"
            elif heading and heading not in headings(file.read_text()):
                yield f"{document.relative_to(root)}: {target}: no such heading"


def headings(text):
    """The anchors that a Markdown viewer makes of a document's headings."""
    lines = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 64
    root = pathlib.Path(arguments[0])
    flags = {}
    for source in SOURCES:
        found = flags_of((root / source).read_text())
        if not found:
            print(f"{source}: no flags found; has the code moved?")
            return 1
        flags |= found
    found = list(findings(flags, documented((root / "docs/OPERATIONS.md").read_text())))
    found += broken_links(root)
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
