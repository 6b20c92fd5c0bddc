"""Every setting: its type, its default, its flag, its variable and its key in the file.

A flag wins over the environment (`MODELKEEP_DATA`), that over the file (`data = "…"` in the TOML
that `--config` or `MODELKEEP_CONFIG` names), that over the default. A bad value stops the start,
and so does a name that is no setting. `docs/reference/configuration.md` is for people.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelkeep_server.values import postgres_url
from modelkeep_server.values.s3_place import FORM, SCHEME, S3Keys, S3Place

PREFIX = "MODELKEEP_"
CONFIG = "config"
CLIENT_VARIABLES = frozenset(
    {"MODELKEEP_URL", "MODELKEEP_TOKEN", "MODELKEEP_CACHE", "MODELKEEP_DEBUG"}
)
_OF_MOVES = re.compile(r"MODELKEEP_(?:BACKUP|FROM|TO)_[A-Z_]+")

# What Kubernetes sets in every container next to a service that is called modelkeep.
_KUBERNETES = re.compile(r"MODELKEEP_(?:[A-Z0-9_]+_)?(?:SERVICE|PORT)(?:_[A-Z0-9_]+)?")

Parse = Callable[[Any], Any]
"""Reads a value as the command line, the environment or TOML has it; `ValueError` says why not."""


class SettingError(Exception):
    """A setting is wrong; the text is one line that names it and says what it must be."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 is any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _path(value: Any) -> Path:
    return Path(_text(value)).expanduser()


def _address(value: Any) -> Address:
    host, colon, port = _text(value).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:50051")
    return Address(host, int(port))


def _database(value: Any) -> str | None:
    url = _text(value)
    if url == "sqlite":
        return None
    if not re.match(r"postgres(ql)?://", url):
        raise ValueError(f"must be sqlite, or {postgres_url.FORM}")
    return postgres_url.parse(url)


def _blobs(value: Any) -> S3Place | None:
    url = _text(value)
    if url == "local":
        return None
    if not url.startswith(f"{SCHEME}://"):
        raise ValueError(f"must be local, or {FORM}")
    return S3Place.parse(url)


def _checkpoints(value: Any) -> Path | S3Place | None:
    place = _text(value)
    if place == "off":
        return None
    return S3Place.parse(place) if place.startswith(f"{SCHEME}:") else _path(place)


def _address_or_off(value: Any) -> Address | None:
    return None if value == "off" else _address(value)


