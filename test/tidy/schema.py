#!/usr/bin/env python3
"""The schema as a text that a reviewer can read: one line a field, sorted, from protoc's answer.

    schema.py PROTOC MESSAGES FROZEN            compares; exit 1 and a diff if they differ
    schema.py PROTOC MESSAGES FROZEN --write    writes FROZEN (scripts/freeze-schema)

A change of meaning shows as a changed line, a deleted field as a missing one (its number must then
appear under `reserved`), whatever the layout of the .proto files.
"""

import difflib
import pathlib
import subprocess
import sys
import tempfile


def descriptor_text(protoc, messages):
    """The FileDescriptorSet of all protos, in protobuf's text format."""
    protos = sorted(str(p.relative_to(messages)) for p in messages.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "set.bin"
        subprocess.run([protoc, "-I", messages, "--descriptor_set_out", out, *protos], check=True)
        return subprocess.run(
            [protoc, "--decode=google.protobuf.FileDescriptorSet", "-I", "/usr/include",
             "google/protobuf/descriptor.proto"],
            stdin=out.open("rb"), check=True, capture_output=True, text=True).stdout


def parse(lines):
    """Text format to nested lists of (key, value); value is a string or such a list."""
    items = []
    for line in lines:
        line = line.strip()
        if line == "}":
            return items
        if line.endswith("{"):
            items.append((line[:-1].strip(), parse(lines)))
        else:
            key, _, value = line.partition(": ")
            items.append((key, value.strip('"')))
    return items


def every(node, key):
    return [value for name, value in node if name == key]


def one(node, key, absent=""):
    return next(iter(every(node, key)), absent)


def field_line(owner, field, oneofs):
    kind = one(field, "type")
    name = one(field, "type_name").lstrip(".") or kind.removeprefix("TYPE_").lower()
    label = "repeated " if one(field, "label") == "LABEL_REPEATED" else ""
    if one(field, "proto3_optional") == "true":
        label = "optional "
    elif one(field, "oneof_index"):
        label = f"oneof {oneofs[int(one(field, 'oneof_index'))]} "
    number = int(one(field, "number"))
    return (owner, number, f"{owner} {number:3} {label}{name} {one(field, 'name')}")


def reserved_lines(owner, node, last):
    """`last`: 0 if the end of a range belongs to it (enums), 1 if not (messages)."""
    for span in every(node, "reserved_range"):
        start, end = int(one(span, "start")), int(one(span, "end")) - last
        text = str(start) if start == end else f"{start} to {end}"
        yield (owner, start, f"{owner} {start:3} reserved {text}")
    for name in every(node, "reserved_name"):
        yield (owner, 1 << 30, f"{owner}     reserved \"{name}\"")


def enum_lines(prefix, enum):
    owner = f"{prefix}.{one(enum, 'name')}"
    for value in every(enum, "value"):
        number = int(one(value, "number"))
        yield (owner, number, f"{owner} {number:3} value {one(value, 'name')}")
    yield from reserved_lines(owner, enum, 0)


def message_lines(prefix, message):
    owner = f"{prefix}.{one(message, 'name')}"
    oneofs = [one(node, "name") for node in every(message, "oneof_decl")]
    yield (owner, -1, f"{owner}     message")
    for field in every(message, "field"):
        yield field_line(owner, field, oneofs)
    yield from reserved_lines(owner, message, 1)
    for enum in every(message, "enum_type"):
        yield from enum_lines(owner, enum)
    for nested in every(message, "nested_type"):
        yield from message_lines(owner, nested)


def schema(text):
    lines = []
    for file in every(parse(iter(text.splitlines())), "file"):
        package = one(file, "package")
        for message in every(file, "message_type"):
            lines += message_lines(package, message)
        for enum in every(file, "enum_type"):
            lines += enum_lines(package, enum)
    return "".join(line + "\n" for _, _, line in sorted(lines))


def main(arguments):
    if len(arguments) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 64
    protoc, messages, frozen = arguments[0], pathlib.Path(arguments[1]), pathlib.Path(arguments[2])
    now = schema(descriptor_text(protoc, messages))
    if arguments[3:] == ["--write"]:
        frozen.write_text(now)
        return 0
    was = frozen.read_text() if frozen.exists() else ""
    if now == was:
        print(f"schema: as frozen, {len(now.splitlines())} lines")
        return 0
    sys.stdout.writelines(difflib.unified_diff(
        was.splitlines(True), now.splitlines(True), str(frozen), str(messages)))
    print(f"{frozen}:1: the messages have changed. If that is meant: scripts/freeze-schema")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
