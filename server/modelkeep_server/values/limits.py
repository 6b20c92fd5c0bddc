"""Limits that no field rule of the contract states. `GetServerInfo` tells them."""

MIB = 1024 * 1024

MAX_CHUNK_BYTES = MIB
"""Of a chunk or pack: memory a stream stays bounded, and smaller ones cost twice."""

MAX_BLOB_SIZE = 5 * 1024 * 1024 * MIB
"""Of a blob, in bytes: the largest object of S3."""

MAX_MANIFEST_BYTES = 128 * MIB
"""Of a manifest: it is checked in one go."""

MAX_FILES = 1_000_000
"""Of a version."""
