"""The special folders and files below `.versions`.

In: what they are and what they contain. Out: upcalls. May import: versions, model, and the nodes
and stores of mount.
"""
