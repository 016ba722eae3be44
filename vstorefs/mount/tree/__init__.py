"""The tree that the kernel is shown: nodes, names, attributes, and where they come from.

In: what exists under which name, for how long that holds, and what the kernel is made to forget. Out: bytes, drafts,
runs. May import: `backend`.
"""
