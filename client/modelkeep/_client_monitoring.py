"""How versions do: what was measured of them since they were made."""

from collections.abc import Iterator, Mapping

from modelkeep import _convert
from modelkeep import _convert_values as values
from modelkeep._client_base import Methods, pages, request_id
from modelkeep._refs import AssetRef, Ref, Time, asset_name, reference
from modelkeep._types import Asset, Evaluation, Input, Version
from modelkeep.names import AssetName, VersionName
from modelkeep.v1 import evaluation_pb2
from modelkeep.v1 import monitoring_service_pb2 as pb


class MonitoringMethods(Methods):
    """How versions do: what was measured of them since they were made."""

    def evaluate(
        self,
        ref: Ref,
        metrics: Mapping[str, float] | None = None,
        *,
        slices: Mapping[str, Mapping[str, float]] | None = None,
        on: Ref | Input | None = None,
        measured: Time | None = None,
        note: str = "",
    ) -> Evaluation:
        """Keep what was measured of a version: `metrics` over all data, `slices` by part of it.

        `on` is the data set: a version, or an `Input` with a `uri` and a `digest`. `measured` is by
        default now. It is kept for good; what is measured again is another evaluation.
        """
        request = pb.CreateEvaluationRequest(
            parent=str(self._number(ref)),
            evaluation=evaluation_pb2.Evaluation(
                metrics=values.metrics(metrics),
                slices=[
                    evaluation_pb2.EvaluationSlice(
                        name=values.text(name, "slices"), metrics=values.metrics(found)
                    )
                    for name, found in (slices or {}).items()
                ],
                note=values.text(note, "note"),
            ),
            request_id=request_id(),
        )
        if on is not None:
            request.evaluation.data_set.CopyFrom(self._input(on))
        if measured is not None:
            request.evaluation.measure_time.CopyFrom(values.timestamp(measured, "measured"))
        return _convert.evaluation(self._wire.call(self._wire.monitoring.CreateEvaluation, request))

    def evaluations(self, of: Ref | AssetRef) -> Iterator[Evaluation]:
        """List what was measured of a version, or of all versions of an asset, the newest first.

        `churn` is the asset, `churn:7` and `churn@champion` are versions.
        """
        parent = str(self._evaluated(of))

        def fetch(token: str) -> tuple[list[Evaluation], str]:
            request = pb.ListEvaluationsRequest(parent=parent, page_token=token, page_size=100)
            page = self._wire.call(self._wire.monitoring.ListEvaluations, request)
            return [_convert.evaluation(one) for one in page.evaluations], page.next_page_token

        return pages(fetch)

    def _evaluated(self, of: Ref | AssetRef) -> AssetName | VersionName:
        if isinstance(of, AssetName | Asset):
            return asset_name(of)
        if isinstance(of, str) and of.startswith("namespaces/") and "/versions/" not in of:
            return asset_name(of)
        if isinstance(of, Version | VersionName) or str(of).endswith("@latest"):
            return self._number(of)
        one = reference(of)
        is_asset = one.number is None and one.alias is None
        return asset_name(of) if is_asset and isinstance(of, str) else self._number(of)
