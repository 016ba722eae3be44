"""Azure Blob Storage.

In: calls of azure-storage-blob, its credentials and errors. Out: other kinds, layouts. May
import: the modules of `stores` itself, no other kind.
"""
