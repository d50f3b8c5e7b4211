"""A small NATS client over a plain socket: an eye on the cluster that shares no code with it."""

import base64
import collections
import json
import os
import queue
import socket
import threading

from lib import nkeys

CONNECT_SECONDS = 10
REQUEST_SECONDS = 10

Message = collections.namedtuple("Message", "subject reply headers payload")


class NatsError(Exception):
    """The connection has ended, or the server said no."""


def _parse_headers(block):
    lines = block.decode("utf-8", "replace").split("\r\n")
    headers = {"": lines[0]}  # "NATS/1.0", with a status after it where there is one
    for line in lines[1:]:
        if ":" in line:
            key, value = line.split(":", 1)
            headers[key.strip()] = value.strip()
    return headers


class Subscription:
    """Messages of one subject, in the order of their arrival."""

    def __init__(self, client, sid):
        self._client = client
        self._sid = sid
        self._queue = queue.Queue()

    def next(self, timeout=REQUEST_SECONDS):
        """The next message; NatsError if none comes in time or the connection ends."""
        try:
            message = self._queue.get(timeout=timeout)
        except queue.Empty:
            raise NatsError(f"no message within {timeout} s") from None
        if message is None:
            self._queue.put(None)
            raise NatsError("the connection has ended")
        return message

    def drain(self):
        """What has arrived."""
        messages = []
        while True:
            try:
                message = self._queue.get_nowait()
            except queue.Empty:
                return messages
            if message is None:
                self._queue.put(None)
                return messages
            messages.append(message)

    def close(self):
        self._client.unsubscribe(self._sid)


class Nats:
    """One connection; it does not come back when the server has gone."""

    def __init__(self, host, port, nkey=None, timeout=CONNECT_SECONDS):
        """With the seed file of an nkey, where the server asks who we are."""
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in = self._socket.makefile("rb")
        self._lock = threading.Lock()
        self._subscriptions = {}
        self._sids = 0
        self._inbox = "_INBOX." + base64.b32encode(os.urandom(10)).decode()
        self._pongs = queue.Queue()
        first = self._in.readline()
        if not first.startswith(b"INFO "):
            raise NatsError(f"not a NATS server: {first[:80]!r}")
        self.info = json.loads(first[5:])
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True,
                   "lang": "python", "version": "0", "name": "e2e", "protocol": 1}
        if nkey:
            options["nkey"], options["sig"] = nkeys.sign_nonce(nkey, self.info["nonce"])
        self._send(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.flush(timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._reader.join(CONNECT_SECONDS)
        self._in.close()
        self._socket.close()

    def _send(self, data):
        try:
            with self._lock:
                self._socket.sendall(data)
        except OSError as error:
            raise NatsError(f"the connection has ended: {error}") from None

    def _take(self, header_bytes, total_bytes):
        block = self._in.read(total_bytes + 2)
        if len(block) < total_bytes + 2:
            raise EOFError
        headers = _parse_headers(block[:header_bytes]) if header_bytes else {}
        return headers, block[header_bytes:total_bytes]

    def _read(self):
        try:
            for line in iter(self._in.readline, b""):
                word, _, rest = line.rstrip(b"\r\n").partition(b" ")
                if word == b"PING":
                    self._send(b"PONG\r\n")
                elif word == b"PONG":
                    self._pongs.put(True)
                elif word in (b"MSG", b"HMSG"):
                    parts = rest.decode().split(" ")
                    sizes = 2 if word == b"HMSG" else 1
                    reply = parts[2] if len(parts) == 3 + sizes else ""
                    header_bytes = int(parts[-2]) if word == b"HMSG" else 0
                    headers, payload = self._take(header_bytes, int(parts[-1]))
                    subscription = self._subscriptions.get(int(parts[1]))
                    if subscription is not None:
                        subscription._queue.put(Message(parts[0], reply, headers, payload))
                elif word == b"-ERR" and b"Permissions Violation" not in rest:
                    break
        except (OSError, EOFError, ValueError, NatsError):
            pass
        self._pongs.put(False)
        for subscription in list(self._subscriptions.values()):
            subscription._queue.put(None)

    def flush(self, timeout=CONNECT_SECONDS):
        """Returns when the server has taken all that was sent."""
        self._send(b"PING\r\n")
        try:
            alive = self._pongs.get(timeout=timeout)
        except queue.Empty:
            raise NatsError(f"no answer to a ping within {timeout} s") from None
        if not alive:
            self._pongs.put(False)
            raise NatsError("the connection has ended")

    def subscribe(self, subject):
        with self._lock:
            self._sids += 1
            sid = self._sids
        subscription = Subscription(self, sid)
        self._subscriptions[sid] = subscription
        self._send(f"SUB {subject} {sid}\r\n".encode())
        return subscription

    def unsubscribe(self, sid):
        self._subscriptions.pop(sid, None)
        try:
            self._send(f"UNSUB {sid}\r\n".encode())
        except NatsError:
            pass

    def publish(self, subject, payload=b"", reply="", headers=None):
        if isinstance(payload, str):
            payload = payload.encode()
        if headers:
            block = "NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
            block = block.encode()
            line = f"HPUB {subject} {reply} {len(block)} {len(block) + len(payload)}\r\n".encode()
            self._send(line + block + payload + b"\r\n")
        else:
            self._send(f"PUB {subject} {reply} {len(payload)}\r\n".encode() + payload + b"\r\n")

    def request(self, subject, payload=b"", headers=None, timeout=REQUEST_SECONDS):
        with self._lock:
            self._sids += 1
            reply = f"{self._inbox}.{self._sids}"
        subscription = self.subscribe(reply)
        try:
            self.publish(subject, payload, reply, headers)
            answer = subscription.next(timeout)
        finally:
            subscription.close()
        if answer.headers.get("", "").startswith("NATS/1.0 503"):
            raise NatsError(f"nobody answers on {subject}")
        return answer

    # ---- JetStream: JSON requests ------------------------------------------------------------

    def api(self, what, body=None, timeout=REQUEST_SECONDS):
        """An answer of the JetStream API; NatsError if it is an error."""
        payload = json.dumps(body) if body is not None else ""
        answer = json.loads(self.request("$JS.API." + what, payload, timeout=timeout).payload)
        if "error" in answer:
            raise NatsError(f"$JS.API.{what}: {answer['error'].get('description')}")
        return answer

    def append(self, subject, payload, headers=None, timeout=REQUEST_SECONDS):
        """Publishes into a stream and waits for its acknowledgement. -> the sequence."""
        answer = json.loads(self.request(subject, payload, headers, timeout).payload)
        if "error" in answer:
            raise NatsError(f"{subject}: {answer['error'].get('description')}")
        return answer["seq"]

    def last_sequence(self, stream):
        return self.api(f"STREAM.INFO.{stream}")["state"]["last_seq"]

    def stored(self, stream, sequence):
        """One message of a stream: (subject, payload)."""
        found = self.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence})["message"]
        return found["subject"], base64.b64decode(found.get("data", ""))