def _bool(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    known = words.get(str(value).lower())
    if known is None:
        raise ValueError("must be true or false")
    return known


def _between(lowest: float, highest: float, kind: Callable[[Any], Any]) -> Parse:
    def parse(value: Any) -> Any:
        try:
            number = kind(value)
        except (TypeError, ValueError):
            number = None
        if number is None or isinstance(value, bool) or not lowest <= number <= highest:
            name = "whole number" if kind is int else "number"
            raise ValueError(f"must be a {name} from {lowest:g} to {highest:g}")
        return number

    return parse


def _one_of(*words: str) -> Parse:
    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return parse


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is given.

    Attributes:
        parse: Reads its value.
        default: As it would be written.
        help: What it does, in a line.
        is_secret: Whether a value may have a password, and so is never shown.
    """

    parse: Parse
    default: str
    help: str
    is_secret: bool = False


SETTINGS = {
    "data": Setting(_path, "./modelkeep-data", "The data folder; made where it is new."),
    "database": Setting(
        _database,
        "sqlite",
        "sqlite, in the data folder, or postgresql://USER@HOST/DATABASE.",
        is_secret=True,
    ),
    "blobs": Setting(
        _blobs,
        "local",
        f"local, in the data folder, or {FORM}.",
        is_secret=True,
    ),
    "links": Setting(
        _one_of("auto", "off"), "auto", "Whether clients may reach an S3 store directly."
    ),
    "checkpoints": Setting(
        _checkpoints,
        "off",
        f"Where to put signed checkpoints of the log, each minute: a folder, {FORM}, or off.",
        is_secret=True,
    ),
    "workers": Setting(
        _between(1, 64, int), "1", "Processes that serve; more than one need Postgres."
    ),
    "listen": Setting(_address, "127.0.0.1:50051", "Where to serve gRPC."),
    "metrics_listen": Setting(
        _address_or_off, "127.0.0.1:50052", "Where to serve metrics to Prometheus, or off."
    ),
    "allow_open": Setting(
        _bool, "false", "Serve addresses off this machine without asking who calls."
    ),
    "log_format": Setting(
        _one_of("auto", "console", "json"), "auto", "auto is console on a terminal, else json."
    ),
    "log_level": Setting(
        _one_of("debug", "info", "warning", "error"), "info", "The least that is logged."
    ),
    "max_unary_calls": Setting(
        _between(1, 100_000, int), "256", "Calls of one answer under way at once."
    ),
    "max_uploads": Setting(_between(1, 1_000, int), "32", "Uploads under way at once."),
    "max_downloads": Setting(
        _between(1, 1_000, int), "32", "Downloads and other streamed answers under way at once."
    ),
    "max_watches": Setting(_between(1, 1_000_000, int), "10000", "Watches open at once."),
    "idle_timeout_seconds": Setting(
        _between(0.1, 3600, float), "60", "How long a stream may wait for its client."
    ),
    "drain_seconds": Setting(
        _between(0, 30, float), "30", "How long calls under way may take to end at a stop."
    ),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server was told; `given` names the settings that were not left to their default."""

    data: Path
    database: str | None = field(repr=False)
    blobs: S3Place | None
    links: str
    checkpoints: Path | S3Place | None
    workers: int
    listen: Address
    metrics_listen: Address | None
    allow_open: bool
    log_format: str
    log_level: str
    max_unary_calls: int
    max_uploads: int
    max_downloads: int
    max_watches: int
    idle_timeout_seconds: float
    drain_seconds: float
    given: frozenset[str]
    s3_keys: S3Keys | None


def load(flags: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from where they are given, or say in one line what is wrong."""
    variables = _variables(environment)
    sources: list[tuple[Mapping[str, Any], Callable[[str], str]]] = [
        (flags, lambda name: f"--{name.replace('_', '-')}"),
        (variables, lambda name: PREFIX + name.upper()),
    ]
    config = flags.get(CONFIG) or variables.get(CONFIG)
    if config:
        sources.append((_file(Path(config)), lambda name: f"{name} in {config}"))
    values: dict[str, Any] = {}
    for given, where in sources:
        for name, value in given.items():
            if name != CONFIG and name not in values:
                values[name] = parsed(name, value, where(name))
    defaults = {name: setting.parse(setting.default) for name, setting in SETTINGS.items()}
    settings = Settings(
        **(defaults | values), given=frozenset(values), s3_keys=S3Keys.of(environment)
    )
    if settings.workers > 1 and settings.database is None:
        raise SettingError(
            f"the setting workers is {settings.workers}; more than 1 share a database, and SQLite "
            "is for one process: name one of Postgres with --database"
        )
    return settings


def parsed(name: str, value: Any, where: str) -> Any:
    """Read one setting, or say that what was given at `where` is wrong."""
    try:
        return SETTINGS[name].parse(value)
    except ValueError as problem:
        shown = "wrong" if SETTINGS[name].is_secret else repr(value)
        raise SettingError(f"the setting {name} ({where}) is {shown}; it {problem}") from None


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable in CLIENT_VARIABLES:
            continue
        if _KUBERNETES.fullmatch(variable) or _OF_MOVES.fullmatch(variable):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in SETTINGS and name != CONFIG:
            raise SettingError(f"{variable} is no setting; `modelkeep serve --help` lists them")
        found[name] = value
    return found


def _file(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text())
    except OSError as problem:
        raise SettingError(
            f"can't read the configuration {path}: {problem.strerror}; --config and "
            "MODELKEEP_CONFIG name it"
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise SettingError(f"can't read the configuration {path}: {problem}") from None
    for name in found:
        if name not in SETTINGS:
            raise SettingError(f"{name!r} in {path} is no setting; see `modelkeep serve --help`")
    return found
