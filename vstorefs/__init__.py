"""Object stores as one directory tree that never overwrites and knows what you read."""

__version__ = "0.1.0"
