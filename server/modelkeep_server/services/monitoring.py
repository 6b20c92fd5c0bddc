"""MonitoringService."""

from modelkeep.names import AssetName, EvaluationName, VersionName
from modelkeep.v1 import monitoring_service_pb2 as pb
from modelkeep_server.domain import assets, evaluations, resolve
from modelkeep_server.records import evaluations as rows
from modelkeep_server.records.records import Records
from modelkeep_server.services.paging import Paging
from modelkeep_server.values.call import Answer, Call


class MonitoringService:
    """How versions do: what was measured of them since they were made."""

    def __init__(self, records: Records) -> None:
        """Serve these records."""
        self._records = records

    def CreateEvaluation(self, request: pb.CreateEvaluationRequest, call: Call) -> Answer:
        name = VersionName.parse(request.parent, "parent")
        return evaluations.create(self._records, call, name, request.evaluation)

    def GetEvaluation(self, request: pb.GetEvaluationRequest, _call: Call) -> bytes:
        return evaluations.get(self._records.read(), EvaluationName.parse(request.name))

    def ListEvaluations(self, request: pb.ListEvaluationsRequest, call: Call) -> bytes:
        session = self._records.read()
        number = None
        if "/versions/" in request.parent:
            version = VersionName.parse(request.parent, "parent")
            number = resolve.numbered(session, version).number
            name = version.parent
        else:
            name = AssetName.parse(request.parent, "parent")
        asset = assets.live(session, name)
        paging = Paging(self._records.pages, call, request)
        below = (int(paging.after[0]), int(paging.after[1])) if paging.after else None
        found = rows.page(session, asset, number, below, paging.limit)
        return paging.answer(([*place], message) for place, message in found)
