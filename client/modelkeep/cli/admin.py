"""`modelkeep admin verify`: is what is stored whole?"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from modelkeep import Finding
from modelkeep.cli import output, problems
from modelkeep.cli.extras import need_server
from modelkeep.cli.problems import UsageError
from modelkeep.cli.session import Json, Session, flag
from modelkeep.errors import Error

if TYPE_CHECKING:
    from modelkeep.checkpoints import Checkpoint
    from modelkeep_server.offline import Damage, Orphan, Subset
    from modelkeep_server.offline import Finding as Found
    from modelkeep_server.values.place import Place

_COMMAND = "modelkeep admin verify"
_SHOWN = 100
_MOST = 10_000  # of a kind: memory stays bounded, however much is wrong

CLEAN = 0
ORPHANS = 1
DAMAGE = 2
CANT_TELL = 3


def verify(
    session: Session,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="DIR",
            envvar="MODELKEEP_DATA",
            show_envvar=False,
            help="The data folder. By default MODELKEEP_DATA, or ./modelkeep-data.",
        ),
    ] = "modelkeep-data",
    database: Annotated[
        str,
        typer.Option(
            "--database",
            metavar="URL",
            envvar="MODELKEEP_DATABASE",
            show_envvar=False,
            help="The database. By default MODELKEEP_DATABASE, or sqlite: in the data folder.",
        ),
    ] = "sqlite",
    blobs: Annotated[
        str,
        typer.Option(
            "--blobs",
            metavar="URL",
            envvar="MODELKEEP_BLOBS",
            show_envvar=False,
            help="The store of the bytes. By default MODELKEEP_BLOBS, or local: in the data "
            "folder.",
        ),
    ] = "local",
    backup: Annotated[
        str | None,
        typer.Option(
            "--backup",
            metavar="SOURCE",
            help="Check a backup instead: the place that was given to backup, for its latest, or "
            "one of its backups.",
        ),
    ] = None,
    read_data: Annotated[
        bool, flag("--read-data", help="Read every stored byte too, and check it.")
    ] = False,
    subset: Annotated[
        str,
        typer.Option(
            "--subset",
            metavar="N/T",
            help="Check the N-th of T shares of the blobs and the versions, such as 2/7 on the "
            "second of seven nights.",
        ),
    ] = "1/1",
    server: Annotated[
        bool,
        flag("--server", help="Have the server at --url check itself, beside whatever it does."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that a registry is whole: a stopped server's folder, Postgres, a backup, or a server.

    A server with a database of its own must be stopped, and nothing of its folder is changed; with
    Postgres servers may go on meanwhile, and with --server any server checks itself. Exit codes:
    0, it is whole; 1, it is, and bytes lie in the folder that nothing refers to, which is harmless;
    2, something is damaged; 3, it can't be told, since a server is running on the folder, it is no
    data folder, or another modelkeep's, or with --server since it can't be reached or was told to
    end the check. A wrong command line is 2 as well, with no report.
    """
    if server:
        if backup is not None:
            raise UsageError("--server and --backup don't go together; leave one out")
        _have_checked(session, read_data, subset, as_json)
    if not data:
        raise UsageError("--data is empty; name a data folder")
    need_server(_COMMAND, CANT_TELL)
    source = backup if backup is not None else place(data, database, blobs)
    report(source, read_data=read_data, as_json=as_json, more={}, subset=subset)


def place(data: str, database: str, blobs: str, prefix: str = "") -> "Place":
    """Read where a registry is, of options whose names begin so."""
    from modelkeep_server.settings import SettingError, parsed
    from modelkeep_server.values.place import Place
    from modelkeep_server.values.s3_place import S3Keys

    given = {"data": data, "database": database, "blobs": blobs}
    try:
        read = {name: parsed(name, value, f"--{prefix}{name}") for name, value in given.items()}
        keys = S3Keys.of(os.environ, f"MODELKEEP_{prefix[:-1].upper()}_" if prefix else "")
    except (SettingError, ValueError) as problem:
        raise UsageError(str(problem)) from None
    return Place(**read, keys=keys)


def report(
    source: "Place | str",
    *,
    read_data: bool,
    as_json: bool,
    more: dict[str, Any],
    subset: str = "1/1",
) -> NoReturn:
    """Check a registry, or the backup in a folder, tell what was found, and end so."""
    from modelkeep_server import offline

    share = _share(subset)
    checked: Counter[str] = Counter()
    found = _Report()
    try:
        if isinstance(source, str):
            found.take(offline.check_backup(source, read_data, checked, share))
        else:
            found.take(offline.check(source, read_data, checked, share))
    except offline.CantTellError as problem:
        output.say(f"{_COMMAND}: {problem}")
        raise typer.Exit(CANT_TELL) from None
    except Exception as problem:
        # Whatever it is, it must not pass for a verdict.
        problems.report(problem)
        raise typer.Exit(CANT_TELL) from problem
    counts = offline.counts(checked)
    if as_json:
        data = source if isinstance(source, str) else str(source.data)
        told = {"data": data, "read_data": read_data, "subset": subset, "checked": counts}
        output.document(more | told | found.to_dict())
    else:
        _tell(found, counts, read_data, subset)
    raise typer.Exit(found.code)


