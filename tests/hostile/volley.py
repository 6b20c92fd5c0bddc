"""Sends hostile calls, several at once, and tells how each was answered."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from tests.hostile.shots import Shot

AT_ONCE = 12
EVENT_ID = "modelkeep-event-id"
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]

_ENDLESS = ("WatchEvents", "Watch")
_WRONG = {"INTERNAL", "UNKNOWN", "UNIMPLEMENTED", "UNAVAILABLE", "DATA_LOSS"}
_OURS = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "ABORTED", "ALREADY_EXISTS"}


@dataclass(frozen=True, slots=True)
class Answered:
    """How a call was answered."""

    shot: Shot
    code: str
    text: str = ""
    reason: str = ""
    event_id: str = ""
    answers: list[bytes] = field(default_factory=list)

    @property
    def is_wrong(self) -> bool:
        """Whether no request, whatever it is, may be answered so."""
        return self.code in _WRONG or (self.code in _OURS and not self.reason)

    def __str__(self) -> str:
        shot = self.shot
        return (
            f"shot {shot.number} ({shot.way}) at {shot.method.full_name}: {self.code} "
            f"{self.reason} {self.text!r}; sent {[raw[:200] for raw in shot.messages[:3]]}"
        )


def volley(
    address: str, numbers: range, aim: Callable[[int], Shot], heed: Callable[[Answered], None]
) -> None:
    """Make the calls of these numbers, and tell `heed` of each answer, one at a time."""
    left, lock = iter(numbers), threading.Lock()

    def send_some() -> None:
        with grpc.insecure_channel(address, options=_OPTIONS) as channel:
            while (number := next(left, None)) is not None:
                answered = send(channel, aim(number))
                with lock:
                    heed(answered)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for sender in [threads.submit(send_some) for _ in range(AT_ONCE)]:
            sender.result()


def send(channel: grpc.Channel, shot: Shot) -> Answered:
    """Make one call."""
    sending = _Sending(channel, shot)
    answers = []
    try:
        for answer in sending.call:
            answers.append(answer)
            if len(answers) >= shot.answers_wanted or shot.method.name in _ENDLESS:
                sending.call.cancel()
    except grpc.RpcError:
        pass
    return _answered(shot, sending.call, answers)


class _Sending:
    """A call whose messages are sent, and which is broken off where that was meant."""

    def __init__(self, channel: grpc.Channel, shot: Shot) -> None:
        self._shot = shot
        self._begun = threading.Event()
        path = f"/{shot.method.containing_service.full_name}/{shot.method.name}"
        user = (("modelkeep-user", shot.user),) if shot.user else ()
        method: Any = channel.stream_stream(path)
        self.call = method(
            self._messages(), timeout=shot.deadline_seconds, metadata=(*user, *shot.metadata)
        )
        self._begun.set()
        if shot.cancel_after_seconds is not None:
            threading.Timer(shot.cancel_after_seconds, self.call.cancel).start()

    def _messages(self) -> Iterator[bytes]:
        count = self._shot.cancel_after_messages
        yield from self._shot.messages[:count]
        if count is not None:
            self._begun.wait()
            self.call.cancel()


def _answered(shot: Shot, call: Any, answers: list[bytes]) -> Answered:
    metadata = dict(call.trailing_metadata() or ())
    info = ErrorInfo()
    for detail in Status.FromString(metadata.get("grpc-status-details-bin", b"")).details:
        detail.Unpack(info)
    return Answered(
        shot, call.code().name, call.details(), info.reason, metadata.get(EVENT_ID, ""), answers
    )
