"""How versions are published and named; each layout of a store has its place here.

In: what a journal entry means in a store. Out: processes, mounts. May import: stores, state, cache
and below.
"""
