"""Evaluations: what was measured of versions after they were made.

* One is of a live version, has a metric, and names its evaluator: the caller.
* It never changes; a new measurement is a new one, numbered from 1 in its version without gaps.
* The data set is a live version when it is named, and its digest is filled in.
"""

from collections.abc import Sequence

from modelkeep.errors import InvalidArgumentError, NotFoundError
from modelkeep.names import EvaluationName, VersionName
from modelkeep.v1 import evaluation_pb2, version_pb2
from modelkeep_server.domain import assets, inputs, resolve
from modelkeep_server.records import evaluations as rows
from modelkeep_server.records.encode import microseconds, timestamp
from modelkeep_server.records.records import Records
from modelkeep_server.records.sql import Session
from modelkeep_server.records.transaction import Transaction
from modelkeep_server.values.call import Answer, Call


def create(
    records: Records, call: Call, name: VersionName, wanted: evaluation_pb2.Evaluation
) -> Answer:
    """Keep what was measured of a version."""
    _check_metrics(wanted)

    def work(tx: Transaction) -> bytes:
        asset = assets.live(tx.session, name.parent)
        resolve.check_live(resolve.numbered(tx.session, name))
        number = rows.next_number(tx.session, asset, name.number)
        new = evaluation_pb2.Evaluation(
            name=str(EvaluationName(name.namespace, name.asset, name.number, number)),
            number=number,
            metrics=wanted.metrics,
            slices=wanted.slices,
            measure_time=timestamp(_measured_us(tx, wanted)),
            note=wanted.note,
            evaluator=tx.call.principal,
            create_time=timestamp(tx.time_us),
        )
        if wanted.HasField("data_set"):
            new.data_set.CopyFrom(_data_set(tx.session, wanted.data_set))
        return rows.add(tx, asset, name.number, new)

    return records.change(call, "evaluation.created", work)


def get(session: Session, name: EvaluationName) -> bytes:
    """Find an evaluation, or refuse."""
    asset = assets.live(session, name.parent)
    found = rows.find(session, asset, (name.number, name.evaluation))
    if found is None:
        raise NotFoundError("RESOURCE_NOT_FOUND", f"{name} does not exist", resource=name)
    return found


def _check_metrics(wanted: evaluation_pb2.Evaluation) -> None:
    if not wanted.metrics and not wanted.slices:
        raise InvalidArgumentError(
            "FIELD_REQUIRED",
            "an evaluation has metrics, slices with metrics, or both",
            field="evaluation.metrics",
        )
    _check_names([one.name for one in wanted.slices])


def _check_names(names: Sequence[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidArgumentError(
                "FIELD_INVALID",
                f"the slice {name!r} is there twice",
                field=f"evaluation.slices[{index}].name",
            )


def _measured_us(tx: Transaction, wanted: evaluation_pb2.Evaluation) -> int:
    if not wanted.HasField("measure_time"):
        return tx.time_us
    measured = microseconds(wanted.measure_time)
    if measured > tx.time_us:
        raise InvalidArgumentError(
            "TIME_IN_FUTURE",
            "it was measured later than now",
            field="evaluation.measure_time",
            now=timestamp(tx.time_us).ToJsonString(),
        )
    return measured


def _data_set(session: Session, wanted: version_pb2.Input) -> version_pb2.Input:
    found = inputs.checked_one(session, wanted, "evaluation.data_set").message
    found.role = version_pb2.INPUT_ROLE_EVALUATED_ON
    return found
