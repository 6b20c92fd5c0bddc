"""Where bytes are: a port, its stores, and the checks between them and every reader."""

from modelkeep_server.blobs.backups import Backups, open_backups
from modelkeep_server.blobs.checked import Checksums, read_checked
from modelkeep_server.blobs.local import LocalStore
from modelkeep_server.blobs.local_files import SHARDS, LocalFiles
from modelkeep_server.blobs.opening import open_files, open_store
from modelkeep_server.blobs.port import (
    BLOCK,
    BlobFiles,
    BlobReader,
    BlobStore,
    StagedBlob,
    UploadLink,
)
from modelkeep_server.blobs.published import Published, open_published

__all__ = [
    "BLOCK",
    "SHARDS",
    "Backups",
    "BlobFiles",
    "BlobReader",
    "BlobStore",
    "Checksums",
    "LocalFiles",
    "LocalStore",
    "Published",
    "StagedBlob",
    "UploadLink",
    "open_backups",
    "open_files",
    "open_published",
    "open_store",
    "read_checked",
]
