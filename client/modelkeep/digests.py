"""What approvals and signatures bind: digests of records, the same in every language.

A digest is `sha256:` and the hex sha256 of the message's ProtoJSON (lowerCamelCase names,
64-bit integers as texts, what isn't set left out) in RFC 8785 form. Fields that this release
doesn't know are not in it: use one as new as the server.
`tests/vectors/record_digests.json` states the same for every language.
"""

import hashlib

import rfc8785
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from modelkeep.v1 import recipe_pb2, version_pb2


def record_digest(record: version_pb2.VersionRecord) -> str:
    """Give the digest of the part of a version that never changes."""
    return _digest(record)


def recipe_digest(recipe: recipe_pb2.Recipe) -> str:
    """Give the digest of what made a version."""
    return _digest(recipe)


def canonical(message: Message) -> bytes:
    """Write a message's ProtoJSON in RFC 8785 form: what is hashed."""
    return rfc8785.dumps(MessageToDict(message))


def _digest(message: Message) -> str:
    return f"sha256:{hashlib.sha256(canonical(message)).hexdigest()}"
