"""Who may do what. In open mode everyone may do everything; roles come with identities."""

from modelkeep_server.values.call import Call


class OpenAccess:
    """Access that refuses nobody."""

    def check(self, call: Call, permission: str) -> None:
        """Refuse a call whose caller lacks the permission that its method declares."""
