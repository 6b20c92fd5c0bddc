"""A running registry checked by one of its servers: the rules of `verify.py`, beside any traffic.

* It goes part by part, and in each from row to row. A step takes some seconds, and ends with a row.
* Rows are read as one state of the database, which is given up after a step. Only what the log says
  of all rows takes one state to the end.
* Bytes are read beside the records, and nothing holds collection off. What is found is looked at
  once more: a blob is damaged if its row is still there after its bytes were seen to be wrong. Rows
  go before bytes do, and come after them.
* What nothing refers to, and parts of uploads, are collection's: they come and go all the time.
* The log is one step, since each entry builds on those before; whoever takes over begins it again.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from modelkeep.errors import InvalidArgumentError, UnavailableError
from modelkeep.v1 import admin_service_pb2 as pb
from modelkeep_server.blobs import BlobFiles
from modelkeep_server.domain import (
    verify_assets,
    verify_blobs,
    verify_log,
    verify_manifests,
    verify_rows,
)
from modelkeep_server.domain.operations import Operations, Step
from modelkeep_server.domain.turns import Turn
from modelkeep_server.domain.verify import unreadable
from modelkeep_server.records import folder, survey
from modelkeep_server.records.database import Inspected
from modelkeep_server.records.encode import message_bytes, timestamp
from modelkeep_server.records.ledger import Ledger
from modelkeep_server.records.operations import StoredOperation
from modelkeep_server.records.records import Records
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import Answer, Call
from modelkeep_server.values.findings import CantTellError, Damage, UnreadableError
from modelkeep_server.values.stored_blob import StoredBlob
from modelkeep_server.values.subset import WHOLE, Subset

STEP_SECONDS = 10.0
"""When a step ends with the row that it is at."""
LOOKED_AT = 1_000
"""Blobs whose rows are read at once."""
MOST_FINDINGS = 100
"""So many are kept: an operation is a row, and is listed with others."""
_MOST_BYTES = 1_024
_END = "end"

_Things: TypeAlias = Generator[tuple[int, Iterator[Damage]], None, None]
_Each: TypeAlias = Callable[[Counter[str], int], _Things]


class Verification:
    """The job of `VerifyRegistry`. Its cursor is a part, how far that is, and what was counted."""

    kind = "verify-registry"

    def __init__(
        self,
        inspect: Callable[[], AbstractContextManager[Inspected]],
        files: BlobFiles,
        data: Path | None,
    ) -> None:
        """Check what these have; `data` is the folder of a database that is in one."""
        self._inspect = inspect
        self._files = files
        self._data = data
        self._parts: dict[str, Callable[[_Look, str | None], str | None]] = {
            "database": self._database,
            "files": self._strangers,
            "blobs": _blobs,
            "manifests": _manifests,
            "namespaces": _namespaces,
            "assets": _assets,
            "moves": _moves,
            "log": _log,
        }

    def step(self, operation: StoredOperation, turn: Turn) -> Step | None:
        """Begin the next step; nothing where there is none."""
        part, after, counted = json.loads(operation.cursor or '["database", null, {}]')
        if part == _END:
            return None
        request, found = _request(operation), _progress(operation)
        checked = _Checked(counted, turn)
        turn.show(partial(_shown, _progress(operation), checked))
        following = self._following(part)
        try:
            with self._inspect() as session, turn.interrupting(session.interrupt):
                look = _Look(session, self._files, request, _subset(request), checked, found, turn)
                look.begin()
                after = self._parts[part](look, after)
                following = _END if look.is_spoilt else following
        except UnreadableError as error:
            turn.go_on()  # it may be that the turn is over
            _add(found, [unreadable(error)])
            after = None
        except CantTellError as error:
            raise UnavailableError("STORAGE_UNAVAILABLE", str(error)) from error
        turn.go_on()
        cursor = json.dumps([following if after is None else part, after, checked])
        progress = _shown(found, checked)
        return lambda _: (cursor, progress)

    def metadata(self, operation: StoredOperation) -> pb.VerifyRegistryMetadata:
        """Tell how far an operation is."""
        request, progress = _request(operation), _progress(operation)
        return pb.VerifyRegistryMetadata(
            principal=operation.principal,
            create_time=timestamp(operation.created_us),
            read_data=request.read_data,
            subset=request.subset,
            checked=progress.checked,
            finding_count=progress.finding_count,
        )

    def response(self, operation: StoredOperation) -> pb.VerifyRegistryResponse:
        """Tell what came of an operation that is done."""
        request, response = _request(operation), _progress(operation)
        response.read_data, response.subset = request.read_data, request.subset
        response.findings_left_out = response.finding_count - len(response.findings)
        return response

    def _following(self, part: str) -> str:
        names = [*self._parts, _END]
        return names[names.index(part) + 1]

    def _database(self, look: "_Look", _after: str | None) -> None:
        with look.session.one_state():
            look.add(Damage("database", "modelkeep.db", text) for text in look.session.problems())
            wrong = [Damage("database", "modelkeep.db", x) for x in look.session.wrong_kinds()]
        look.add(wrong)
        # What the rules read must be what they take it for.
        look.is_spoilt = bool(wrong)

    def _strangers(self, look: "_Look", _after: str | None) -> None:
        if self._data is not None:
            look.add(map(verify_blobs.stranger, folder.strangers(self._data)))
        look.add(verify_blobs.around(look.session, look.files))


def ask(
    records: Records, operations: Operations, call: Call, request: pb.VerifyRegistryRequest
) -> Answer:
    """Ask for a check. It changes nothing, so it is not on the log."""
    _subset(request)

    def work(tx: Transaction) -> bytes:
        return message_bytes(operations.ask(tx, Verification.kind, request, changes=False))

    answer = records.change(call, "verification.started", work)
    operations.wake()
    return answer


class _Checked(Counter[str]):
    """What was looked at, and counted; whoever counts breaks off where the turn is over."""

    def __init__(self, counted: Mapping[str, int], turn: Turn) -> None:
        super().__init__(counted)
        self._turn = turn

    def __setitem__(self, kind: str, count: int) -> None:
        self._turn.go_on()
        super().__setitem__(kind, count)


@dataclass(slots=True)
class _Look:
    """One step's look at a registry."""

    session: Inspected
    files: BlobFiles
    request: pb.VerifyRegistryRequest
    subset: Subset
    checked: _Checked
    found: pb.VerifyRegistryResponse
    turn: Turn
    is_spoilt: bool = False
    _until: float = 0.0

    def begin(self) -> None:
        """Take a step's time from now on."""
        self._until = time.monotonic() + STEP_SECONDS

    def is_late(self) -> bool:
        """Tell whether the step's time is over."""
        return time.monotonic() >= self._until

    def add(self, findings: Iterable[Damage]) -> None:
        """Note what is found, or found again."""
        _add(self.found, findings)

    def again(self) -> _Checked:
        """Count nothing twice."""
        return _Checked({}, self.turn)


