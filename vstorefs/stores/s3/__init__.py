"""S3 and stores that speak its API.

In: calls of boto3, parts of large uploads, boto3's errors. Out: other kinds, layouts. May
import: the modules of `stores` itself, no other kind.
"""
