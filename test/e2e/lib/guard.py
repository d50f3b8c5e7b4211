"""Cleans up after a test, whatever became of it.

    guard.py FOLDER UNIQUE    waits until standard input ends, then cleans up

The processes of a test are those whose command line or environment names its folder, or whose
environment names one of its nodes (CUBE_NODE), and the sessions that these lead. Containers are
those whose node's name ends in UNIQUE.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

ROUNDS = 50          # a killed process may have started another one just before
ROUND_SECONDS = 0.1
DOCKER_SECONDS = 60


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _processes(folder, unique):
    """Processes that name the folder or one of the nodes, and the sessions that they lead."""
    marks = folder.encode(), b"-" + unique.encode() + b"\0"
    found = set()
    sessions = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        command = _read(f"/proc/{entry}/cmdline")
        stat = _read(f"/proc/{entry}/stat").rpartition(b")")[2].split()
        if len(stat) < 4 or stat[0] == b"Z" or b"guard.py" in command:
            continue
        sessions.setdefault(int(stat[3]), set()).add(int(entry))
        environment = _read(f"/proc/{entry}/environ")
        if marks[0] in command or marks[0] in environment or marks[1] in environment:
            found.add(int(entry))
    for leader in found & sessions.keys():
        found = found | sessions[leader]
    return found - {os.getpid(), os.getppid()}


def _kill_all(folder, unique):
    for _ in range(ROUNDS):
        pids = _processes(folder, unique)
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(ROUND_SECONDS)
    print(f"processes {sorted(pids)} do not end", file=sys.stderr)


def _containers(unique):
    if not shutil.which("docker"):
        return []
    try:
        done = subprocess.run(["docker", "ps", "-a", "--filter", "label=cube.node", "--format",
                               '{{.ID}} {{.Label "cube.node"}}'], capture_output=True,
                              timeout=DOCKER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return []
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    return [row[0] for row in rows if len(row) == 2 and row[1].endswith("-" + unique)]


def _remove_control_groups(unique):
    """Groups that the process engine made for its nodes; empty once the processes are gone."""
    for top, folders, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if os.path.basename(os.path.dirname(top)) == "cube" and top.endswith("-" + unique):
            for folder in [os.path.join(top, name) for name in folders] + [top]:
                try:
                    os.rmdir(folder)
                except OSError:
                    pass


def _remove_networks(unique):
    """Network namespaces of the test's hosts; the links in them go with them."""
    try:
        names = [name for name in os.listdir("/run/netns") if name.endswith("-" + unique)]
    except OSError:
        return
    for name in names:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _unmount(folder):
    """What the test, or an engine of its own, has mounted there."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file]
    for mount in reversed(mounts):
        if mount.startswith(folder + "/"):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)


def clean(folder, unique):
    """Ends and removes all that belongs to the test."""
    _kill_all(folder, unique)
    containers = _containers(unique)
    if containers:
        subprocess.run(["docker", "rm", "-f", *containers], capture_output=True,
                       timeout=DOCKER_SECONDS, check=False)
    _remove_control_groups(unique)
    _remove_networks(unique)
    _unmount(folder)
    shutil.rmtree(folder, ignore_errors=True)


def start(folder, unique):
    """The guard of this process: it is not our child, so a kill of our tree spares it."""
    read_end, write_end = os.pipe()
    os.set_inheritable(read_end, True)
    subprocess.run(["setsid", "--fork", sys.executable, "-B", os.path.abspath(__file__), folder,
                    unique], stdin=read_end, check=True)
    os.close(read_end)
    return write_end


def finish(write_end):
    os.close(write_end)


def main():
    folder, unique = sys.argv[1:]
    while os.read(0, 1):
        pass
    clean(folder, unique)


if __name__ == "__main__":
    main()