def _blobs(look: _Look, after: str | None) -> str | None:
    listing = verify_blobs.Listing(look.files, look.subset)
    while page := survey.blobs_behind(look.session, after, LOOKED_AT):
        suspects = []
        for blob in page:
            after = blob.key
            if not listing.has(blob):
                continue
            look.checked["blobs"] += 1
            if _faults(look, listing, blob, look.checked):
                suspects.append(blob)
            if look.is_late():
                break
        _look_again(look, suspects)
        if look.is_late():
            return after
    return None


def _look_again(look: _Look, suspects: list[StoredBlob]) -> None:
    if not suspects:
        return
    listing = verify_blobs.Listing(look.files, look.subset)
    left = survey.still(look.session, suspects)
    faults = {blob: _faults(look, listing, blob, look.again()) for blob in left}
    for blob in survey.still(look.session, left):
        look.add(faults[blob])


def _faults(
    look: _Look, listing: verify_blobs.Listing, blob: StoredBlob, checked: Counter[str]
) -> list[Damage]:
    size = listing.size(blob)
    return list(verify_blobs.check_blob(look.files, blob, size, look.request.read_data, checked))


def _manifests(look: _Look, after: str | None) -> str | None:
    def each(checked: Counter[str], behind: int) -> _Things:
        read_data = look.request.read_data
        return verify_manifests.each(
            look.session, look.files, read_data, checked, look.subset, behind
        )

    return _row_by_row(look, each, after)


