"""Many versions at once, for the rows that ask how cost grows with their number.

Each is made by the server's own `domain.versions.create`, under its rules and with its event, so
the rows are the server's own. Only the commits differ: thousands of versions share one, where a
server commits at most 64 at once, and answers their callers.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from modelkeep.v1 import version_service_pb2 as pb
from modelkeep_server.domain import versions
from modelkeep_server.records.folder import DataFolder
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.sqlite import SqliteDatabaseFile
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import Answer, Call

BATCH = 5_000
METHOD = "modelkeep.v1.VersionService/CreateVersion"
CREATE = Call("principals/bench", "bench", METHOD, "", b"", 0)


class Bulk(Records):
    """Records whose changes are made in a transaction that is open already."""

    session: Session | None = None

    def change(
        self, call: Call, act: str, work: Callable[[Transaction], bytes], *, reason: str = ""
    ) -> Answer:
        """Make one change and its event, without a commit of its own."""
        assert self.session is not None
        return self._attempt(self.session, call, act, work, reason)[0]


def fill(data: Path, request: pb.CreateVersionRequest, count: int) -> None:
    """Make versions like `request` in a data folder whose server does not run."""
    with opened(data) as records:

        def batch(size: int, session: Session) -> None:
            records.session = session
            for _ in range(size):
                versions.create(records, CREATE, request)

        for start in range(0, count, BATCH):
            records.bookkeep(partial(batch, min(BATCH, count - start)))


@contextmanager
def opened(data: Path) -> Iterator[Bulk]:
    """Open the records of a data folder whose server does not run."""

    def failed(why: str) -> None:
        raise RuntimeError(why)

    with (
        closing(DataFolder(data)) as folder,
        closing(SqliteDatabaseFile(folder.database, failed)) as database,
    ):
        yield Bulk(database)
