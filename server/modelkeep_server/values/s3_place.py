"""Where an S3-compatible store is, who may use it, and what a blob is called in it.

`<prefix>/blobs/<the key's first two digits>/<key>` is published, once it is there. A part is a
multipart upload under way of the same name. `<prefix>/registry` has the id of the registry that
uses the place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

SCHEME = "s3"
FORM = "s3://BUCKET/PREFIX?endpoint=http://HOST:PORT&region=REGION"
KEY = re.compile(r"[0-9a-f]{32}")

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_=-][A-Za-z0-9._=-]*/)*")
_REGION = re.compile(r"[a-z0-9-]+")
_DEFAULTS = {"endpoint": "https://s3.amazonaws.com", "region": "us-east-1"}
_PUBLIC = "public_endpoint"
_KEYS = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket at an endpoint, and where in it blobs are; the prefix is empty or ends in `/`.

    Clients reach the bucket at the public endpoint, where that is another.
    """

    bucket: str
    prefix: str
    endpoint: str
    region: str
    public_endpoint: str | None = None

    @staticmethod
    def parse(url: str) -> "S3Place":
        """Read a URL, or say what it must be; never what it is, since it may have a secret."""
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise ValueError(
                "must name no keys: they come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if parts.scheme != SCHEME or parts.fragment:
            raise ValueError(f"must be {FORM}")
        if not _BUCKET.fullmatch(parts.netloc):
            raise ValueError("must name a bucket: 3 to 63 of a-z, 0-9, dots and hyphens")
        prefix = parts.path.strip("/")
        prefix = f"{prefix}/" if prefix else ""
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("must have a prefix of letters, digits and ._=- between slashes")
        options = _options(parts.query)
        endpoint = _endpoint("an endpoint", options["endpoint"])
        given = options.get(_PUBLIC)
        public = None if given is None else _endpoint(f"a {_PUBLIC}", given)
        return S3Place(parts.netloc, prefix, endpoint, options["region"], public)

    def holds(self, other: "S3Place") -> bool:
        """Tell whether all that is at the other place is at this one too, by what they are called.

        A store that has several names is known by its endpoint and its public endpoint.
        """
        return (
            other.bucket == self.bucket
            and other.prefix.startswith(self.prefix)
            and bool(other.servers & self.servers)
        )

    @property
    def servers(self) -> set[tuple[str | None, int]]:
        """Hosts and ports at which the store is reached."""
        return {_server(url) for url in (self.endpoint, self.public_endpoint) if url}

    def name(self, key: str) -> str:
        """Give a blob's name in the bucket."""
        return f"{self.shard(key[:2])}{key}"

    def shard(self, shard: str) -> str:
        """Give what the names of a shard's blobs begin with."""
        return f"{self.blobs}{shard}/"

    @property
    def blobs(self) -> str:
        """What the names of all blobs begin with."""
        return f"{self.prefix}blobs/"

    @property
    def owner(self) -> str:
        """What the object is called that says whose the place is."""
        return f"{self.prefix}registry"

    def key(self, name: str) -> str | None:
        """Give the key of a name that a store made, and nothing for others."""
        key = name.rpartition("/")[2]
        return key if KEY.fullmatch(key) and name == self.name(key) else None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix} at {self.endpoint}"


@dataclass(frozen=True, slots=True)
class S3Keys:
    """Who we are to the store.

    `variables` is what the names begin with of those that they came from.
    """

    access: str
    secret: str = field(repr=False)
    session: str | None = field(default=None, repr=False)
    variables: str = "AWS_"

    @staticmethod
    def of(environment: Mapping[str, str], prefix: str = "") -> "S3Keys | None":
        """Read the variables that all programs for S3 read, or those with a prefix if there are.

        Raises `ValueError` where only a part of those is there.
        """
        variables = f"{prefix}AWS_"
        access, secret, session = (environment.get(variables + name) for name in _KEYS)
        if access and secret:
            return S3Keys(access, secret, session or None, variables)
        if not prefix:
            return None
        if access or secret or session:
            raise ValueError(
                f"{variables}{_KEYS[0]} and {variables}{_KEYS[1]} go together; give both or none"
            )
        return S3Keys.of(environment)

    @property
    def given_by(self) -> str:
        """Name the variables that they came from."""
        return f"{self.variables}{_KEYS[0]} and {self.variables}{_KEYS[1]}"


def _options(query: str) -> dict[str, str]:
    given = parse_qs(query, keep_blank_values=True)
    for name, values in given.items():
        if name not in {*_DEFAULTS, _PUBLIC} or len(values) != 1:
            raise ValueError(f"must have an endpoint, a region and a {_PUBLIC} at most: {FORM}")
    options = _DEFAULTS | {name: value for name, (value,) in given.items()}
    if not _REGION.fullmatch(options["region"]):
        raise ValueError("must have a region such as us-east-1")
    return options


def _server(url: str) -> tuple[str | None, int]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


def _endpoint(what: str, url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    is_plain = parts.path.strip("/") == "" and not (parts.query or parts.fragment or "@" in url)
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not is_plain:
        raise ValueError(f"must have {what} such as https://HOST or http://HOST:PORT")
    return f"{parts.scheme}://{parts.netloc}"
