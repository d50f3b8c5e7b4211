"""Messages of cube.v1 to values, by hand: nothing here shares code with what is judged.

Only the fields that the judge needs, by their numbers in messages/cube/v1.
"""

import collections
import json
import struct

MALFORMED = "a message that does not follow protobuf's encoding"

Stamp = collections.namedtuple("Stamp", "term_id cycle")
Position = collections.namedtuple("Position", "seq time_ns generation")
Item = collections.namedtuple("Item", "kind fields")
Decision = collections.namedtuple(
    "Decision", "epoch term_id cycle prev intents facts nodes items first manager reset")
Launch = collections.namedtuple(
    "Launch", "task attempt launch placement state cause code final stop_asked")
Held = collections.namedtuple("Held", "task attempt placement ended observed")
FactBatch = collections.namedtuple("FactBatch", "node instance incarnation first facts")

PULLING, STARTING, RUNNING, EXITED = 10, 20, 30, 40
CAUSES = {0: "none", 1: "exited", 2: "signaled", 3: "out of memory", 4: "vanished",
          5: "start failed", 6: "unhealthy"}
ITEMS = {1: "start", 2: "stop", 3: "refuse", 4: "node_down", 5: "node_up", 6: "welcome",
         7: "refuse_node", 8: "forget", 9: "evict", 13: "load", 14: "fill", 15: "empty",
         16: "end_update", 17: "end_job", 18: "readopt", 19: "drop", 20: "settle"}


def _varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError(MALFORMED)
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """number -> all its values in order: whole numbers, or bytes."""
    found = collections.defaultdict(list)
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            if at + size > len(data):
                raise ValueError(MALFORMED)
            (value,) = struct.unpack_from("<Q" if kind == 1 else "<I", data, at)
            at += size
        elif kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError(MALFORMED)
            value = bytes(data[at:at + size])
            at += size
        else:
            raise ValueError(MALFORMED)
        found[key >> 3].append(value)
    return found


class Message:
    """Reads fields by number; what is absent has proto3's default."""

    def __init__(self, data):
        self._fields = fields(data)

    def number(self, field):
        values = self._fields.get(field)
        return values[-1] if values else 0

    def signed(self, field):
        value = self.number(field)
        return (value >> 1) ^ -(value & 1)

    def text(self, field):
        values = self._fields.get(field)
        return values[-1].decode() if values else ""

    def has(self, field):
        return field in self._fields

    def one(self, field):
        values = self._fields.get(field)
        return Message(values[-1] if values else b"")

    def all(self, field):
        return [Message(value) for value in self._fields.get(field, [])]

    def texts(self, field):
        return [value.decode() for value in self._fields.get(field, [])]

    def known(self):
        return sorted(self._fields)


def _stamp(message):
    return Stamp(message.number(1), message.number(2))


def _position(message):
    return Position(message.number(1), message.number(2), message.number(3))


def _item(message, nodes):
    """kind -> the fields that the model folds."""
    numbers = [n for n in message.known() if n in ITEMS]
    if len(numbers) != 1:
        return Item("unknown", {})
    kind = ITEMS[numbers[0]]
    body = message.one(numbers[0])

    def node(field):
        return nodes[body.number(field)]
    if kind in ("start", "stop", "evict"):
        attempt = body.number(2)
        return Item(kind, {"task": body.text(1), "attempt": attempt, "ends": bool(body.number(6))
                           if kind == "evict" else False,
                           "node": node(3) if attempt else ""})
    if kind == "refuse":
        failure = body.one(4)
        return Item(kind, {"intent": body.number(1), "index": body.number(2),
                           "task": body.text(3),
                           "why": f"{failure.text(1)}: {failure.text(3)} {failure.text(2)}"})
    if kind in ("node_down", "node_up"):
        return Item(kind, {"node": node(1), "why": body.text(2)})
    if kind == "readopt":
        return Item(kind, {"node": node(1), "task": body.text(2), "attempt": body.number(3),
                           "placement": _stamp(body.one(4)), "anew": bool(body.number(5))})
    if kind == "drop":
        return Item(kind, {"node": node(1), "task": body.text(2), "attempt": body.number(3),
                           "why": body.text(4)})
    if kind == "settle":
        return Item(kind, {"node": node(1)})
    if kind == "welcome":
        return Item(kind, {"node": node(1), "instance": body.number(2),
                           "incarnation": body.number(3), "hold": bool(body.number(4))})
    if kind == "forget":
        return Item(kind, {"task": body.text(1)})
    if kind in ("fill", "empty"):
        return Item(kind, {"job": body.text(1), "version": body.number(2),
                           "first": body.number(3), "count": body.number(4),
                           "vacant": kind == "fill" and bool(body.number(6))})
    if kind in ("end_update", "end_job"):
        return Item(kind, {"job": body.text(1), "why": body.text(3)})
    return Item(kind, {})


