"""`make bench`: measure, print the table, write it as JSON, and fail where an aim is missed."""

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import apsw
import grpc

from bench import bounds, servers, work
from bench.bounds import MIB

RESULTS = Path(__file__).with_name("results")
SHM = Path("/dev/shm")  # memory, to measure without the disk


@dataclass(frozen=True, slots=True)
class Row:
    """A figure over its bound, by rounds; `aim` is what the ratio's median should reach."""

    what: str
    of: str
    unit: str
    aim: float
    values: list[float]
    bounds: list[float]

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round."""
        return [value / bound for value, bound in zip(self.values, self.bounds, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)

    @property
    def missed(self) -> bool:
        """Whether even the best round is below the aim."""
        return max(self.ratios) < self.aim


def main() -> int:
    """Run the rounds, tell the result, and answer the exit code."""
    quick = os.environ.get("QUICK") == "1"
    rounds, size = (2, 64) if quick else (7, 512)
    rows = measure(rounds, size)
    tell(rows)
    write(rows, quick)
    return 0 if quick or not any(row.missed for row in rows) else 1


def measure(rounds: int, size_mib: int) -> list[Row]:
    """Measure every figure and its bound in turns, so that both meet the same machine."""
    values: dict[str, list[float]] = defaultdict(list)
    limits: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as parts:
        disk = Path(parts.enter_context(tempfile.TemporaryDirectory(dir=".", prefix=".bench-")))
        shm = SHM if SHM.is_dir() else disk
        memory = Path(parts.enter_context(tempfile.TemporaryDirectory(dir=shm)))
        kept = parts.enter_context(servers.modelkeep(disk / "data"))
        cached = parts.enter_context(servers.modelkeep(memory / "data"))
        bare = parts.enter_context(servers.bare())
        time.sleep(1)
        values["ready"].append(1 / kept.ready_seconds)
        values["rest"].append(1 / servers.memory_mib(kept.pid))
        client, cached_client = work.Work(kept.address), work.Work(cached.address)
        parts.callback(client.close)
        parts.callback(cached_client.close)
        for number, data in enumerate(_payloads(rounds, size_mib)):
            values["upload cached"].append(cached_client.upload_rate(data))
            limits["upload cached"].append(bounds.sha256_rate(data))
            values["upload durable"].append(client.upload_rate(data))
            limits["upload durable"].append(bounds.direct_write_rate(disk, size_mib))
            asset = f"round-{number}"
            request = client.create(asset, data)
            values["download"].append(client.download_rate(asset))
            limits["download"].append(work.bare_stream_rate(bare.address, size_mib))
            blobs = [os.urandom(64 * 1024) for _ in range(1_000)]
            values["packed"].append(client.pack_rate(blobs))
            limits["packed"].append(bounds.local_files_rate(disk / "files", blobs))
            values["get"].append(work.get_rate(kept.address, asset, 3_000))
            limits["get"].append(work.empty_rate(bare.address, 3_000, in_flight=16))
            values["create"].append(work.create_rate(kept.address, request, 2_000))
            limits["create"].append(work.empty_rate(bare.address, 2_000, in_flight=64))
    return [
        _row(values, limits, "upload cached", "one core's sha256 rate", "MiB/s", 0.45),
        _row(values, limits, "upload durable", "O_DIRECT write rate", "MiB/s", 0.32),
        _row(values, limits, "download", "a bare stream", "MiB/s", 0.85),
        _row(values, limits, "packed", "hash, write, fsync, rename here", "files/s", 0.75),
        _row(values, limits, "get", "an empty rpc", "calls/s", 0.80),
        _row(values, limits, "create", "an empty rpc", "calls/s", 0.40),
        Row("ready after start", "within 1 s", "1/s", 1, values["ready"], [1]),
        Row("memory at rest", "within 120 MiB", "1/MiB", 1, values["rest"], [1 / 120]),
    ]


def tell(rows: list[Row]) -> None:
    """Print the table."""
    print(f"{'what':<20}{'of':<34}{'ratio':>7}{'spread':>14}{'aim':>7}   median")
    for row in rows:
        spread = f"{min(row.ratios):.2f}–{max(row.ratios):.2f}"
        mark = "  missed" if row.missed else ""
        median = statistics.median(row.values)
        print(
            f"{row.what:<20}{row.of:<34}{row.ratio:>7.2f}{spread:>14}{row.aim:>7.2f}"
            f"   {median:,.4g} {row.unit}{mark}"
        )


def write(rows: list[Row], quick: bool) -> None:
    """Keep the figures as JSON, with the machine and the versions."""
    RESULTS.mkdir(exist_ok=True)
    report = {
        "quick": quick,
        "machine": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "versions": {
            "python": platform.python_version(),
            "grpcio": grpc.__version__,
            "sqlite": apsw.sqlite_lib_version(),
        },
        "rows": [asdict(row) | {"ratio": row.ratio} for row in rows],
    }
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    path.write_text(json.dumps(report, indent=1))
    print(f"written to {path.relative_to(Path.cwd())}")


def _payloads(rounds: int, size_mib: int) -> Iterator[bytes]:
    for _ in range(rounds):
        yield os.urandom(size_mib * MIB)


def _row(
    values: dict[str, list[float]],
    limits: dict[str, list[float]],
    what: str,
    of: str,
    unit: str,
    aim: float,
) -> Row:
    return Row(what, of, unit, aim, values[what], limits[what])


if __name__ == "__main__":
    sys.exit(main())
