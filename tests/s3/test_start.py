"""What a server says of a store that it can't use, before it serves anybody."""

import sys
from pathlib import Path

import grpc
import pytest
from tests.parts.ports import free_port
from tests.parts.s3 import ENVIRONMENT
from tests.running import run_server
from tests.services.wire import Registry, digest

from modelkeep_server import app
from modelkeep_server.edge.logs import LineWriter, logger
from modelkeep_server.edge.metrics import Metrics
from modelkeep_server.settings import load
from modelkeep_server.values.s3_place import S3Place
from modelkeep_server.values.start import StartError

SECRET = "not-to-be-shown"


def _refusal(data: Path, blobs: str, **environment: str) -> str:
    """Start a server that can't, and answer why not."""
    settings = load({"data": str(data), "blobs": blobs}, ENVIRONMENT | environment)
    figures = Metrics("test")
    with pytest.raises(StartError) as refused:
        app.build(settings, logger(LineWriter(sys.stderr, print), "json", "info"), figures)
    assert SECRET not in str(refused.value)
    return str(refused.value)


def test_a_missing_bucket_is_named_and_not_made(tmp_path: Path, blobs: str) -> None:
    place = S3Place.parse(blobs)
    elsewhere = f"s3://not-there/x?endpoint={place.endpoint}&region={place.region}"

    for _ in range(2):
        said = _refusal(tmp_path / "data", elsewhere)
        assert said.startswith(f"the bucket not-there is missing at {place.endpoint};")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"),
    ],
)
def test_wrong_keys_are_told_and_never_shown(
    tmp_path: Path, blobs: str, name: str, code: str
) -> None:
    said = _refusal(tmp_path / "data", blobs, **{name: SECRET})

    assert f"refuses these keys for the bucket {S3Place.parse(blobs).bucket}: {code}" in said


def test_no_keys_are_told(tmp_path: Path, blobs: str) -> None:
    said = _refusal(tmp_path / "data", blobs, AWS_SECRET_ACCESS_KEY="")

    assert said.endswith("needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")


def test_an_endpoint_where_nobody_is_ends_the_start_at_once(tmp_path: Path) -> None:
    where = f"s3://modelkeep/x?endpoint=http://127.0.0.1:{free_port()}"

    told = _refusal(tmp_path / "data", where)
    assert "can't be used: it does not answer: " in told
    assert "Connection refused" in told


def test_another_place_than_the_records_mean_is_refused(tmp_path: Path, blobs: str) -> None:
    data = tmp_path / "data"
    with run_server(data, blobs=blobs) as server, grpc.insecure_channel(server.address) as channel:
        Registry(channel, "default").push_blobs(b"something")

    assert "has no blobs, and the records name some" in _refusal(
        data, blobs.replace("?", "-other?")
    )
    with run_server(data, blobs=blobs) as server, grpc.insecure_channel(server.address) as channel:
        assert Registry(channel, "default").missing(digest(b"something")) == {}
