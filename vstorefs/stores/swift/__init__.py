"""OpenStack Swift.

In: calls of python-swiftclient, its credentials and errors. Out: other kinds, layouts. May
import: the modules of `stores` itself, no other kind.
"""
