"""The front without a kernel, in simulated time: a seed is a history of programs, faults, kills and remounts.

In: what stands in for the kernel, threads, workers, disks and stores; a model of what programs may see; seeds and how
they shrink. Out: real mounts and servers (`tests/mount`, `tests/stores`), which show what is not simulated here.
docs/explanation/simulation.md tells what is simulated, and how a seed is replayed.
"""
