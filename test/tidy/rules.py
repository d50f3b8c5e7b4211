"""The house rules as functions of text. Each yields (line, message); tidy.py adds the path."""

import re

import cpp_text
import layers

LINES_MAX = 600  # a file: what one can hold in mind
FUNCTION_LINES_MAX = 70  # a function: one screen
COLUMNS_MAX = 100  # a line: two files side by side
PAUSE_LINES = 6  # from a pause up to the deadline of its loop

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def _includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        if match := _INCLUDE.match(line):
            yield number, match.group(1) == '"', match.group(2)


def file_size(_path, text):
    count = len(text.splitlines())
    if count > LINES_MAX:
        yield LINES_MAX + 1, f"{count} lines; a file has at most {LINES_MAX}: split it"


def line_length(_path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns; a line has at most {COLUMNS_MAX}"


def function_length(_path, text):
    for first, count in cpp_text.functions(text):
        if count > FUNCTION_LINES_MAX:
            yield first, f"a function of {count} lines; at most {FUNCTION_LINES_MAX}: split it"


def include_from_root(path, text):
    for number, ours, header in _includes(text):
        if ours and (header.startswith(".") or "/" not in header):
            yield number, f'"{header}": name it from the project\'s root'


def include_layers(path, text):
    """A layer includes itself and what the table of layers.py allows, nothing else of ours."""
    own = layers.layer_of(path)
    if own is None:
        if path.startswith(("shared/", "services/")):
            yield 1, f"{path.rsplit('/', 1)[0]} is in no layer: add it to test/tidy/layers.py"
        return
    for number, ours, header in _includes(text):
        if not ours:
            continue
        target = layers.layer_of(header)
        allowed = [own] + layers.LAYERS[own]
        if own.startswith(("services/manager", "services/worker", "services/cli")):
            # A shell includes what lies below it in its own service.
            service = "/".join(own.split("/")[:2])
            allowed += [service] if own == service else []
        if target and not any((header + "/").startswith(folder + "/") for folder in allowed):
            yield number, f'"{header}": {own} may include only {", ".join(allowed)}'


def include_libraries(path, text):
    """A library is wrapped in one place; pure code includes neither it nor an impure header."""
    if path.startswith(("test/", "bench/")):
        return
    for number, _ours, header in _includes(text):
        for pattern, folders in layers.LIBRARIES.items():
            at_home = path.startswith(tuple(f + "/" for f in folders)) and not layers.is_pure(path)
            if re.match(pattern, header) and not at_home:
                yield number, f"<{header}> belongs to {', '.join(folders)} alone"
        if layers.is_pure(path) and path not in layers.CALLS_ALLOWED:
            if re.fullmatch(layers.IMPURE_HEADERS, header):
                yield number, f"<{header}>: this folder is pure (no clock, thread, file, device)"


def pure_calls(path, text):
    if not layers.is_pure(path) or path in layers.CALLS_ALLOWED:
        return
    for number, line in enumerate(cpp_text.blank(text).splitlines(), 1):
        for pattern, instead in layers.IMPURE_CALLS.items():
            if match := re.search(pattern, line):
                yield number, f"'{match.group().strip()}' in a pure folder: {instead}"


def error_text_compared(path, text):
    """Code decides by an error's code, never by its words."""
    if path.startswith("test/"):
        return
    pattern = (r"\b(error\(\)|error|err)\.(message|Text\(\))\s*(==|!=|\.(find|contains|starts_with|"
               r"ends_with|compare)\b)")
    for number, line in enumerate(cpp_text.blank(text).splitlines(), 1):
        if re.search(pattern, line):
            yield number, "an error is told apart by its code, never by its text"


def foreign_json(path, text):
    """What others wrote is read with a limit of depth, and without exceptions."""
    if not path.startswith(("shared/", "services/")) or path in layers.JSON_PARSED:
        return
    for number, line in enumerate(cpp_text.blank(text).splitlines(), 1):
        if re.search(r"\b[jJ]son::(parse|sax_parse|accept)\s*\(", line):
            yield number, "JSON is read by ParseJsonText (shared/base/json.h), or wire::ParseJson"


def test_sleeps(path, text):
    """A test may pause only in a loop that looks at a deadline, in code or words just above."""
    if not path.startswith("test/"):
        return
    code = cpp_text.blank(text).splitlines()
    for number, line in enumerate(code, 1):
        if re.search(r"\bsleep_(for|until)\s*\(|(?<!\w)u?sleep\s*\(", line):
            if "deadline" not in " ".join(
                    text.splitlines()[max(0, number - PAUSE_LINES):number]):
                yield number, "a test never sleeps: it waits for a condition, up to a deadline"


def proto_comments(_path, text):
    """Each field, value, message and enum has a comment before it or behind it."""
    previous_comment = False
    for number, line in enumerate(text.splitlines(), 1):
        code, _, comment = line.partition("//")
        declares = re.match(
            r"\s*((optional |repeated )?[\w.]+(<[^>]+>)?\s+\w+\s*=\s*\d+|\w+\s*=\s*\d+|"
            r"(message|enum|oneof)\s+\w+)", code)
        if declares and not code.strip().startswith(("option ", "syntax")):
            if not previous_comment and not comment.strip():
                yield number, f"'{declares.group().strip()}' has no comment (unit, absence, writer)"
        previous_comment = not code.strip() and bool(comment.strip())


def proto_enum_zero(_path, text):
    waiting = None
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition("//")[0]
        if match := re.match(r"\s*enum\s+(\w+)", code):
            waiting = match.group(1)
        elif waiting and (match := re.match(r"\s*(\w+)\s*=\s*(\d+)", code)):
            if match.group(2) != "0" or not match.group(1).endswith("_UNSPECIFIED"):
                yield number, f"enum {waiting} begins with '..._UNSPECIFIED = 0'"
            waiting = None


def listed_in_cmake(path, _text, cmake_files):
    """`path` (.cc or .proto) is named in its folder's CMakeLists.txt or one above it.

    cmake_files: folder -> text of its CMakeLists.txt.
    """
    parts = path.split("/")
    for depth in range(len(parts) - 1, -1, -1):
        folder, rest = "/".join(parts[:depth]), "/".join(parts[depth:])
        lines = cmake_files.get(folder, "").splitlines()
        code = "\n".join(line.partition("#")[0] for line in lines)
        stem = re.escape(rest.rsplit(".", 1)[0])
        if re.search(rf"(?<![\w./-]){re.escape(rest)}(?![\w/-])", code):
            return
        # foreach(name ...) lists stems of single-file tests.
        if re.search(r"foreach\(", code) and re.search(rf"(?<![\w./-]){stem}(?![\w./-])", code):
            return
    yield 1, "no CMakeLists.txt builds this file"


def held_by(_path, text, files, test_names):
    """What an ADR's 'Held by:' names is there: a file, or a test by its name."""
    if "Held by" not in text:
        yield 1, "no 'Held by:' line: name the test that enforces this decision"
    for number, line in enumerate(text.splitlines(), 1):
        if "Held by" not in line:
            continue
        named = re.findall(r"`([^`]+)`", line)
        if not named:
            yield number, "'Held by:' names its tests in `backticks`"
        for name in named:
            if name not in files and name.rstrip("/") not in files and name not in test_names:
                yield number, f"'Held by:' names `{name}`, which is neither a file nor a test"


CPP = [file_size, line_length, function_length, include_from_root, include_layers,
       include_libraries, pure_calls, error_text_compared, foreign_json, test_sleeps]
PROTO = [file_size, line_length, proto_comments, proto_enum_zero]
SCRIPT = [file_size, line_length]