def _namespaces(look: _Look, _after: str | None) -> None:
    with look.session.one_state():
        look.add(verify_assets.namespaces(look.session))


def _assets(look: _Look, after: str | None) -> str | None:
    def each(checked: Counter[str], behind: int) -> _Things:
        return verify_assets.each(look.session, checked, look.subset, behind)

    return _row_by_row(look, each, after)


def _moves(look: _Look, _after: str | None) -> None:
    with look.session.one_state():
        look.add(verify_assets.moves(look.session))


def _log(look: _Look, _after: str | None) -> None:
    with Ledger() as ledger:
        reading = verify_log.Reading(ledger, look.checked)
        while not _is_read(look, reading):
            pass
        with look.session.one_state():
            for found in reading.rest(look.session):
                look.add(found)
            look.add(reading.around(look.session))
            for found in verify_rows.each(look.session, ledger):
                look.turn.go_on()
                look.add(found)


def _is_read(look: _Look, reading: verify_log.Reading) -> bool:
    """Read on in the log for a step's time; tell whether that was the rest."""
    look.begin()
    with look.session.one_state(), closing(reading.rest(look.session)) as rest:
        for found in rest:
            look.add(found)
            if look.is_late():
                return False
    return True


def _row_by_row(look: _Look, each: _Each, after: str | None) -> str | None:
    """Check things until the step is late, and once more those where something was found."""
    suspects, last = [], None
    behind = survey.BEFORE_ALL if after is None else int(after)
    with look.session.one_state(), closing(each(look.checked, behind)) as things:
        for row, found in things:
            if sum(1 for _ in found):
                suspects.append(row)
            if look.is_late():
                last = str(row)
                break
    for row in suspects:
        with look.session.one_state(), closing(each(look.again(), row - 1)) as things:
            for same, found in things:
                if same == row:
                    look.add(found)
                break
    return last


def _subset(request: pb.VerifyRegistryRequest) -> Subset:
    try:
        return Subset.parse(request.subset) if request.subset else WHOLE
    except ValueError as wrong:
        raise InvalidArgumentError("FIELD_INVALID", f"subset {wrong}", field="subset") from None


def _add(progress: pb.VerifyRegistryResponse, findings: Iterable[Damage]) -> None:
    for finding in findings:
        progress.finding_count += 1
        if len(progress.findings) < MOST_FINDINGS:
            progress.findings.add(
                what=finding.what, resource=_told(finding.resource), text=_told(finding.text)
            )


def _told(text: str) -> str:
    """Shorten a text, which may be the name of any file."""
    whole = text.encode(errors="backslashreplace")
    if len(whole) <= _MOST_BYTES:
        return whole.decode()
    return whole[:_MOST_BYTES].decode(errors="ignore") + "…"


def _shown(
    found: pb.VerifyRegistryResponse, checked: Mapping[str, int]
) -> pb.VerifyRegistryResponse:
    shown = pb.VerifyRegistryResponse()
    shown.CopyFrom(found)
    shown.checked.CopyFrom(pb.Checked(**checked))
    return shown


def _request(operation: StoredOperation) -> pb.VerifyRegistryRequest:
    return pb.VerifyRegistryRequest.FromString(operation.request)


def _progress(operation: StoredOperation) -> pb.VerifyRegistryResponse:
    return pb.VerifyRegistryResponse.FromString(operation.progress)
