"""A check in shares: each looks at less, and together they find what the whole finds."""

from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.verify.conftest import Verified, Verify, edit
from tests.verify.life import is_alias, is_version

from modelkeep_server.blobs import SHARDS

SHARES = 5


def _in_shares(verify: Verify, data: Path) -> list[Verified]:
    return [
        verify(data, "--read-data", "--subset", f"{number}/{SHARES}")
        for number in range(1, SHARES + 1)
    ]


def _found(*verified: Verified) -> set[tuple[Any, ...]]:
    return {
        tuple(finding.values())
        for one in verified
        for kind in ("damage", "orphans")
        for finding in one.report[kind]
    }


def _digests(data: Path) -> list[bytes]:
    with closing(apsw.Connection(str(data / "modelkeep.db"))) as connection:
        return [digest for (digest,) in connection.execute("SELECT digest FROM blob")]


def _damage(data: Path) -> None:
    """Break each blob, and something of each of the other kinds."""
    for path in (data / "blobs").glob("*/*"):
        path.chmod(0o600)
        path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    for folder in (data / "blobs").iterdir():
        (folder / f"{folder.name}{'0' * 30}").write_bytes(b"nobody's")
    (data / "staging" / ("0" * 32)).write_bytes(b"nobody's")
    edit(data, "UPDATE blob SET key = '../../lock' WHERE id = (SELECT MAX(id) FROM blob)")
    edit(data, "UPDATE asset SET version_count = version_count + 1")
    edit(data, "UPDATE manifest SET checked_files = checked_files + 1")
    edit(data, f"UPDATE version SET revision = revision + 1 WHERE {is_version(2)}")
    edit(data, f"UPDATE alias SET revision = revision + 1 WHERE {is_alias('champion')}")
    edit(data, "UPDATE namespace SET revision = revision + 1")
    edit(data, "UPDATE event SET log_us = 1 WHERE position = 5")


def test_all_shares_together_find_every_damage(data: Path, verify: Verify) -> None:
    _damage(data)
    blobs = {f"sha256:{found.hex()}" for found in _digests(data)}

    whole, shares = verify(data), _in_shares(verify, data)

    assert _found(*shares) == _found(whole)
    assert {one["resource"] for one in whole.report["damage"] if one["what"] == "blob"} == blobs
    assert {one["what"] for one in whole.report["damage"]} >= {
        *("alias", "asset", "blob", "event", "manifest", "namespace", "version")
    }
    assert whole.report["orphan_count"] == len(SHARDS) + 2


def test_all_shares_together_look_at_everything_once(data: Path, verify: Verify) -> None:
    whole, shares = verify(data), _in_shares(verify, data)

    for kind in ("assets", "versions", "manifests", "blobs", "bytes_read"):
        counts = [share.report["checked"][kind] for share in shares]
        assert sum(counts) == whole.report["checked"][kind], kind
        assert max(counts) < whole.report["checked"][kind], kind
    assert {share.report["checked"]["events"] for share in shares} == {
        whole.report["checked"]["events"]
    }


@pytest.mark.parametrize("share", ["0/7", "8/7", "1/257", "7", "a/b", "-1/7", ""])
def test_a_share_that_is_none(data: Path, verify: Verify, share: str) -> None:
    verified = verify(data, "--subset", share)

    assert (verified.code, verified.report) == (2, {})
    assert "--subset must be N/T with 1 <= N <= T <= 256" in verified.problem
