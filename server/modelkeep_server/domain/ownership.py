"""Whose a store is: one registry's, which alone may write there.

What no row names is garbage to a registry, so one that is pointed at another's store would in time
delete all of it. So a registry says in a store that it is its own before it writes anything there,
and nobody uses a store that says something else. Where the records and the bytes are in one data
folder that is plain anyway.
"""

from modelkeep_server.blobs import BlobFiles, BlobStore
from modelkeep_server.records import blobs, settings
from modelkeep_server.records.sql import Session
from modelkeep_server.values.findings import CantTellError
from modelkeep_server.values.moves import MoveError
from modelkeep_server.values.start import StartError


def claim(mine: str, session: Session, store: BlobStore, name: str) -> None:
    """Make a new store this registry's, or refuse another's."""
    may_be_ours = store.files.is_empty() or _has_ours(session, store.files)
    # Looked for last: another server of this registry may just have come.
    there = store.files.owner()
    if there is None and may_be_ours:
        there = store.claim(mine)
    if there != mine:
        raise StartError(
            f"{name} is the store of another registry, or of something else; see that --database "
            "and --blobs go together, or give a new, empty place"
        )


def claim_for_copy(mine: str, store: BlobStore, name: str) -> None:
    """Make a store that something is to be copied into its own, or refuse one that is not empty."""
    check_for_copy(mine, store.files, name)
    if store.claim(mine) != mine:
        raise _not_empty(name)


def check_for_copy(mine: str, files: BlobFiles, name: str) -> None:
    """Refuse to begin a copy in a store that is not empty, or another's."""
    if not files.is_empty() or files.owner() not in (None, mine):
        raise _not_empty(name)


def check(session: Session, files: BlobFiles, name: str) -> None:
    """Refuse to look for a registry's bytes in another's store, or where it has none."""
    mine = settings.known_registry_id(session)
    if mine is None or files.owner() == mine or _has_ours(session, files):
        return
    if blobs.any_key(session) is not None or files.owner() is not None:
        raise CantTellError(
            f"{name} is not the store of this registry: see that --database and --blobs go "
            "together; where they do, its blobs are gone: restore a backup"
        )


def _not_empty(name: str) -> MoveError:
    return MoveError(
        f"{name} is not empty, or another registry's (`registry` there says so); give a new place"
    )


def _has_ours(session: Session, files: BlobFiles) -> bool:
    """Tell whether a blob of these records is there."""
    key = blobs.any_key(session)
    return key is not None and key in files.published(key[:2])
