"""Faults for a cluster of real programs, and an independent judge of what became of it.

world.py    the machine: hosts (network namespaces, small disks), servers, engines, processes
faults.py   what is done to it, drawn from the seed, and undone
load.py     tasks and jobs, all the time
witness.py  what the tasks themselves and the kernel say of their lives
wire.py     bytes of messages to values, by a decoder of its own
model.py    what the log says, and the laws that it must keep
judge.py    compares all of them
run.py      rounds
"""
