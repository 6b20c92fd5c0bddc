"""Manifests are what their texts say.

* A manifest's blob is there, under the manifest's own digest, unless it was released.
* Its rows are as many as were checked, and have together the size that was counted; a sealed one
  has all of them.
* Read, its rows are the lines of its text, as far as they were checked.
* Or, without its bytes: its rows, written as a text, have its digest.
"""

from collections import Counter
from collections.abc import Generator, Iterator
from itertools import zip_longest

from modelkeep.errors import DataLossError, InvalidArgumentError
from modelkeep_server.blobs import BlobReader, read_checked
from modelkeep_server.domain import manifest_text
from modelkeep_server.records import survey
from modelkeep_server.records.sql import Session
from modelkeep_server.records.survey import StoredManifest
from modelkeep_server.values.findings import Damage
from modelkeep_server.values.stored_blob import StoredBlob
from modelkeep_server.values.subset import Subset


def check(
    session: Session, store: BlobReader, read_data: bool, checked: Counter[str], subset: Subset
) -> Iterator[Damage]:
    """Check a subset of the manifests, sealed or not."""
    for _, found in each(session, store, read_data, checked, subset):
        yield from found


def each(
    session: Session,
    store: BlobReader,
    read_data: bool,
    checked: Counter[str],
    subset: Subset,
    after: int = survey.BEFORE_ALL,
) -> Generator[tuple[int, Iterator[Damage]], None, None]:
    """Check those behind a row, one by one: yields each one's row, and what is found when asked."""
    for manifest in survey.manifests(session, after):
        if not subset.has(manifest.digest):
            continue
        checked["manifests"] += 1
        yield manifest.id, _manifest(session, store, manifest, read_data)


def check_rows(session: Session) -> Iterator[Damage]:
    """Check by their rows alone that the files of manifests are what their digests bind."""
    for manifest in survey.manifests(session, survey.BEFORE_ALL):
        for text in _rows(session, manifest):
            yield Damage("manifest", manifest.digest, f"under {manifest.scope}: {text}")
        if manifest.sealed:
            found = manifest_text.digest(survey.lines(session, manifest.id))
            if found != manifest.digest:
                text = f"under {manifest.scope}: its files are those of {found}"
                yield Damage("manifest", manifest.digest, text)


def _manifest(
    session: Session, store: BlobReader, manifest: StoredManifest, read_data: bool
) -> Iterator[Damage]:
    for text in _faults(session, store, manifest, read_data):
        yield Damage("manifest", manifest.digest, f"under {manifest.scope}: {text}")


def _faults(
    session: Session, store: BlobReader, manifest: StoredManifest, read_data: bool
) -> Iterator[str]:
    yield from _rows(session, manifest)
    if read_data and manifest.blob is not None and manifest.blob.digest == manifest.digest:
        yield from _text(session, store, manifest, manifest.blob)


def _rows(session: Session, manifest: StoredManifest) -> Iterator[str]:
    count, size = survey.totals(session, manifest.id)
    if count != manifest.checked_files:
        yield f"has {count} files, not {manifest.checked_files}"
    if size != manifest.size:
        yield f"its files have {size} bytes, not {manifest.size}"
    if manifest.sealed != (manifest.checked_files == manifest.file_count):
        state = "sealed" if manifest.sealed else "not sealed"
        yield f"is {state} with {manifest.checked_files} of {manifest.file_count} files checked"
    if manifest.blob is None:
        # One that was released has none.
        if manifest.sealed or manifest.checked_files:
            yield "its blob is not there"
    elif manifest.blob.digest != manifest.digest:
        yield f"its blob is {manifest.blob.digest}"


def _text(
    session: Session, store: BlobReader, manifest: StoredManifest, blob: StoredBlob
) -> Iterator[str]:
    try:
        yield from _lines(session, store, manifest, blob)
    except InvalidArgumentError as error:
        yield f"its text is none of a manifest: {error}"
    except (DataLossError, OSError):
        yield "its text can't be read"


def _lines(
    session: Session, store: BlobReader, manifest: StoredManifest, blob: StoredBlob
) -> Iterator[str]:
    """Compare the text with the rows, line by line."""
    rows = survey.lines(session, manifest.id)
    count = 0
    for line, row in zip_longest(manifest_text.read(read_checked(store, blob, 0, blob.size)), rows):
        count += line is not None
        told = (line.digest, line.path) if line is not None else None
        if told != row and (row is not None or count <= manifest.checked_files):
            yield f"line {count} of its text is not its file {count}"
            return
    if count != manifest.file_count:
        yield f"its text has {count} lines, not {manifest.file_count}"
