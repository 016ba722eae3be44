"""Public HTTP(S) addresses, read-only.

In: sessions, streams, index pages. Out: other kinds, layouts. May
import: the modules of `stores` itself, no other kind.
"""