def decision(data):
    message = Message(data)
    nodes = message.texts(9)
    term = message.one(1)
    start = message.one(8)
    return Decision(term.number(1), term.number(2), message.number(2),
                    _stamp(message.one(3)) if message.has(3) else None,
                    _position(message.one(4)), _position(message.one(5)), nodes,
                    [_item(item, nodes) for item in message.all(12)], message.has(8),
                    start.text(2), start.text(5))


def _fact(message):
    """A Launch, a Held, or the name of another kind."""
    if message.has(9):
        return _held(message.one(9))
    if not message.has(5):
        return {2: "joined", 3: "described", 4: "reported", 6: "left", 7: "health", 8: "leaving",
                10: "all held"}.get(next((n for n in message.known() if n > 1), 0), "unknown")
    return _launch(message.one(5))


def _held(message):
    """An attempt that a worker has, of which the log may know nothing any more."""
    observed = _launch(message.one(5)) if message.has(5) else None
    ended = not message.has(4) or (observed is not None and observed.final)
    return Held(message.text(1), message.number(2), _stamp(message.one(3)), ended, observed)


def _launch(launch):
    return Launch(launch.text(1), launch.number(2), launch.number(3), _stamp(launch.one(4)),
                  launch.number(5), CAUSES.get(launch.number(6), "?"), launch.signed(7),
                  bool(launch.number(13)), bool(launch.number(14)))


def facts(data):
    message = Message(data)
    return FactBatch(message.text(1), message.number(2), message.number(3), message.number(4),
                     [_fact(fact) for fact in message.all(5)])


def _listed(value):
    return value if isinstance(value, list) else [value]


def _json_intents(what, data):
    items = []
    for item in _listed(json.loads(data)):
        if isinstance(item, str):
            item = {"id": item, "name": item}
        if what == "submit_tasks":
            items.append({"id": item["id"]})
        elif what == "stop_tasks":
            items.append({"id": item["id"]})
        elif what == "submit_job":
            items.append({"name": item["name"], "replicas": item.get("replicas", 1),
                          "mark": item["task"].get("env", {}).get("MARK", "")})
        elif what == "scale_jobs":
            items.append({"name": item["name"], "replicas": item["replicas"]})
        else:
            items.append({"name": item.get("name", "")})
    return items


def _binary_intents(what, data):
    message = Message(data)
    if what == "submit_tasks":
        return [{"id": task.text(1)} for task in message.all(2)]
    if what == "stop_tasks":
        return [{"id": task.text(1)} for task in message.all(1)]
    if what == "submit_job":
        job = message.one(1)
        variables = {pair.text(1): pair.text(2) for pair in job.one(4).all(5)}
        return [{"name": job.text(1), "replicas": job.number(3) if job.has(3) else 1,
                 "mark": variables.get("MARK", "")}]
    if what == "scale_jobs":
        return [{"name": job.text(1), "replicas": job.number(2)} for job in message.all(1)]
    return []


WHAT = {"tasks.submit": "submit_tasks", "tasks.stop": "stop_tasks", "jobs.submit": "submit_job",
        "jobs.scale": "scale_jobs", "jobs.stop": "stop_jobs", "nodes.cordon": "nodes",
        "nodes.uncordon": "nodes", "nodes.drain": "nodes"}


def intents(subject, data):
    """-> (what, items): each with what it names."""
    what = WHAT.get(subject.split(".", 1)[1], "unknown")
    human = data.lstrip()[:1] in (b"{", b"[", b'"')
    return what, (_json_intents if human else _binary_intents)(what, data)
