"""Small files that are written once: whole, durable, and never another in their place."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.parts.s3 import ENVIRONMENT

from modelkeep.errors import DataLossError
from modelkeep_server.blobs import Published, open_published
from modelkeep_server.values.s3_place import S3Keys, S3Place
from modelkeep_server.values.start import StartError

Places = Callable[[], Published]


@pytest.fixture(
    params=["folder", "seaweed_blobs", pytest.param("minio_blobs", marks=pytest.mark.minio)]
)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    """Opens one place, as each replica does."""
    if request.param == "folder":
        return lambda: open_published(tmp_path / "kept", None)
    make: Callable[[], str] = request.getfixturevalue(request.param)
    place = S3Place.parse(make())
    return lambda: open_published(place, S3Keys.of(ENVIRONMENT))


def test_a_file_is_written_once_and_again_does_no_harm(places: Places) -> None:
    for place in (places(), places()):
        place.put("log/000001", b"one")
        place.put("log/000002", b"two")


def test_another_file_never_takes_its_place(places: Places) -> None:
    places().put("log/000001", b"one")

    for other in (b"two", b"", b"one and more"):
        with pytest.raises(DataLossError) as refused:
            places().put("log/000001", other)
        assert refused.value.reason == "CHECKPOINT_DIFFERS"
    places().put("log/000001", b"one")


def test_replicas_that_write_at_once_agree(places: Places) -> None:
    with ThreadPoolExecutor(8) as threads:
        for number in range(10):
            name = f"log/{number}"
            writes = [threads.submit(places().put, name, b"%d" % number) for _ in range(8)]
            assert [write.result() for write in writes] == [None] * 8


def test_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    place = open_published(tmp_path, None)
    place.put("log/000001", b"one")
    with pytest.raises(DataLossError):
        place.put("log/000001", b"two")

    (file,) = (tmp_path / "log").iterdir()
    assert (file.name, file.read_bytes()) == ("000001", b"one")


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="can't be put into"):
        open_published(tmp_path / "file" / "kept", None)
