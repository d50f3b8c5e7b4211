"""Enough of C++ to read it by line: comments and literals blanked, functions found by braces."""

import bisect
import re

_TOKENS = re.compile(
    r'R"(?P<tag>[^()\\ ]{0,16})\(.*?\)(?P=tag)"'
    r"|//[^\n]*"
    r"|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'",
    re.S)


# What may stand between the end of one definition and the first word of the next.
_BEFORE = re.compile(r"(\s|#[^\n]*\n|(public|private|protected)\s*:)*")


def blank(text):
    """The text with comments and literals as spaces; every newline stays where it is."""
    return _TOKENS.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def _kind(head):
    """What a brace opens, from the text between the last ';', '{' or '}' and it."""
    head = " ".join(re.sub(r"^\s*#.*$", " ", head, flags=re.M).split())
    if re.search(r"\b(namespace|extern)\b", head):
        return "scope"
    if re.search(r"\b(class|struct|union|enum)\b", head) and ")" not in head.split("=")[0]:
        return "scope"
    if head.endswith(("=", "(")) or head == "{":
        return "value"
    return "function" if ")" in head or head.startswith(",") or head == "" else "value"


def functions(text):
    """(first line, number of lines) of each function body's definition; lambdas inside count
    with their function."""
    clean = blank(text)
    ends = [m.start() for m in re.finditer("\n", clean)]
    line_at = lambda offset: bisect.bisect_left(ends, offset) + 1
    found, stack, last, inside = [], [], 0, 0
    for match in re.finditer(r"[;{}]", clean):
        offset, sign = match.start(), match.group()
        if sign == "{":
            head = clean[last:offset]
            kind = "inner" if inside else _kind(head)
            start = last + _BEFORE.match(head).end()
            stack.append((kind, start))
            inside += kind in ("function", "value")
        elif sign == "}" and stack:
            kind, start = stack.pop()
            inside -= kind in ("function", "value")
            if kind == "function":
                first = line_at(start)
                found.append((first, line_at(offset) - first + 1))
        last = offset + 1
    return found
