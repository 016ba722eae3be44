"""Google Cloud Storage.

In: calls of google-cloud-storage, its credentials and errors. Out: other kinds, layouts. May
import: the modules of `stores` itself, no other kind.
"""
