"""What made a version: the code, the software, the machine, the command, the parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from modelkeep._handle import Handle


@dataclass(frozen=True, slots=True)
class CodeRevision(Handle):
    """A state of a code repository; `remote` without credentials."""

    revision: str
    remote: str = ""
    branch: str = ""
    dirty: bool = False  # whether there were changes that the commit doesn't have


@dataclass(frozen=True, slots=True)
class Package(Handle):
    """A package of an environment; `hashes` as `{algorithm}:{hex}`, where they are known."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment(Handle):
    """The software that the work ran on."""

    platform: str = ""
    runtime: str = ""
    packages: tuple[Package, ...] = ()


@dataclass(frozen=True, slots=True)
class Hardware(Handle):
    """The machine that the work ran on."""

    architecture: str = ""
    cpu_count: int = 0  # cores that the work could use
    memory: int = 0
    accelerators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe(Handle):
    """What made a version: enough to make it again."""

    code: CodeRevision | None = None
    environment: Environment | None = None
    hardware: Hardware | None = None
    command: tuple[str, ...] = ()
    seed: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    start_time: datetime | None = None
    end_time: datetime | None = None

    @classmethod
    def capture(
        cls, *, seed: int | None = None, parameters: Mapping[str, Any] | None = None
    ) -> Self:
        """Find out about this process, its machine and the repository of the current folder.

        What can't be found out within a second is left out; nothing raises. The command is
        without the values of options that are named like secrets. A `seed` that isn't given is
        the parameter `seed`, `random_seed` or `random_state`.
        """
        from modelkeep import _capture  # needs the classes above

        programs = _capture.Commands()
        parameters = parameters or {}
        return cls(
            environment=_capture.environment(),
            command=_capture.command(),
            seed=_capture.seed(parameters) if seed is None else seed,
            parameters=dict(parameters),
            code=programs.code(),
            hardware=_capture.hardware(programs.accelerators()),
        )
