"""Names, paths and references: one grammar, for the server and the SDK.

* A name is ASCII, strict and exact; names in one place differ in more than case (`fold`).
* A resource name is `namespaces/fraud/assets/churn/versions/7`, what the wire carries.
* A reference is `fraud/churn:7`, what people write; nothing in it is ever unescaped.
* What `parse` gives is right; a constructor trusts its caller to have checked the parts.

`tests/vectors/` states the same for every language. A refusal is an `InvalidArgumentError`
that names the field and shows the bad value escaped, so that it's safe on a terminal.
"""

import re
from dataclasses import dataclass
from typing import Self

from modelkeep.errors import InvalidArgumentError

LATEST = "latest"
MAX_NUMBER = 2**31 - 1
MAX_NAME_LENGTH = 128
MAX_PATH_BYTES = 1024
URL_SCHEME = "modelkeep://"

_NAME = re.compile(r"[A-Za-z0-9](?:\.?[A-Za-z0-9_-])*")
_KEY = re.compile(rf"[A-Za-z0-9._/@-]{{1,{MAX_NAME_LENGTH}}}")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_DIGITS = re.compile(r"[0-9]+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# C0, DEL and C1; backslash; what reorders text on a screen; halves of surrogate pairs.
_NOT_IN_A_PATH = re.compile(
    r"[\x00-\x1f\x7f-\x9f\\\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_EXCLUSIVE_STAGE = "production"
_STAGES = {"development", "testing", "staging", _EXCLUSIVE_STAGE, "archived"}


def check_name(text: str, field: str) -> None:
    """Refuse what isn't a namespace's or an asset's name."""
    _check("NAME_INVALID", text, field, _name_problem(text))


def check_alias(text: str, field: str) -> None:
    """Refuse what cannot be set as an alias; of the stages, only `production` can."""
    problem = _pointer_problem(text)
    if fold(text) == LATEST:
        problem = f"{shown(text)} is always the highest live version and can't be set"
    _check("ALIAS_INVALID", text, field, problem)
    if fold(text) in _STAGES and text != _EXCLUSIVE_STAGE:
        problem = f"{shown(text)} is a stage's name; of these only {_EXCLUSIVE_STAGE} can be set"
    _check("ALIAS_RESERVED", text, field, problem)


def check_key(text: str, field: str) -> None:
    """Refuse what isn't a key of a label, a parameter or a metric."""
    rule = f"is not a key: 1 to {MAX_NAME_LENGTH} of A-Z a-z 0-9 . _ / @ -"
    _check("KEY_INVALID", text, field, "" if _KEY.fullmatch(text) else f"{shown(text)} {rule}")


def check_path(text: str, field: str) -> None:
    """Refuse what isn't a path of a file in a version."""
    _check("PATH_INVALID", text, field, _path_problem(text))


def check_digest(text: str, field: str) -> None:
    """Refuse what isn't a digest."""
    _check("DIGEST_INVALID", text, field, _digest_problem(text))


def fold(name: str) -> str:
    """Give what two names have in common that differ only in case."""
    return name.lower()


def shown(text: str, longest: int = 80) -> str:
    """Quote a text for a message: ASCII only, escaped, at most so many characters."""
    quoted = ascii(text[:longest])
    fits = len(text) <= longest and len(quoted) <= longest
    return quoted if fits else quoted[: longest - 3] + "..."


@dataclass(frozen=True, slots=True)
class NamespaceName:
    """`namespaces/{namespace}`."""

    namespace: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Read a resource name, or refuse it."""
        return cls(*_parts(text, field, "namespaces/{namespace}"))

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}"


@dataclass(frozen=True, slots=True)
class AssetName:
    """`namespaces/{namespace}/assets/{asset}`."""

    namespace: str
    asset: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Read a resource name, or refuse it."""
        return cls(*_parts(text, field, "namespaces/{namespace}/assets/{asset}"))

    @property
    def parent(self) -> NamespaceName:
        """The namespace it's in."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"{self.parent}/assets/{self.asset}"


@dataclass(frozen=True, slots=True)
class _InAsset:
    namespace: str
    asset: str

    @property
    def parent(self) -> AssetName:
        """The asset it's about."""
        return AssetName(self.namespace, self.asset)


@dataclass(frozen=True, slots=True)
class VersionName(_InAsset):
    """`namespaces/{namespace}/assets/{asset}/versions/{number}`."""

    number: int

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Read a resource name, or refuse it."""
        form = "namespaces/{namespace}/assets/{asset}/versions/{number}"
        namespace, asset, number = _parts(text, field, form)
        return cls(namespace, asset, int(number))

    def __str__(self) -> str:
        return f"{self.parent}/versions/{self.number}"


@dataclass(frozen=True, slots=True)
class EvaluationName(_InAsset):
    """`namespaces/{namespace}/assets/{asset}/versions/{number}/evaluations/{evaluation}`."""

    number: int
    evaluation: int

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Read a resource name, or refuse it."""
        form = "namespaces/{namespace}/assets/{asset}/versions/{number}/evaluations/{evaluation}"
        namespace, asset, number, evaluation = _parts(text, field, form)
        return cls(namespace, asset, int(number), int(evaluation))

    @property
    def version(self) -> VersionName:
        """The version that was evaluated."""
        return VersionName(self.namespace, self.asset, self.number)

    def __str__(self) -> str:
        return f"{self.version}/evaluations/{self.evaluation}"


@dataclass(frozen=True, slots=True)
class AliasName(_InAsset):
    """`namespaces/{namespace}/assets/{asset}/aliases/{alias}`; `check_alias` before it's set."""

    alias: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Read a resource name, or refuse it."""
        return cls(*_parts(text, field, "namespaces/{namespace}/assets/{asset}/aliases/{alias}"))

    def __str__(self) -> str:
        return f"{self.parent}/aliases/{self.alias}"


@dataclass(frozen=True, slots=True)
class VersionSelector(_InAsset):
    """`…/versions/{selector}`: a number, `latest`, `@alias` (or `@stage`) or `sha256:…`.

    At most one of `number`, `alias` and `digest` is set; none is the latest version.
    """

    number: int | None = None
    alias: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Read a version's name with a selector in the number's place, or refuse it."""
        form = "namespaces/{namespace}/assets/{asset}/versions/{selector}"
        namespace, asset, selector = _parts(text, field, form)
        if selector in (LATEST, f"@{LATEST}"):
            return cls(namespace, asset)
        if selector.startswith("@"):
            return cls(namespace, asset, alias=selector[1:])
        if selector.startswith("sha256:"):
            return cls(namespace, asset, digest=selector)
        return cls(namespace, asset, number=int(selector))

    @property
    def selector(self) -> str:
        """The last segment: `7`, `@champion`, `sha256:…` or `latest`."""
        if self.number is not None:
            return str(self.number)
        return f"@{self.alias}" if self.alias else self.digest or LATEST

    def __str__(self) -> str:
        return f"{self.parent}/versions/{self.selector}"


@dataclass(frozen=True, slots=True)
class Reference(_InAsset):
    """`[namespace/]asset[:number|@alias][/path]`, as people write it.

    At most one of `number` and `alias` is set; none is the latest version. An empty `path` is
    the whole version. `str()` is the one canonical form: it has the namespace, and `@latest`.
    """

    number: int | None = None
    alias: str | None = None
    path: str = ""

    @classmethod
    def parse(cls, text: str, default_namespace: str = "default", field: str = "reference") -> Self:
        """Read a reference or its `modelkeep://` URL, or refuse it."""
        rest = text.removeprefix(URL_SCHEME)
        head = re.split("[:@]", rest, maxsplit=1)[0]
        mark, tail = rest[len(head) :][:1], rest[len(head) + 1 :]
        selector, slash, path = tail.partition("/")
        *before, asset = head.split("/")
        namespace = before[0] if before else default_namespace
        problem = (
            _shape_problem(before, mark, tail)
            or _name_problem(namespace)
            or _name_problem(asset)
            or (mark == ":" and _number_problem(selector))
            or (mark == "@" and _pointer_problem(selector))
            or (slash and _path_problem(path))
        )
        if problem and shown(text) not in problem:
            problem = f"{shown(text)}: {problem}"
        _check("REFERENCE_INVALID", text, field, problem or "")
        number = int(selector) if mark == ":" else None
        alias = selector if mark == "@" and selector != LATEST else None
        return cls(namespace, asset, number, alias, path)

    @property
    def version(self) -> VersionSelector:
        """What it refers to, less the path."""
        return VersionSelector(self.namespace, self.asset, self.number, self.alias)

    @property
    def selector(self) -> str:
        """What `GetVersion` takes in the number's place: `7`, `@champion` or `latest`."""
        return self.version.selector

    @property
    def version_path(self) -> str:
        """The version's name for `GetVersion`: `namespaces/…/assets/…/versions/@champion`."""
        return str(self.version)

    @property
    def url(self) -> str:
        """The canonical form as a URL."""
        return f"{URL_SCHEME}{self}"

    def __str__(self) -> str:
        mark = f":{self.number}" if self.number is not None else f"@{self.alias or LATEST}"
        path = f"/{self.path}" if self.path else ""
        return f"{self.namespace}/{self.asset}{mark}{path}"


def _check(reason: str, text: str, field: str, problem: str) -> None:
    if problem:
        raise InvalidArgumentError(reason, problem, field=field, value=shown(text))


def _parts(text: str, field: str, form: str) -> list[str]:
    """Give what stands where the form has braces, each part checked by its own rule."""
    wanted, given = form.split("/"), text.split("/")
    if len(wanted) != len(given) or wanted[::2] != given[::2]:
        _check("NAME_INVALID", text, field, f"{shown(text)} is not of the form {form}")
    rules = {
        "{number}": _number_problem,
        "{evaluation}": _number_problem,
        "{selector}": _selector_problem,
    }
    for kind, part in zip(wanted[1::2], given[1::2], strict=True):
        _check("NAME_INVALID", text, field, rules.get(kind, _name_problem)(part))
    return given[1::2]


# Each tells what is wrong with a text, or nothing.


def _name_problem(text: str) -> str:
    if len(text) <= MAX_NAME_LENGTH and _NAME.fullmatch(text):
        return ""
    return (
        f"{shown(text)} ({len(text)} characters) is not a name: 1 to {MAX_NAME_LENGTH} of "
        "A-Z a-z 0-9 . _ -, a letter or digit first, no '..', no dot at the end"
    )


def _number_problem(text: str) -> str:
    if _NUMBER.fullmatch(text) and int(text) <= MAX_NUMBER:
        return ""
    hint = "" if _pointer_problem(text) else f"; did you mean @{text}?"
    return f"{shown(text)} is not a number, 1 to {MAX_NUMBER} without leading zeros{hint}"


def _pointer_problem(text: str) -> str:
    if _DIGITS.fullmatch(text):
        return f"{shown(text)} is a number, not an alias"
    return _name_problem(text)


def _digest_problem(text: str) -> str:
    rule = "is not a digest: sha256: and 64 lower-case hex digits"
    return "" if _DIGEST.fullmatch(text) else f"{shown(text)} {rule}"


def _selector_problem(text: str) -> str:
    if text == LATEST:
        return ""
    if text.startswith("@"):
        return _pointer_problem(text[1:])
    return (_digest_problem if text.startswith("sha256:") else _number_problem)(text)


def _shape_problem(before: list[str], mark: str, tail: str) -> str:
    if mark == ":" and tail.startswith("//"):
        return f"a URL starts with {URL_SCHEME}, once and in lower case"
    if len(before) > 1:
        return "at most a namespace and an asset; a path needs :NUMBER or @ALIAS before it"
    return ""


def _path_problem(text: str) -> str:
    if bad := _NOT_IN_A_PATH.search(text):
        return f"{shown(text)} has U+{ord(bad[0]):04X}, which a path can't have"
    if any(segment in ("", ".", "..") for segment in text.split("/")):
        return f"{shown(text)} is not a path: relative, without empty, '.' or '..' segments"
    if (size := len(text.encode())) > MAX_PATH_BYTES:
        return f"{shown(text)} has {size} bytes; a path has at most {MAX_PATH_BYTES}"
    return ""
