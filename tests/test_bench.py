"""The bench measures modelkeep as it is: a folder that it filled is like any other."""

from pathlib import Path

from bench import fill, servers
from bench.wire import Work
from tests.verified import verify

from modelkeep.v1 import version_service_pb2 as pb


def test_a_folder_that_was_filled_is_whole_and_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with servers.modelkeep(data) as server, Work(server.address) as work:
        request = work.create_small("many")

    fill.fill(data, request, 200)

    code, report = verify(data)
    assert code == 0, report
    with servers.modelkeep(data) as server, Work(server.address) as work:
        name = f"{request.parent}/versions/latest"
        assert work.versions.GetVersion(pb.GetVersionRequest(name=name)).number == 201
        assert work.versions.CreateVersion(request).number == 202
