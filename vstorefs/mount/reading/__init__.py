"""Bytes from the cache and the stores, ahead of the reader, and their hashes.

In: plans of what to fetch, transfers, hashing, contents that a lock file pins. Out: names, drafts, runs. May import:
`tree`, `backend`.
"""
