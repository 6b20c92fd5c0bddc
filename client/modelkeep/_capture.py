"""What a recipe can find out by itself: quick, and silent where it can't.

Nothing secret is kept: addresses lose their credentials, and the command loses the values of
options that are named like secrets.
"""

import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelkeep._recipe import CodeRevision, Environment, Hardware, Package

_WAIT_SECONDS = 1.0
_MAX_ARGUMENTS = 1000
_MAX_BYTES = 8192
_HIDDEN = "[hidden]"
_SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:tokens?|secrets?|password|passwd|pwd|passphrase|api-?key|key|auth|bearer"
    r"|credentials?)$"
)
_SECRET_VALUE = re.compile(r"(?:gh[pousr]_|github_pat_|hf_|sk-|xox[abp]-|AKIA|eyJ)[\w.-]{12,}")
_LOGIN = re.compile(r"(?<=://)[^/@\s]*@")
_DISTRIBUTION = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py[0-9.]+)?\.(?:dist|egg)-info")
_SEEDS = ("seed", "random_seed", "random_state")


class Commands:
    """Other programs, started together, so that the slowest alone is waited for."""

    def __init__(self) -> None:
        git = ("git", "-c", "core.fsmonitor=false")
        self._status = _start(*git, "status", "--porcelain=v2", "--branch")
        self._remote = _start(*git, "config", "--get", "remote.origin.url")
        self._graphics = _start("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")

    def code(self) -> CodeRevision | None:
        """Tell the state of the repository that the current folder is in."""
        lines = (_output(self._status) or "").splitlines()
        heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
        remote = (_output(self._remote) or "").strip()
        revision = heads.get("branch.oid", "")
        if not re.fullmatch("[0-9a-f]{40,64}", revision):
            return None
        branch = heads.get("branch.head", "")
        return CodeRevision(
            revision=revision,
            remote=_LOGIN.sub("", remote.partition("?")[0]),
            branch="" if branch == "(detached)" else branch,
            dirty=len(lines) > len(heads),
        )

    def accelerators(self) -> tuple[str, ...]:
        """Tell the names of NVIDIA's devices."""
        return tuple(line.strip() for line in (_output(self._graphics) or "").splitlines())


def _start(*command: str) -> "subprocess.Popen[str] | None":
    program = shutil.which(command[0])
    if program is None:
        return None
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.Popen(  # noqa: S603  # fixed commands
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env=environment,
        )
    except OSError:
        return None


def _output(process: "subprocess.Popen[str] | None") -> str | None:
    if process is None:
        return None
    try:
        output, _ = process.communicate(timeout=_WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return output if process.returncode == 0 else None


def environment() -> Environment:
    """Tell the operating system, the interpreter and all packages that it can import."""
    return Environment(
        platform=platform.platform(),
        runtime=f"{platform.python_implementation()} {platform.python_version()}",
        packages=tuple(sorted(_packages(), key=lambda package: package.name)),
    )


def _packages() -> Iterator[Package]:
    """Read names and versions off the folders' names: to read 300 METADATA files takes too long."""
    seen = set()
    for folder in sys.path:
        with contextlib.suppress(OSError):
            for entry in os.listdir(folder or "."):
                if match := _DISTRIBUTION.fullmatch(entry):
                    name = re.sub(r"[-_.]+", "-", match["name"]).lower()
                    if name not in seen:  # the first on the path is the one that's imported
                        seen.add(name)
                        hashes = _hashes(os.path.join(folder, entry, "direct_url.json"))
                        yield Package(name, match["version"], hashes)


def _hashes(path: str) -> tuple[str, ...]:
    """Give the hashes of the archive that a package was installed from, where pip noted them.

    It does so for what was installed from an address or a file (PEP 610); packages of an index
    leave no hash behind.
    """
    try:
        with open(path, encoding="utf-8") as file:
            hashes = json.load(file)["archive_info"]["hashes"]
        return tuple(sorted(f"{algorithm}:{value}" for algorithm, value in hashes.items()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def hardware(accelerators: tuple[str, ...]) -> Hardware:
    """Tell what this machine has, and how much of its processor this process may use."""
    return Hardware(
        architecture=platform.machine(),
        cpu_count=_cpu_count(),
        memory=_memory(),
        accelerators=accelerators,
    )


def _cpu_count() -> int:
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 0
    with contextlib.suppress(OSError, ValueError):  # a container's share
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def command(arguments: Sequence[str] | None = None) -> tuple[str, ...]:
    """Give the command of this process, without secrets."""
    given = sys.orig_argv if arguments is None else arguments
    return tuple(_fitting(text) for text in list(_without_secrets(given))[:_MAX_ARGUMENTS])


def _without_secrets(arguments: Iterable[str]) -> Iterator[str]:
    hide_next = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        secret = bool(_SECRET_NAME.search(name.lower().lstrip("-").replace("_", "-")))
        if hide_next and not argument.startswith("--"):
            yield _HIDDEN
            hide_next = False
            continue
        hide_next = secret and not equals and argument.startswith("-")
        text = f"{name}={_HIDDEN}" if secret and equals else argument
        yield _LOGIN.sub("", _SECRET_VALUE.sub(_HIDDEN, text))


def _fitting(text: str) -> str:
    """Make it UTF-8 without control characters, of at most 8 KiB."""
    printable = "".join(
        char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text
    )
    return printable.encode()[:_MAX_BYTES].decode(errors="ignore")


def seed(parameters: Mapping[str, Any]) -> int | None:
    """Give the seed that is among the parameters, if there's one."""
    found = (parameters.get(name) for name in _SEEDS)
    return next((value for value in found if type(value) is int), None)
