"""Who did what is who they were.

* A principal's id is made of the name, under the registry's key.
* Whoever did something that is on the log has a name.
"""

from collections.abc import Iterator

from modelkeep_server.records import settings, survey_log
from modelkeep_server.records.sql import Session
from modelkeep_server.values.call import SYSTEM
from modelkeep_server.values.findings import Damage
from modelkeep_server.values.principals import principal_id


def check(session: Session, acted: set[str]) -> Iterator[Damage]:
    """Check the names of principals; `acted` are those that the log names."""
    key = settings.known_keys(session).principals
    named = {SYSTEM.principal}
    for principal, name in survey_log.principals(session):
        named.add(principal)
        if principal not in (SYSTEM.principal, principal_id(key, name)):
            yield Damage("principal", principal, "has a name that its id is not made of")
    for principal in sorted(acted - named):
        yield Damage("principal", principal, "acted, and has no name")
