"""Every fault can be chosen by name."""

import random

from readability_triton.faults.catalogue import FAULTS
from readability_triton.faults.hostile.cases import CASES, Server
from readability_triton.faults.hostile.wire import Fate, Reply


class Sink:
    """Takes whatever is sent by gRPC."""

    def infer(self, request) -> Reply:
        request.SerializeToString()
        return Reply(Fate.REFUSED)


def test_names_are_those_of_the_faults() -> None:
    assert all(fault.name == name and fault.about for name, fault in FAULTS.items())
    assert {"kill-bert-large", "hang-bert-large", "raise-cuml", "hostile", "clients-leave", "sigterm"} <= FAULTS.keys()


def test_every_kind_of_hostile_request_can_be_made(monkeypatch) -> None:
    sent = []
    monkeypatch.setattr(
        "readability_triton.faults.hostile.cases.post", lambda *given: sent.append(given) or Reply(Fate.REFUSED)
    )
    monkeypatch.setattr("readability_triton.faults.hostile.cases.LARGEST_BODY", 1 << 16)
    for case, share in CASES:
        assert share > 0
        for seed in range(40):
            assert case(random.Random(seed), Server("http://localhost", Sink())).fate is Fate.REFUSED
    assert len({given[2] for given in sent}) > 100
