"""One stream of uploads: headers, chunks and packs, in their order."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor

from modelkeep.errors import InvalidArgumentError
from modelkeep.v1 import artifact_service_pb2 as pb
from modelkeep_server.blobs import BlobStore
from modelkeep_server.domain import packs
from modelkeep_server.domain.uploads import Upload
from modelkeep_server.records.records import Records
from modelkeep_server.values.call import Call


def receive(
    records: Records,
    store: BlobStore,
    flusher: Executor,
    call: Call,
    requests: Iterable[pb.UploadBlobsRequest],
) -> Iterator[pb.UploadBlobsResponse]:
    """Take a stream of blobs, and answer as they become durable."""
    upload: Upload | None = None
    try:
        for request in requests:
            content = request.WhichOneof("content")
            if content == "chunk" and upload is not None:
                chunk = request.chunk
                if not chunk:
                    raise _out_of_order("chunk", "a chunk is empty")
                packs.check_chunk(len(chunk), "chunk")
                progress = upload.add(chunk)
            elif content == "header" and upload is None:
                upload = Upload(records, store, flusher, call, request.header)
                progress = upload.begin()
            elif content == "pack" and upload is None:
                yield pb.UploadBlobsResponse(blobs=packs.store(records, store, request.pack))
                continue
            else:
                raise _out_of_order(content or "content", _why(content, upload))
            for step in progress:
                yield pb.UploadBlobsResponse(blobs=[step])
            if upload.complete:
                upload = None
        if upload is not None:
            raise _too_short(upload)
    finally:
        if upload is not None:
            upload.close()


def _why(content: str | None, upload: Upload | None) -> str:
    if content is None:
        return "the message has neither a header, a chunk nor a pack"
    if upload is None:
        return "a chunk came without a header before it"
    return f"a {content} came before {upload.header.digest} was whole"


def _out_of_order(field: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError("UPLOAD_OUT_OF_ORDER", why, field=field)


def _too_short(upload: Upload) -> InvalidArgumentError:
    upload.close()
    return InvalidArgumentError(
        "UPLOAD_TOO_SHORT",
        f"the stream ended at {upload.durable_size} of {upload.header.size} bytes of "
        f"{upload.header.digest}; these are kept, go on there",
        digest=upload.header.digest,
        size=upload.header.size,
        durable_size=upload.durable_size,
    )
