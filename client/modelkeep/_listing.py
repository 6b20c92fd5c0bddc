"""What files a version has: as the server lists them, and as its digest proves."""

import contextlib
from collections.abc import Iterator

from modelkeep import _convert
from modelkeep._cache import Cache
from modelkeep._client_base import pages
from modelkeep._manifest import digest_of, manifest_entries, manifest_text
from modelkeep._types import File, Version
from modelkeep._wire import Wire
from modelkeep.errors import DataLossError
from modelkeep.v1 import version_service_pb2 as pb


def list_files(wire: Wire, version: str, prefix: str = "") -> Iterator[File]:
    """List files by path; pages are fetched as you go."""

    def fetch(token: str) -> tuple[list[File], str]:
        request = pb.ListFilesRequest(
            parent=version, page_size=10_000, page_token=token, path_prefix=prefix
        )
        page = wire.call(wire.versions.ListFiles, request)
        return [_convert.file(item) for item in page.files], page.next_page_token

    return pages(fetch)


def read_manifest(wire: Wire, cache: Cache, version: Version) -> tuple[str, dict[str, int]]:
    """Give the manifest, checked by the version's digest, and the sizes of blobs if it was listed.

    It's a blob of the cache too.
    """
    if (kept := cache.blobs.read(version.digest)) is not None:
        return kept.decode(), {}
    files = list(checked_files(wire, version))
    text = manifest_text((file.path, file.digest) for file in files)
    if digest_of(text.encode()) != version.digest:
        raise not_what_it_says(version)
    for _ in manifest_entries(text):
        pass  # each line is checked before anyone shows it or makes it a place on this disk
    with contextlib.suppress(OSError):  # a cache that can't be written is no hindrance
        cache.make()
        cache.blobs.add(version.digest, text.encode())
    return text, {file.digest: file.size for file in files}


def checked_files(wire: Wire, version: Version, prefix: str = "") -> Iterator[File]:
    """List files as `list_files` does, as long as their number and sizes can be the version's.

    Sizes are in no digest, and room is made for them before a byte has come.
    """
    size = 0
    for count, file in enumerate(list_files(wire, version.name, prefix), 1):
        size += file.size
        if file.size < 0 or count > version.file_count or size > version.size:
            raise not_what_it_says(version)
        yield file


def not_what_it_says(version: Version) -> DataLossError:
    """Give the error for a list of files that isn't the version's."""
    return DataLossError(
        "BLOB_DAMAGED",
        f"the files that the registry lists for {version.name} aren't those of {version.digest}",
        digest=version.digest,
    )
