"""`modelkeep audit`, as auditors use it: against a server, and without one."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Ran, Run
from tests.running import run_server

from modelkeep import merkle
from modelkeep.checkpoints import Checkpoint, LogKey
from modelkeep.cli import extras


@pytest.fixture
def busy(do: Run, folder: Path) -> None:
    for name in ("churn", "fraud", "churn"):
        do("push", name, folder)
    for number, name in ((1, "production"), (1, "champion"), (2, "champion"), (2, "production")):
        do("alias", "set", f"churn:{number}", name)


@pytest.fixture
def exported(do: Run, busy: None, tmp_path: Path) -> Path:
    do("audit", "export", tmp_path / "log")
    return tmp_path / "log"


def _opened(note: str, key: str) -> Checkpoint:
    return LogKey.parse(key).opened(note)


def _refused(ran: Ran, words: str, code: int = 1) -> None:
    assert ran.code == code
    assert words in ran.problem
    assert "[PROOF_INVALID]" in ran.problem


def test_a_checkpoint_is_printed_as_it_is_signed(do: Run, busy: None) -> None:
    note, told = do("audit", "checkpoint").out, do("audit", "checkpoint", "--json").json

    assert told["note"] == note
    assert LogKey.parse(told["key"]).opened(note).size == told["size"] == 8
    assert LogKey.parse(told["key"]).opened(note).root.hex() == told["root_hash"]


def test_a_checkpoint_that_was_kept_is_borne_out(
    do: Run, busy: None, folder: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text(do("audit", "checkpoint").out)
    key = do("audit", "checkpoint", "--json").json["key"]
    (tmp_path / "key").write_text(f"{key}\n")
    do("push", "churn", folder)

    newer = do("audit", "checkpoint", "--checkpoint", kept, "--key", tmp_path / "key").out

    assert _opened(newer, key).size > _opened(kept.read_text(), key).size


def test_a_kept_checkpoint_of_another_log_is_refused(
    run: Run, busy: None, tmp_path: Path, offline: Run
) -> None:
    with run_server(tmp_path / "other") as other:
        told = offline("audit", "checkpoint", "--url", other.address, "--json").json
    (tmp_path / "kept").write_text(told["note"])

    _refused(run("audit", "checkpoint", "--checkpoint", tmp_path / "kept"), "not signed by")
    _refused(run("audit", "checkpoint", "--key", told["key"]), "not signed by")


def test_a_log_that_was_changed_behind_a_kept_checkpoint_is_seen(
    offline: Run, folder: Path, tmp_path: Path
) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    with run_server(data) as server:
        offline("push", "churn", folder, "--url", server.address)
        kept.write_text(offline("audit", "checkpoint", "--url", server.address).out)
    with closing(sqlite3.connect(data / "modelkeep.db")) as database:
        hash_ = merkle.leaf_hash(b"what never happened")
        database.execute("UPDATE event SET leaf_hash = ? WHERE position = 1", (hash_,))
        database.commit()
    with run_server(data) as server:
        ran = offline("audit", "checkpoint", "--checkpoint", kept, "--url", server.address)

    _refused(ran, "is not shown to go on from that of 2")


def test_a_proof_says_what_happened_and_holds(do: Run, busy: None) -> None:
    proof = do("audit", "prove", 2).json

    checkpoint = LogKey.parse(proof["checkpoint"]["key"]).opened(proof["checkpoint"]["note"])
    merkle.check_inclusion(
        merkle.leaf_hash(bytes.fromhex(proof["leaf"])),
        proof["index"],
        checkpoint.size,
        [bytes.fromhex(one) for one in proof["hashes"]],
        checkpoint.root,
    )
    assert (proof["event"], proof["index"]) == ("events/2", 1)
    assert do("audit", "prove", 2, "--size", 3).json["checkpoint"]["size"] == 3


def test_what_is_not_on_the_log_is_not_proven(run: Run, busy: None) -> None:
    ran = run("audit", "prove", 1000)

    assert ran.code == 1
    assert "POSITION_INVALID" in ran.problem


def test_an_export_is_checked_without_a_server(
    offline: Run, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKEEP_URL", "127.0.0.1:1")
    key = (exported / "key").read_text()

    ran = offline("audit", "verify", exported, "--key", exported / "key")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"whole: 8 entries, as signed by {key}"
    assert "by its own" not in offline("audit", "verify", exported).out
    assert "one that you trust" in offline("audit", "verify", exported).err
    assert offline("audit", "verify", exported, "--json").json == {"size": 8, "key": key.strip()}


def test_an_export_goes_on_where_it_ended(do: Run, exported: Path, folder: Path) -> None:
    before = (exported / "leaves").read_bytes()
    with (exported / "leaves").open("ab") as file:
        file.write(b"\xff\x7f")  # cut short
    do("push", "churn", folder)

    do("audit", "export", exported)

    assert (exported / "leaves").read_bytes().startswith(before)
    assert do("audit", "verify", exported, "--json").json["size"] == 9


def test_an_export_of_another_log_is_left_as_it_is(
    offline: Run, exported: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    with run_server(tmp_path / "other") as other:
        ran = offline("audit", "export", exported, "--url", other.address)

    _refused(ran, "not signed by")
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before


def test_an_export_that_was_changed_is_left_as_it_is(
    run: Run, do: Run, exported: Path, folder: Path
) -> None:
    _swap(exported)
    before = (exported / "leaves").read_bytes()
    do("push", "churn", folder)

    _refused(run("audit", "export", exported), "events/2 says that it is events/3")
    assert (exported / "leaves").read_bytes() == before


def _leaves(exported: Path) -> list[bytes]:
    from modelkeep import _log_export

    with (exported / "leaves").open("rb") as file:
        return list(_log_export.stored(file))


def _write(exported: Path, leaves: list[bytes]) -> None:
    from modelkeep import _log_export

    (exported / "leaves").write_bytes(b"".join(map(_log_export.framed, leaves)))


def _swap(exported: Path) -> None:
    leaves = _leaves(exported)
    leaves[1:3] = leaves[2], leaves[1]
    _write(exported, leaves)


def _cut(exported: Path) -> None:
    _write(exported, _leaves(exported)[:-1])


def _edit(exported: Path) -> None:
    leaves = _leaves(exported)
    leaves[4] = leaves[4].replace(b"alias.set", b"alias.get")
    _write(exported, leaves)


def _size(exported: Path) -> None:
    note = (exported / "checkpoint").read_text()
    (exported / "checkpoint").write_text(note.replace("\n8\n", "\n7\n"))


def _key(exported: Path) -> None:
    (exported / "key").write_text(
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8\n"
    )


def _junk(exported: Path) -> None:
    (exported / "leaves").write_bytes(b"\xff" * 50)


def _longer_length(exported: Path) -> None:
    """A varint may say the same in more bytes."""
    first, *rest = _leaves(exported)
    _write(exported, rest)
    head = bytes([len(first) & 0x7F | 0x80, len(first) >> 7 | 0x80, 0])
    (exported / "leaves").write_bytes(head + first + (exported / "leaves").read_bytes())


def _huge(exported: Path) -> None:
    (exported / "leaves").write_bytes(b"\xff\xff\xff\xff\x7f")


def _no_text(exported: Path) -> None:
    (exported / "checkpoint").write_bytes(b"\xff")


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (_swap, "events/2 says that it is events/3"),
        (_cut, "ends with events/7, and the checkpoint has 8 entries"),
        (_edit, "events/1 to events/8 are not all what the checkpoint of 8 entries says"),
        (_size, "the checkpoint's signature is not by"),
        (_key, "the checkpoint is not signed by sum.golang.org"),
        (_junk, "a length is not one that a leaf has"),
        (_longer_length, "a length is not one that a leaf has"),
        (_huge, "a length is not one that a leaf has"),
        (_no_text, "is no text"),
    ],
)
def test_an_export_that_was_tampered_with_is_refused(
    offline: Run, exported: Path, tamper: Callable[[Path], None], words: str
) -> None:
    tamper(exported)

    _refused(offline("audit", "verify", exported), words, code=2)


def test_what_lies_behind_the_checkpoint_counts_for_nothing(offline: Run, exported: Path) -> None:
    with (exported / "leaves").open("ab") as file:
        file.write(b"\x7fwhat never happened")

    ran = offline("audit", "verify", exported, "--key", exported / "key")

    assert ran.code == 0
    assert "what lies behind entry 8 is covered by no checkpoint" in ran.err


@pytest.mark.parametrize("gone", ["leaves", "some"])
def test_an_export_that_lost_entries_is_not_filled_up_anew(
    do: Run, run: Run, exported: Path, folder: Path, gone: str
) -> None:
    """Its checkpoint is the evidence of what the log was."""
    if gone == "leaves":
        (exported / "leaves").unlink()
    else:
        whole = (exported / "leaves").read_bytes()
        (exported / "leaves").write_bytes(whole[: len(whole) // 2])
    note = (exported / "checkpoint").read_bytes()
    do("push", "churn", folder)

    _refused(run("audit", "export", exported), "and the checkpoint has 8 entries")
    assert (exported / "checkpoint").read_bytes() == note


def test_an_export_is_written_by_one_at_a_time(run: Run, exported: Path) -> None:
    import fcntl

    with (exported / "leaves").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = run("audit", "export", exported)

    assert ran.code == 1
    assert "[EXPORT_IN_PROGRESS]" in ran.problem


def test_a_file_that_is_not_there_is_no_verdict(offline: Run, exported: Path) -> None:
    ran = offline("audit", "verify", exported, "--checkpoint", "nowhere")

    assert ran.code == 3
    assert "No such file" in ran.problem


def test_older_checkpoints_say_where_it_was_changed(
    do: Run, offline: Run, exported: Path, tmp_path: Path
) -> None:
    from modelkeep import Client

    kept: list[Any] = []
    with Client() as registry:
        for size in (3, 6):
            path = tmp_path / f"{size}"
            path.write_text(registry.checkpoint(size).note)
            kept += ["--checkpoint", path]
    do("audit", "verify", exported, *kept)
    _edit(exported)

    ran = offline("audit", "verify", exported, *kept)
    _refused(ran, "events/4 to events/6 are not all", code=2)


def test_a_database_is_held_against_what_was_kept(
    offline: Run, folder: Path, tmp_path: Path
) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    with run_server(data) as server:
        offline("push", "churn", folder, "--url", server.address)
        offline("audit", "export", log, "--url", server.address)
        offline("push", "churn", folder, "--url", server.address)
    for other in (
        "name+5a3b7a1f+AQ==",
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    ):
        assert offline("audit", "verify", "--data", data, "--key", other).code == 2
    itself = offline("audit", "verify", "--data", data)
    assert itself.code == 0
    assert "it agrees with itself, and that is all" in itself.err
    whole = offline("audit", "verify", log, "--data", data, "--key", log / "key")
    assert (whole.code, whole.err) == (0, "")
    assert whole.out == ("checked  1 assets, 2 versions, 3 events\nwhole: all is as it should be\n")

    with closing(sqlite3.connect(data / "modelkeep.db")) as database:
        leaf = b"what never happened"
        database.execute(
            "UPDATE event SET leaf = ?, leaf_hash = ? WHERE position = 2",
            (leaf, merkle.leaf_hash(leaf)),
        )
        database.commit()
    ran = offline("audit", "verify", log, "--data", data, "--json")

    assert ran.code == 2
    found = [(one["what"], one["resource"], one["text"]) for one in ran.json["damage"]]
    assert ("event", "events/2", "is not what the export of the log has") in found


def test_a_database_that_lost_its_end_is_seen_by_a_checkpoint(
    offline: Run, folder: Path, tmp_path: Path
) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    with run_server(data) as server:
        shutil.copytree(data, tmp_path / "older")
        offline("push", "churn", folder, "--url", server.address)
        told = offline("audit", "checkpoint", "--json", "--url", server.address).json
    kept.write_text(told["note"])
    (tmp_path / "older" / "lock").unlink(missing_ok=True)
    with run_server(tmp_path / "older"):
        pass

    given = ("--data", tmp_path / "older", "--checkpoint", kept, "--key", told["key"])
    ran = offline("audit", "verify", *given)

    assert ran.code == 2
    assert "events/2: is missing, as all behind it: the checkpoint has 2 entries" in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name an export, or a database"),
        (("--data", "x", "--checkpoint", "y"), "name the log's with --key"),
        (("nowhere",), "name the log's with --key"),
        (("nowhere", "--key", "x"), "must be a log's key"),
    ],
)
def test_a_command_line_that_cannot_be_meant(
    offline: Run, arguments: tuple[str, ...], words: str
) -> None:
    ran = offline("audit", "verify", *arguments)

    assert ran.code == 2
    assert words in ran.problem


def test_what_checks_signatures_may_be_missing(
    offline: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)

    ran = offline("audit", "checkpoint")

    assert ran.code == 1
    assert "pip install 'modelkeep[audit]'" in ran.problem
