"""The server itself: what it is, and its limits."""

import time

from google.protobuf.descriptor import Descriptor

from modelkeep.names import MAX_PATH_BYTES
from modelkeep.v1 import admin_service_pb2 as pb
from modelkeep.v1 import artifact_service_pb2, options_pb2, version_pb2, version_service_pb2
from modelkeep_server.domain import collection, verification
from modelkeep_server.domain.operations import Operations
from modelkeep_server.records.records import Records
from modelkeep_server.services.paging import MAX_BYTES, MAX_SIZE
from modelkeep_server.values import limits
from modelkeep_server.values.call import Answer, Call
from modelkeep_server.values.capacity import MAX_MESSAGE_BYTES, MAX_METADATA_BYTES, Capacity
from modelkeep_server.values.hints import short_read


class AdminService:
    """`modelkeep.v1.AdminService`."""

    def __init__(
        self,
        version: str,
        open_to_all: bool,
        capacity: Capacity,
        records: Records,
        operations: Operations,
    ) -> None:
        """Tell of a server of this version and capacity; long work is asked of `operations`."""
        self._info = pb.ServerInfo(version=version, open=open_to_all, limits=_limits(capacity))
        self._records = records
        self._operations = operations

    @short_read(lambda _: True)
    def GetServerInfo(self, request: pb.GetServerInfoRequest, call: Call) -> pb.ServerInfo:
        """Tell what this server is, and its limits."""
        info = pb.ServerInfo()
        info.CopyFrom(self._info)
        info.time.FromMicroseconds(time.time_ns() // 1000)
        info.log_position = self._records.position()
        return info

    def CollectGarbage(self, request: pb.CollectGarbageRequest, call: Call) -> Answer:
        """Ask for a collection of what nothing refers to."""
        return collection.ask(self._records, self._operations, call, request)

    def VerifyRegistry(self, request: pb.VerifyRegistryRequest, call: Call) -> Answer:
        """Ask for a check of all that is stored."""
        return verification.ask(self._records, self._operations, call, request)


def _limits(capacity: Capacity) -> pb.Limits:
    """Collect the limits: the contract's rules, what this server can, and how it was set up."""
    version = version_pb2.Version.DESCRIPTOR
    record = version_pb2.VersionRecord.DESCRIPTOR
    create = version_service_pb2.CreateVersionRequest.DESCRIPTOR
    value = version_pb2.ParameterValue.DESCRIPTOR
    download = artifact_service_pb2.DownloadFilesRequest.DESCRIPTOR
    pack = artifact_service_pb2.BlobPack.DESCRIPTOR
    find = artifact_service_pb2.FindMissingBlobsRequest.DESCRIPTOR
    return pb.Limits(
        max_message_bytes=MAX_MESSAGE_BYTES,
        max_chunk_bytes=limits.MAX_CHUNK_BYTES,
        max_metadata_bytes=MAX_METADATA_BYTES,
        max_blob_size=limits.MAX_BLOB_SIZE,
        max_manifest_bytes=limits.MAX_MANIFEST_BYTES,
        max_files=limits.MAX_FILES,
        max_version_bytes=_rule(create, "version").max_message_bytes,
        max_recipe_bytes=_rule(create, "recipe").max_message_bytes,
        max_labels=_rule(version, "labels").max_items,
        max_aliases=_rule(create, "aliases").max_items,
        max_metrics=_rule(record, "metrics").max_items,
        max_parameters=_rule(record, "parameters").max_items,
        max_inputs=_rule(record, "inputs").max_items,
        max_description_bytes=_rule(version, "description").max_bytes,
        max_path_bytes=MAX_PATH_BYTES,
        max_page_size=MAX_SIZE,
        max_page_bytes=MAX_BYTES,
        max_digests=_rule(find, "digests").max_items,
        max_unary_calls=capacity.unary_calls,
        max_uploads=capacity.uploads,
        max_downloads=capacity.downloads,
        max_watches=capacity.watches,
        idle_timeout_seconds=round(capacity.idle_seconds),
        max_ranges=_rule(download, "ranges").max_items,
        max_pack_blobs=_rule(pack, "blobs").max_items,
        max_parameter_value_bytes=_rule(value, "string_value").max_bytes,
        max_label_value_bytes=_rule(version, "labels").max_value_bytes,
        max_display_name_bytes=_rule(version, "display_name").max_bytes,
    )


def _rule(message: Descriptor, field: str) -> options_pb2.FieldRule:
    rule: options_pb2.FieldRule = (
        message.fields_by_name[field].GetOptions().Extensions[options_pb2.rule]
    )
    return rule