def report_log(
    where: "Place",
    checkpoints: "Iterable[Checkpoint]",
    leaf_hashes: Iterable[bytes],
    key: str | None,
    as_json: bool,
) -> NoReturn:
    """Check the log of a database and the rows that it tells of, tell what is wrong, end so."""
    from modelkeep_server import offline

    checked: Counter[str] = Counter()
    found = _Report()
    try:
        kept = offline.Kept(checkpoints, leaf_hashes, key)
        found.take(offline.check_log(where, kept, checked))
    except offline.CantTellError as problem:
        output.say(f"modelkeep audit verify: {problem}")
        raise typer.Exit(CANT_TELL) from None
    except Exception as problem:
        problems.report(problem)
        raise typer.Exit(CANT_TELL) from problem
    counts = {kind: checked[kind] for kind in ("assets", "versions", "events")}
    if as_json:
        output.document({"checked": counts} | found.to_dict())
    else:
        _tell_damage(found)
        output.line(f"checked  {_counted(counts)}")
        output.line(_verdict(found))
    raise typer.Exit(found.code)


def _have_checked(session: Session, read_data: bool, subset: str, as_json: bool) -> NoReturn:
    """Ask a server to check itself, tell what it found, and end so."""
    try:
        with session.registry() as registry:
            asked = registry.verify_registry(read_data=read_data, subset=subset)
            operation = registry.wait(asked)
    except Error as problem:
        code = problems.report(problem)
        raise typer.Exit(code if code == problems.USAGE else CANT_TELL) from None
    if operation.error:
        output.say(f"{_COMMAND}: {operation.name} ended before its time: {operation.error}")
        raise typer.Exit(CANT_TELL)
    counts = dict(operation.progress)
    found = _Report(damage_count=counts.pop("finding_count"), damage=list(operation.findings))
    if as_json:
        told = {"operation": operation.name, "read_data": read_data, "subset": subset}
        output.document(told | {"checked": counts} | found.to_dict())
    else:
        _tell(found, counts, read_data, subset)
    raise typer.Exit(found.code)


@dataclass(slots=True)
class _Report:
    """What was found: all of it counted, and the first of it kept."""

    orphan_count: int = 0
    damage_count: int = 0
    orphans: "list[Orphan]" = field(default_factory=list)
    damage: "list[Damage | Finding]" = field(default_factory=list)

    def take(self, findings: "Iterable[Found]") -> None:
        from modelkeep_server.offline import Damage

        for finding in findings:
            if isinstance(finding, Damage):
                self.damage_count += 1
                if len(self.damage) < _MOST:
                    self.damage.append(finding)
            else:
                self.orphan_count += 1
                if len(self.orphans) < _MOST:
                    self.orphans.append(finding)

    @property
    def code(self) -> int:
        return DAMAGE if self.damage else ORPHANS if self.orphans else CLEAN

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _share(subset: str) -> "Subset":
    from modelkeep_server.offline import Subset

    try:
        return Subset.parse(subset)
    except ValueError as wrong:
        raise UsageError(f"--subset {wrong}, not {subset!r}") from None


def _tell(report: _Report, checked: dict[str, int], read_data: bool, subset: str) -> None:
    _tell_damage(report)
    for orphan in report.orphans[:_SHOWN]:
        output.line(f"orphan   {orphan.path} ({output.size(orphan.size)})")
    _tell_more(report.orphan_count, len(report.orphans))
    read = output.size(checked["bytes_read"]) if read_data else "no bytes (--read-data does)"
    things = _counted({kind: n for kind, n in checked.items() if kind != "bytes_read"})
    share = "" if subset == "1/1" else f"; share {subset} of all but the log"
    output.line(f"checked  {things}; read {read}{share}")
    output.line(_verdict(report))


def _tell_damage(report: _Report) -> None:
    for damage in report.damage[:_SHOWN]:
        output.line(f"damage   {damage.what} {damage.resource}: {damage.text}")
    _tell_more(report.damage_count, len(report.damage))


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())


def _verdict(report: _Report) -> str:
    if report.damage:
        found = output.counted(report.damage_count, "finding")
        return f"damaged: {found}; keep a copy of the folder as it is, then restore a backup"
    if report.orphans:
        are = "is" if report.orphan_count == 1 else "are"
        found = output.counted(report.orphan_count, "file")
        return f"whole: {found} that nothing refers to {are} harmless; nothing need be done"
    return "whole: all is as it should be"


def _tell_more(count: int, kept: int) -> None:
    if count > _SHOWN:
        where = "; --json has them" if kept > _SHOWN else ""
        output.line(f"…        and {count - _SHOWN:,} more{where}")
