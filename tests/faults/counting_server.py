"""modelkeep's server, with a count of the bytes of large uploads that outlives its being killed."""

import mmap
from collections.abc import Iterator
from pathlib import Path

from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server import __main__ as program
from modelkeep_server.domain.uploads import Upload

_WIDTH = 8


def serve(data: Path, counter: Path, *flags: str) -> int:
    """Serve, and add what chunks bring to the number in `counter`, a file."""
    with counter.open("r+b") as file:
        seen = mmap.mmap(file.fileno(), _WIDTH)
    take = Upload.add

    def counted(upload: Upload, chunk: bytes) -> Iterator[pb.BlobProgress]:
        seen[:] = (int.from_bytes(seen[:]) + len(chunk)).to_bytes(_WIDTH)
        return take(upload, chunk)

    Upload.add = counted  # type: ignore[assignment, method-assign]  # for this process
    return program.main([*flags, "--data", str(data)])


def start_counting(counter: Path) -> None:
    """Begin at zero."""
    counter.write_bytes(bytes(_WIDTH))


def count(counter: Path) -> int:
    """Tell how many bytes the servers of this counter have seen."""
    return int.from_bytes(counter.read_bytes())
