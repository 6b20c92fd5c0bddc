"""Where bytes are: a port, its stores, and the checks between them and every reader."""

from modelkeep_server.blobs.checked import Checksums, read_checked
from modelkeep_server.blobs.local import LocalStore
from modelkeep_server.blobs.local_files import SHARDS, LocalFiles
from modelkeep_server.blobs.port import BLOCK, BlobFiles, BlobReader, BlobStore, StagedBlob
from modelkeep_server.blobs.s3 import S3Store
from modelkeep_server.blobs.s3_files import S3Files
from modelkeep_server.blobs.s3_place import S3Place

__all__ = [
    "BLOCK",
    "SHARDS",
    "BlobFiles",
    "BlobReader",
    "BlobStore",
    "Checksums",
    "LocalFiles",
    "LocalStore",
    "S3Files",
    "S3Place",
    "S3Store",
    "StagedBlob",
    "read_checked",
]
