"""Hosts as network namespaces on one bridge, which lies in a namespace of its own.

Nothing of it can be seen from outside: addresses and links exist in these namespaces only. Needs
root. Their names end in "-" and the unique name of the run, by which guard.py removes them.
"""

import contextlib
import ctypes
import os
import subprocess

NET = "10.213.0."
CLONE_NEWNET = 0x40000000
COMMAND_SECONDS = 30
FOLDER = "/run/netns/"

_libc = ctypes.CDLL(None, use_errno=True)


def why_none():
    if os.geteuid() != 0:
        return "network namespaces need root"
    return ""


def _run(*command):
    done = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode().strip()}")


class Network:
    def __init__(self, unique):
        self._unique = unique
        self._numbers = {}
        _run("ip", "netns", "add", self._name("switch"))
        self._in("switch", "ip", "link", "add", "name", "br0", "type", "bridge")
        self._in("switch", "ip", "link", "set", "br0", "up")

    def _name(self, host):
        return f"cube-{host}-{self._unique}"

    def _in(self, host, *command):
        _run(*self.prefix(host), *command)

    def prefix(self, host):
        """What a command line begins with that runs on that host."""
        return ["nsenter", f"--net={FOLDER}{self._name(host)}", "--"]

    def add(self, host):
        """-> its address."""
        number = self._numbers[host] = len(self._numbers) + 1
        name, port = self._name(host), f"p{number}"
        _run("ip", "netns", "add", name)
        _run("ip", "-n", self._name("switch"), "link", "add", port, "type", "veth", "peer", "name",
             "eth0", "netns", name)
        self._in("switch", "ip", "link", "set", port, "master", "br0", "up")
        self._in(host, "ip", "link", "set", "lo", "up")
        self._in(host, "ip", "addr", "add", f"{NET}{number}/24", "dev", "eth0")
        self._in(host, "ip", "link", "set", "eth0", "up")
        return self.address(host)

    def address(self, host):
        return f"{NET}{self._numbers[host]}"

    @contextlib.contextmanager
    def within(self, host):
        """Sockets that this thread makes inside are of that host."""
        with open("/proc/thread-self/ns/net", "rb") as back, \
                open(FOLDER + self._name(host), "rb") as there:
            self._enter(there)
            try:
                yield
            finally:
                self._enter(back)

    @staticmethod
    def _enter(file):
        if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    # ---- faults --------------------------------------------------------------------------------

    def cut(self, host):
        """The cable is out."""
        self._in("switch", "ip", "link", "set", f"p{self._numbers[host]}", "down")

    def drop(self, host, direction, other=None):
        """What comes in (INPUT) or goes out (OUTPUT) is dropped without a word."""
        which = []
        if other is not None:
            which = ["-s" if direction == "INPUT" else "-d", self.address(other)]
        self._in(host, "iptables", "-w", "-A", direction, *which, "!",
                 "-i" if direction == "INPUT" else "-o", "lo", "-j", "DROP")

    def heal(self, host):
        self._in("switch", "ip", "link", "set", f"p{self._numbers[host]}", "up")
        self._in(host, "iptables", "-w", "-F")

    def close(self):
        for host in [*self._numbers, "switch"]:
            subprocess.run(["ip", "netns", "del", self._name(host)], capture_output=True,
                           timeout=COMMAND_SECONDS, check=False)
