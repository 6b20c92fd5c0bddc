"""Shows that the tests of faults can fail: each mutant is a fault, and its test must see it.

A mutant is `tests/mutants/NAME.patch`: a line `What: …`, a line `Caught by: …` (pytest's name of a
test, or several, one a line), an empty line, and a diff of the product. Each is applied to a copy
of the tree, never to the tree.

    python -m tools.mutants [NAME…] [--check]

`--check` only looks whether they still apply. Exit code 1: one does not apply, or was not caught:
a test that could not run (`ERRORS`: a fixture failed, or pytest itself) has caught nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATCHES = ROOT / "tests" / "mutants"
COPIED = ("client", "server", "tests", "tools", "bench", "proto", "pyproject.toml", "docs")
PASSED, FAILED, ERRORS = "passed", "failed", "errors"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault, and the tests that must see it."""

    name: str
    what: str
    caught_by: list[str]
    patch: Path


def mutants() -> list[Mutant]:
    """List them all."""
    return [_read(path) for path in sorted(PATCHES.glob("*.patch"))]


def applies(mutant: Mutant) -> bool:
    """Tell whether its lines are still those of the product."""
    command = ["git", "apply", "--check", str(mutant.patch)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


def verdict_of(mutant: Mutant) -> str:
    """Try a mutant: its tests must pass on a copy of the tree, and fail once that has it."""
    anyway = _outcome_without(tuple(mutant.caught_by))
    if anyway != PASSED:
        return "ERRORS" if anyway == ERRORS else "FAILS ANYWAY"
    with _tree() as tree:
        subprocess.run(["git", "apply", str(mutant.patch)], cwd=tree, check=True)
        outcomes = [outcome_of(tree, [test]) for test in mutant.caught_by]
        if ERRORS in outcomes:
            return "ERRORS"
        return "SURVIVED" if PASSED in outcomes else "caught"


@cache
def _outcome_without(tests: tuple[str, ...]) -> str:
    """Run tests without any mutant: once, however many mutants name them."""
    with _tree() as tree:
        return outcome_of(tree, list(tests))


def outcome_of(tree: Path, tests: list[str]) -> str:
    """Run tests in a tree: one `FAILED`, all `PASSED`, or there were only `ERRORS`."""
    run = _run(tree, tests)
    if run.returncode == pytest.ExitCode.OK:
        return PASSED
    lines = run.stdout.splitlines() or [""]
    if run.returncode == pytest.ExitCode.TESTS_FAILED and re.search(r"\d+ failed", lines[-1]):
        return FAILED
    print(run.stdout[-2000:], run.stderr[-2000:], sep="\n")
    return ERRORS


def main() -> int:
    """Try the mutants that were asked for, and print a line for each."""
    names = [name for name in sys.argv[1:] if not name.startswith("-")]
    only_check = "--check" in sys.argv[1:]
    known = mutants()
    if unknown := set(names) - {mutant.name for mutant in known}:
        print(f"no such mutant: {', '.join(sorted(unknown))}; tests/mutants/ has them all")
        return 1
    chosen = [mutant for mutant in known if not names or mutant.name in names]
    survivors = 0
    for mutant in chosen:
        started = time.monotonic()
        verdict = "doesn't apply"
        if applies(mutant):
            verdict = "applies" if only_check else verdict_of(mutant)
        survivors += verdict not in ("applies", "caught")
        seconds = time.monotonic() - started
        print(f"{verdict:<14}{seconds:>5.0f} s  {mutant.name}: {mutant.what}", flush=True)
        for test in mutant.caught_by:
            print(f"{'':<23}{test}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants {_did(only_check)}")
    return 1 if survivors else 0


def _did(only_check: bool) -> str:
    return "apply" if only_check else "caught"


def _read(path: Path) -> Mutant:
    what, caught_by = "", []
    for line in path.read_text().splitlines():
        key, _, value = line.partition(": ")
        if not line:
            break
        if key == "What":
            what = value
        elif key == "Caught by":
            caught_by.append(value)
    return Mutant(path.stem, what, caught_by, path)


@contextmanager
def _tree() -> Iterator[Path]:
    """Make a copy of the tree, to be changed."""
    with tempfile.TemporaryDirectory(prefix="modelkeep-mutant-") as folder:
        for name in COPIED:
            _copy(ROOT / name, Path(folder) / name)
        yield Path(folder)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "results")
        shutil.copytree(source, target, ignore=ignored)
    else:
        shutil.copy(source, target)


def _run(tree: Path, tests: list[str]) -> "subprocess.CompletedProcess[str]":
    paths = [str(tree), str(tree / "client"), str(tree / "server")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    sys.exit(main())
