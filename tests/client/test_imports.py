"""`import modelkeep` is cheap, and public is what it lists."""

import subprocess
import sys

import modelkeep


def _run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_importing_takes_little_time() -> None:
    code = "import time; t = time.process_time(); import modelkeep; print(time.process_time() - t)"

    assert min(float(_run(code)) for _ in range(3)) < 0.4


def test_importing_loads_nothing_heavy() -> None:
    code = """
import sys, modelkeep
modelkeep.Client
print(*(name for name in ("typer", "rich", "numpy", "modelkeep_server") if name in sys.modules))
"""

    assert _run(code).strip() == ""


def test_every_public_name_is_there() -> None:
    assert [name for name in modelkeep.__all__ if not hasattr(modelkeep, name)] == []
    assert set(modelkeep.__all__) <= set(dir(modelkeep))
    assert not hasattr(modelkeep, "nothing")


def test_every_error_is_public() -> None:
    errors = {cls.__name__ for cls in modelkeep.Error.__subclasses__()}

    assert errors <= set(modelkeep.__all__)
