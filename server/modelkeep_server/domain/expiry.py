"""What can't be undeleted any more: its versions are purged, by the server itself.

* A version's time is over when its own deletion's is, or that of its asset's.
* Of a deleted asset all versions go; those that were not deleted themselves are deleted as well.
"""

from dataclasses import replace

from modelkeep_server.domain import versions
from modelkeep_server.records import assets
from modelkeep_server.records import versions as rows
from modelkeep_server.records.clock import now_us
from modelkeep_server.records.encode import timestamp
from modelkeep_server.records.records import Records
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import SYSTEM


def purge(records: Records, version_id: int) -> bool:
    """Release a version's bytes for good, if its time is over; answer whether it was."""

    def work(tx: Transaction) -> bytes:
        stored = rows.by_id(tx.session, version_id)
        asset = assets.by_id(tx.session, stored.asset_id) if stored else None
        if stored is None or asset is None or stored.purged:
            return b""
        times = (stored.purge_us, asset.purge_us)
        if all(purge_us is None or purge_us > tx.time_us for purge_us in times):
            return b""
        version = stored.parsed()
        if stored.deleted_us is None:
            version.delete_time.CopyFrom(timestamp(tx.time_us))
        versions.put_purged(tx, asset, stored, version)
        return b""

    call = replace(SYSTEM, time_us=now_us())
    reason = "it can't be undeleted any more"
    return bool(records.change(call, "version.purged", work, reason=reason).event_id)
