"""Checkpoints are C2SP's signed notes: read, checked, and refused where anything was changed."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelkeep.checkpoints import Checkpoint, LogKey, signed
from modelkeep.errors import DataLossError

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "checkpoints.json").read_text("ascii")
)
ROOT = bytes(range(32))
CHECKPOINT = Checkpoint("modelkeep.dev/logs/one", 12, ROOT)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = LogKey("modelkeep.dev/logs/one", PRIVATE.public_key().public_bytes_raw())


def note(
    checkpoint: Checkpoint = CHECKPOINT, key: LogKey = KEY, by: Ed25519PrivateKey = PRIVATE
) -> str:
    return signed(checkpoint, key, by.sign(checkpoint.body().encode()))


def test_a_signed_checkpoint_is_read() -> None:
    assert KEY.opened(note()) == CHECKPOINT


def test_a_checkpoint_of_another_log_is_refused_whoever_signed_it() -> None:
    with pytest.raises(DataLossError, match=r"is of another\.example, not of modelkeep"):
        KEY.opened(note(Checkpoint("another.example", 12, ROOT)))


def test_the_vector_is_that_of_every_language() -> None:
    key = LogKey.parse(VECTORS["key"])

    assert key == KEY
    for case in VECTORS["valid"]:
        assert key.opened(case["note"]) == Checkpoint(
            case["origin"], case["size"], bytes.fromhex(case["root_hash"])
        )
    for case in VECTORS["invalid"]:
        with pytest.raises(DataLossError) as refused:
            key.opened(case["note"])
        assert refused.value.reason == "PROOF_INVALID", case["why"]


def test_a_key_is_read_and_written_as_others_do() -> None:
    go = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"  # Go's own log

    assert str(LogKey.parse(f"{go}\n")) == go
    assert LogKey.parse(str(KEY)) == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        str(KEY).replace("one", "two"),
        str(KEY)[:-4],
        str(KEY).removeprefix(KEY.name),
        f"name+{KEY.id.hex()}+{base64.b64encode(bytes(33)).decode()}",
        f"name+{KEY.id.hex()}+?",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a log's key|was cut or mistyped"):
        LogKey.parse(text)


def test_another_signature_may_stand_beside() -> None:
    other = f"— another.example {base64.b64encode(bytes(68)).decode()}\n"

    assert KEY.opened(note() + other) == CHECKPOINT
    assert KEY.opened(note().replace("— ", f"{other}— ", 1)) == CHECKPOINT


def test_a_checkpoint_that_somebody_else_signed_is_refused() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))

    for text in (
        note(by=stranger),
        note(key=LogKey(KEY.name, stranger.public_key().public_bytes_raw()), by=stranger),
        note(key=LogKey("another.example", KEY.public)),
    ):
        with pytest.raises(DataLossError, match=r"by modelkeep\.dev/logs/one"):
            KEY.opened(text)


def test_every_byte_of_a_checkpoint_counts() -> None:
    whole = note().encode()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(DataLossError):
            KEY.opened(changed.decode(errors="replace"))
