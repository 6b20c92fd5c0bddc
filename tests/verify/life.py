"""A busy life of a registry: a bit of everything that a data folder can hold."""

import os
import uuid
from pathlib import Path

import grpc
from tests.running import run_server
from tests.services.wire import MIB, Registry, chunks, digest, header

from modelkeep.v1 import asset_pb2, asset_service_pb2, recipe_pb2, version_pb2
from modelkeep.v1 import version_service_pb2 as pb

WEIGHTS = b"weights" * 400_000
LATE = b"\7" * (20 * MIB)
KEPT_SIZE = 8 * MIB


def live(data: Path) -> None:
    """Run a server on a folder, do a bit of everything, and stop it."""
    with run_server(data) as server, grpc.insecure_channel(server.address) as channel:
        registry = Registry(channel, "default")
        make_versions(registry)
        change_versions(registry)
        leave_a_part(registry)


def make_versions(registry: Registry) -> None:
    registry.create("rows", {"rows.csv": b"1,2\n"}, kind=asset_pb2.ASSET_KIND_DATASET)
    rows = version_pb2.Input(version=registry.version(1, "rows"))
    registry.create(
        files={"model.bin": WEIGHTS, "sub/card.md": b"a model\n"},
        recipe=recipe_pb2.Recipe(command=["train", "--deep"]),
        inputs=[rows],
        aliases=["production", "champion"],
        request_id=str(uuid.uuid4()),
    )
    for _ in range(4):
        registry.create()
    registry.versions.RestoreVersion(
        pb.RestoreVersionRequest(name=registry.version(1)), metadata=registry.metadata
    )
    registry.create("gone")


def change_versions(registry: Registry) -> None:
    registry.set_alias("production", 2)
    registry.set_alias("old", 2)
    registry.remove_alias("old")
    for number in (3, 4, 5):
        registry.delete(number)
    registry.undelete(4)
    registry.versions.PurgeVersion(
        pb.PurgeVersionRequest(name=registry.version(5), reason="it held a name"),
        metadata=registry.metadata,
    )
    rows = version_pb2.Input(version=registry.version(1, "rows"))
    registry.evaluate(1, metrics={"auc": 0.93}, data_set=rows)
    registry.evaluate(1, metrics={"auc": 0.91}, note="a month later")
    registry.assets.DeleteAsset(
        asset_service_pb2.DeleteAssetRequest(name=registry.asset("gone")),
        metadata=registry.metadata,
    )


def leave_a_part(registry: Registry) -> None:
    """Break an upload off when something of it is durable."""
    upload = registry.stream()
    upload.send(header(registry.name, digest(LATE), len(LATE)), *chunks(LATE[: 17 * MIB]))
    while upload.answer().durable_size < KEPT_SIZE:
        pass
    upload.cancel()


def blob_file(data: Path, content: bytes) -> Path:
    """Find where a blob's bytes are."""
    return next(
        path
        for path in (data / "blobs").glob("*/*")
        if os.stat(path).st_size == len(content) and path.read_bytes() == content
    )


NAMESPACE = "namespaces/default"
ASSET = f"{NAMESPACE}/assets/churn"
IS_ASSET = f"resource = '{ASSET}'"
_OURS = f"asset_id = (SELECT id FROM asset WHERE {IS_ASSET})"


def is_version(number: int) -> str:
    """Say in SQL which version is meant."""
    return f"number = {number} AND {_OURS}"


def is_alias(name: str) -> str:
    """Say in SQL which alias is meant."""
    return f"name = '{name}' AND {_OURS}"
