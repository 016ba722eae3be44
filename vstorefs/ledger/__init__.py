"""The ledger: all runs of a project, what they used and made, and what changed since.

In: the manifest's format, the index of runs and uses, comparisons, lock files. Out: mounts, processes, pages.
May import: versions and below.
"""
