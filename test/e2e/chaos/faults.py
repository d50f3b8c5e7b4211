"""What is done to the cluster. Each fault strikes a target, lasts a while, and is undone.

A fault that needs what the world does not have (hosts, small disks, several servers, an engine of
its own) is not drawn. Two faults never have the same target at one time.
"""

import concurrent.futures
import errno
import math
import os
import shutil
import signal

from chaos.witness import uptime
from lib.nats import NatsError

BALLAST_STEP = 1 << 20


class Fault:
    """One kind. targets() names what it may strike now; strike() does it, heal() undoes it."""

    name = ""
    weight = 1
    seconds = (0.5, 8)  # how long it lasts

    def __init__(self, world, dice):
        self.world = world
        self.dice = dice

    def possible(self):
        return True

    def targets(self):
        return self.world.members

    def strike(self, target):
        """-> words for the timeline."""
        raise NotImplementedError

    def heal(self, target):
        """False: it cannot be undone yet."""
        raise NotImplementedError


class Kill(Fault):
    name = "kill -9"
    weight = 5

    def strike(self, target):
        self.world.kill(target)
        return ""

    def heal(self, target):
        self.world.start_again(target)


class KillAll(Fault):
    """All of one kind at the same moment."""

    name = "kill -9 all"
    seconds = (0.5, 6)

    def targets(self):
        return ["servers", "managers", "workers"]

    def strike(self, target):
        for name in getattr(self.world, target):
            self.world.kill(name)
        return ""

    def heal(self, target):
        for name in getattr(self.world, target):
            if not self.world.is_alive(name):
                self.world.start_again(name)


class Pause(Fault):
    """SIGSTOP, then SIGCONT: it goes on in the middle of whatever it did, and has missed the rest.
    A worker that is paused for more than some seconds is called down."""

    name = "SIGSTOP"
    weight = 4
    seconds = (0.5, 12)

    def strike(self, target):
        self.world.pause(target)
        return ""

    def heal(self, target):
        self.world.resume(target)


class Restart(Fault):
    """SIGTERM, as an administrator does it."""

    name = "SIGTERM"
    weight = 2
    seconds = (0, 2)

    def strike(self, target):
        code = self.world.end(target)
        return f"it ended with code {code}"

    def heal(self, target):
        self.world.start_again(target)


class Cut(Fault):
    """The host is cut off: its link is down, or nothing comes in, or nothing goes out."""

    name = "partition"
    weight = 6
    seconds = (0.5, 15)

    def possible(self):
        return self.world.network is not None

    def strike(self, target):
        how = self.dice.choice(["link down", "deaf", "mute"])
        if how == "link down":
            self.world.network.cut(target)
        else:
            self.world.network.drop(target, "INPUT" if how == "deaf" else "OUTPUT")
        return how

    def heal(self, target):
        self.world.network.heal(target)


class Split(Fault):
    """Two servers do not hear each other; everybody else hears both."""

    name = "split"
    weight = 2
    seconds = (0.5, 15)

    def possible(self):
        return self.world.network is not None and len(self.world.servers) > 1

    def targets(self):
        return self.world.servers

    def strike(self, target):
        other = self.dice.choice([n for n in self.world.servers if n != target])
        self.world.network.drop(target, "INPUT", other)
        self.world.network.drop(target, "OUTPUT", other)
        return f"from {other}"

    def heal(self, target):
        self.world.network.heal(target)


class FullDisk(Fault):
    """The disk under its state is full. Whoever ends because of it is started again, as a service
    manager would, and ends again, until there is room."""

    name = "disk full"
    weight = 2
    seconds = (1, 8)

    def possible(self):
        return self.world.has_disks

    def targets(self):
        return [*self.world.managers, *self.world.workers]

    def strike(self, target):
        if target in self.world.workers:
            self.world.full_at[self.world.node(target)].append((uptime(), math.inf))
        with open(self.world.disk(target, "ballast"), "wb", buffering=0) as file:
            size = BALLAST_STEP
            while size >= 1:
                try:
                    if file.write(b"\0" * size) < size:
                        size //= 2
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2
            return f"{file.tell() >> 20} MiB of ballast"

    def heal(self, target):
        os.remove(self.world.disk(target, "ballast"))
        if target in self.world.workers:
            times = self.world.full_at[self.world.node(target)]
            times[-1] = (times[-1][0], uptime())


class FullServerDisk(FullDisk):
    """JetStream's folder is full. The server turns JetStream off, so it is restarted afterwards."""

    name = "server's disk full"

    def targets(self):
        return self.world.servers

    def heal(self, target):
        super().heal(target)
        self.world.kill(target)
        self.world.start_again(target)


