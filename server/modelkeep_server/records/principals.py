"""The names of people, apart from what they did, so that a name can be erased."""

from modelkeep.v1 import access_service_pb2
from modelkeep_server.records.encode import timestamp
from modelkeep_server.records.sql import Session, Statement, bind
from modelkeep_server.records.tables import Principal
from modelkeep_server.values.call import Call

_ADD = Statement(
    lambda: Principal.insert(
        id=bind("id"), display_name=bind("display_name"), created_us=bind("created_us")
    ).on_conflict_ignore()
)
_GET = Statement(
    lambda: Principal.select(Principal.display_name, Principal.created_us).where(
        Principal.id == bind("id")
    )
)


def remember(session: Session, call: Call, time_us: int) -> None:
    """Keep the caller's name, where it is new."""
    session.put(_ADD, id=call.principal, display_name=call.principal_name, created_us=time_us)


def find(session: Session, name: str) -> access_service_pb2.Principal | None:
    """Find a principal by name."""
    row = session.row(_GET, id=name)
    if row is None:
        return None
    return access_service_pb2.Principal(
        name=name, display_name=row[0], create_time=timestamp(row[1])
    )
