"""Whose bytes: a blob counts where its bytes were sent to, and nowhere else."""

from collections.abc import Sequence

from modelkeep.names import NamespaceName
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.domain import namespaces
from modelkeep_server.records import blobs, staging
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.values.call import Call


def find_missing(
    records: Records, call: Call, parent: str, digests: list[str]
) -> list[pb.MissingBlob]:
    """Tell which blobs were not sent to `parent`, and how much of each this caller has sent."""
    session = records.read()
    check_parent(session, parent)
    wanted = list(dict.fromkeys(digests))
    held = present(records, parent, wanted)
    missing = []
    for digest in wanted:
        if digest not in held:
            part = staging.find(session, parent, call.principal, digest)
            missing.append(
                pb.MissingBlob(digest=digest, durable_size=part.durable_size if part else 0)
            )
    return missing


def present(records: Records, parent: str, digests: Sequence[str]) -> set[str]:
    """Tell which blobs were sent to `parent`, each safe from collection for half a grace time.

    What was said to be here stays long enough for whoever rests on that.
    """
    held = blobs.held(records.read(), parent, digests)
    soon = now_us() + blobs.GRACE_US // 2
    fading = [digest for digest, blob in held.items() if blob.grace_us < soon]
    if not fading:
        return set(held)

    def renew(tx: Session) -> set[str]:
        there = blobs.held(tx, parent, fading)
        blobs.renew(tx, there, now_us())
        return set(there)

    return held.keys() - set(fading) | records.bookkeep(renew)


def check_parent(session: Session, parent: str) -> None:
    """Refuse a parent whose namespace does not exist; its asset need not."""
    namespaces.get(
        session, NamespaceName.parse("/".join(parent.split("/")[:2]), "parent").namespace
    )
