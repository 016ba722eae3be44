"""A directory of this machine, or of a share.

In: its versions, their names, the system calls that keep them. Out: other kinds, layouts. May
import: the modules of `stores` itself, no other kind.
"""
