"""The names of stages: the same in the contract, in selectors and in what can't be an alias."""

import pytest

from modelkeep import names
from modelkeep.errors import InvalidArgumentError
from modelkeep.v1 import version_pb2
from modelkeep_server.domain import aliases, resolve

STAGES = {
    name.removeprefix("STAGE_").lower(): number
    for name, number in version_pb2.Stage.items()
    if number
}


def test_every_stage_but_production_is_a_selector() -> None:
    assert {**resolve._STAGES, aliases.PRODUCTION: version_pb2.STAGE_PRODUCTION} == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_only_production_can_be_set(stage: str) -> None:
    if stage == aliases.PRODUCTION:
        names.check_alias(stage, "name")
    else:
        with pytest.raises(InvalidArgumentError) as refused:
            names.check_alias(stage, "name")
        assert refused.value.reason == "ALIAS_RESERVED"
