"""Answers kept for a day, so that a repeat of a request has the first answer and no effect."""

from modelkeep.errors import InvalidArgumentError
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Request
from modelkeep_server.values.call import Answer, Call

KEPT_US = 24 * 3600 * 1_000_000

_FIND = Statement(
    lambda: Request.select(Request.request_hash, Request.body, Request.event_id).where(
        (Request.principal == bind("principal"))
        & (Request.method == bind("method"))
        & (Request.request_id == bind("request_id"))
        & (Request.time_us >= bind("since_us"))
    )
)
_KEEP = Statement(
    lambda: Request.insert(
        principal=bind("principal"),
        method=bind("method"),
        request_id=bind("request_id"),
        request_hash=bind("request_hash"),
        body=bind("body"),
        event_id=bind("event_id"),
        time_us=bind("time_us"),
    ).on_conflict(
        # One of more than a day ago, which was not swept yet.
        conflict_target=(Request.principal, Request.method, Request.request_id),
        update={
            Request.request_hash: bind("request_hash"),
            Request.body: bind("body"),
            Request.event_id: bind("event_id"),
            Request.time_us: bind("time_us"),
        },
    )
)
_DROP = Statement(lambda: Request.delete().where(Request.time_us < bind("before_us")))


def find(session: Session, call: Call) -> Answer | None:
    """Find the answer that this request had, or refuse a `request_id` that had another one."""
    if not call.request_id:
        return None
    row = session.row(
        _FIND,
        principal=call.principal,
        method=call.method,
        request_id=call.request_id,
        since_us=call.time_us - KEPT_US,
    )
    if row is None:
        return None
    if row[0] != call.request_hash:
        raise InvalidArgumentError(
            "REQUEST_ID_REUSED",
            f"request_id {call.request_id} was used with another request; use a new one",
            field="request_id",
            request_id=call.request_id,
        )
    return Answer(row[1], row[2])


def keep(session: Session, call: Call, answer: Answer, time_us: int) -> None:
    """Keep an answer, where the request has a `request_id`."""
    if call.request_id:
        session.put(
            _KEEP,
            principal=call.principal,
            method=call.method,
            request_id=call.request_id,
            request_hash=call.request_hash,
            body=answer.body,
            event_id=answer.event_id,
            time_us=time_us,
        )


def drop_old(session: Session, now_us: int) -> int:
    """Forget the answers older than a day, and tell how many they were."""
    return session.run(_DROP, before_us=now_us - KEPT_US)
