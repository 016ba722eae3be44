"""The front process: the FUSE face on trio. Never blocks, loads no SDK.

In: upcalls, nodes, handles, plans, waiting for workers. Out: SDKs, hashing, LMDB writes. May
import: workers and below.
"""