class DamageStore(Fault):
    """kill -9, and its LMDB files are not what they were when it starts again."""

    name = "store damaged"
    weight = 3
    seconds = (0, 4)

    def targets(self):
        return [*self.world.managers, *self.world.workers]

    def _folder(self, target):
        if target in self.world.managers:
            return self.world.disk(target, "manager", "view")
        return self.world.disk(target, "worker", self.world.node(target), "view")

    def strike(self, target):
        self.world.kill(target)
        folder = self._folder(target)
        path = os.path.join(folder, "data.mdb")
        if not os.path.exists(path):
            return "there was none yet"
        if target in self.world.workers:
            self.world.damaged_at[self.world.node(target)].append(uptime())
        how = self.dice.choice(["cut short", "bits turned", "page of zeros", "garbage", "removed",
                                "folder removed"])
        size = os.path.getsize(path)
        if how == "folder removed":
            shutil.rmtree(folder)
        elif how == "removed":
            os.remove(path)
        elif how == "garbage":
            with open(path, "wb") as file:
                file.write(self.dice.randbytes(size or 4096))
        elif how == "cut short":
            os.truncate(path, self.dice.randrange(size + 1))
        elif size > 0:
            with open(path, "r+b") as file:
                if how == "page of zeros":
                    file.seek(self.dice.randrange(size) // 4096 * 4096)
                    file.write(bytes(4096))
                else:
                    for _ in range(self.dice.randrange(1, 30)):
                        at = self.dice.randrange(size)
                        file.seek(at)
                        byte = file.read(1)
                        file.seek(at)
                        file.write(bytes([byte[0] ^ 1 << self.dice.randrange(8)]))
        return how

    def heal(self, target):
        self.world.start_again(target)


class LoseServer(Fault):
    """One of three servers loses its whole folder. The others have a copy of everything."""

    name = "server's folder lost"
    seconds = (0, 3)
    alone = True  # no other server may be in trouble, before the copies are whole again

    def possible(self):
        return len(self.world.servers) >= 3

    def targets(self):
        # Two copies have to be whole at this moment: else the loss would be our own doing.
        return self.world.servers if not self.world.streams_current() else []

    def strike(self, target):
        self.world.kill(target)
        shutil.rmtree(self.world.disk(target, "jetstream"))
        return ""

    def heal(self, target):
        if not self.world.is_alive(target):
            self.world.start_again(target)
        return not self.world.streams_current()


class RestartEngine(Fault):
    """The container engine ends and comes back; containers outlive it."""

    name = "engine restart"
    weight = 2
    seconds = (0, 10)

    def possible(self):
        return self.world.own_engine is not None

    def __init__(self, world, dice):
        super().__init__(world, dice)
        self._coming = self._started = None

    def targets(self):
        return ["engine"]

    def strike(self, _target):
        how = self.dice.choice([signal.SIGTERM, signal.SIGKILL])
        self.world.engine_kills.append(uptime())  # SIGTERM does not wait for a start either
        self.world.own_engine.stop(how)
        return how.name

    def heal(self, _target):
        """It takes its time to come up; the rest goes on meanwhile."""
        if self._coming is None:
            self._coming = concurrent.futures.ThreadPoolExecutor(1)
            self._started = self._coming.submit(self.world.own_engine.start)
        if not self._started.done():
            return False
        self._coming.shutdown()
        self._coming = None
        return self._started.result()


class Drain(Fault):
    """A node is drained, and takes tasks again afterwards."""

    name = "drain"
    weight = 2
    seconds = (2, 12)

    def targets(self):
        return [f"node {letter}" for letter in self.world.workers]

    def uncordon_all(self):
        """True: it is in the log. A restored one may have lost that a drain was over."""
        return all(self.heal(target) for target in self.targets())

    def _said(self, subject, body):
        try:
            with self.world.connect(timeout=1) as client:
                client.append(subject, body, timeout=1)
            return True
        except (OSError, NatsError, ValueError):
            return False

    def strike(self, target):
        node = self.world.node(target.split()[1])
        said = self._said("cube.nodes.drain", f'{{"name":"{node}","deadline":"5s"}}')
        return "" if said else "no server took it"

    def heal(self, target):
        return self._said("cube.nodes.uncordon", f'"{self.world.node(target.split()[1])}"')


class Clock(Fault):
    """The process is restarted with a wall clock that is hours off, and then with the right one."""

    name = "clock step"
    weight = 2
    seconds = (2, 12)

    def targets(self):
        return [*self.world.managers, *self.world.workers]

    def strike(self, target):
        self.world.clocks[target] = self.dice.choice([-86400, -3600, -61, 61, 3600, 86400])
        self.world.kill(target)
        self.world.start_again(target)
        return f"{self.world.clocks[target]:+d} s"

    def heal(self, target):
        del self.world.clocks[target]
        self.world.kill(target)
        self.world.start_again(target)


class RestoreStreams(Fault):
    """A server comes back with an older copy of its folder: the streams have gone backwards."""

    name = "streams restored"
    weight = 3  # every other one only takes the copy
    seconds = (0, 2)

    def possible(self):
        return len(self.world.servers) == 1

    def targets(self):
        return self.world.servers

    def strike(self, target):
        folder, copy = self.world.disk(target, "jetstream"), self.world.disk(target, "copy")
        if not os.path.isdir(copy):
            self.world.kill(target)
            shutil.copytree(folder, copy)
            return "copied, to be restored the next time"
        self.world.kill(target)
        shutil.rmtree(folder)
        os.rename(copy, folder)
        self.world.restored_at = uptime()
        return "an older copy is back"

    def heal(self, target):
        self.world.start_again(target)


ALWAYS = [Kill, KillAll, Pause, Restart, Cut, Split, FullDisk, DamageStore, LoseServer,
          RestartEngine, Drain]
# By --with: what Cube or its server does not promise to survive, or what needs a package more.
ON_DEMAND = {"clock": Clock, "server-disk": FullServerDisk, "restore": RestoreStreams}
