"""Signed checkpoints of the log, as C2SP has them: tlog-checkpoint, signed-note, Ed25519.

A checkpoint says how many entries a log had and what they hash to; who keeps one can see later
that the log still begins with those. `tests/vectors/checkpoints.json` states the form for every
language. Checking a signature takes the package `cryptography`: `pip install 'modelkeep[audit]'`.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from modelkeep.merkle import wrong

_ED25519 = b"\x01"
_SIGNATURE = re.compile(r"— (\S+) (\S+)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log was.

    Attributes:
        origin: Which log.
        size: How many entries it had; the last one's position.
        root: The hash of the tree of their leaves, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """Write it as it is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class LogKey:
    """The public key of a log, 32 bytes, and the log's name; `str` writes it on one line."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Name the key in a signature, in 4 bytes."""
        return hashlib.sha256(f"{self.name}\n".encode() + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        public = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{public}"

    @classmethod
    def parse(cls, text: str) -> "LogKey":
        """Read a key, or raise `ValueError`."""
        name, plus, rest = text.strip().partition("+")
        named, other, public = rest.partition("+")
        data = _base64(public)
        if not (name and plus and other) or len(data) != 33 or data[:1] != _ED25519:
            raise ValueError("must be a log's key, NAME+HASH+KEY")
        key = cls(name, data[1:])
        if key.id.hex() != named:
            raise ValueError("was cut or mistyped: its hash is not its own")
        return key

    def opened(self, note: str) -> Checkpoint:
        """Read a checkpoint of its log that this key signed, or raise `DataLossError`."""
        body, signatures = _parts(note)
        for name, signature in signatures:
            if name == self.name and signature[:4] == self.id:
                self._check(body.encode(), signature[4:])
                found = _read(body)
                if found.origin != self.name:
                    raise wrong(f"the checkpoint is of {found.origin}, not of {self.name}")
                return found
        raise wrong(f"the checkpoint is not signed by {self.name}")

    def _check(self, body: bytes, signature: bytes) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, body)
        except InvalidSignature:
            raise wrong(f"the checkpoint's signature is not by {self.name}") from None


def signed(checkpoint: Checkpoint, key: LogKey, signature: bytes) -> str:
    """Write a checkpoint with the signature of its body."""
    named = base64.b64encode(key.id + signature).decode()
    return f"{checkpoint.body()}\n— {key.name} {named}\n"


def _parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    body, blank, rest = note.rpartition("\n\n")
    *lines, end = rest.split("\n")
    found = [_SIGNATURE.fullmatch(line) for line in lines]
    if not blank or not lines or end or _CONTROL.search(note):
        raise wrong("it is no signed checkpoint")
    signatures = [(match[1], _base64(match[2])) for match in found if match]
    if len(signatures) != len(lines):
        raise wrong("it is no signed checkpoint")
    return f"{body}\n", signatures


def _read(body: str) -> Checkpoint:
    lines = body.split("\n")
    if len(lines) < 4 or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise wrong("it is no checkpoint")
    root = _base64(lines[2])
    if len(root) != 32:
        raise wrong("it is no checkpoint")
    return Checkpoint(lines[0], int(lines[1]), root)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
