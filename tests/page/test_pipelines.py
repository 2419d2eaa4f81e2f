"""`TritonPipelines` where there is no Triton; with one: tests/server/test_page.py."""

import pytest

from readability_triton.client.access import Access
from readability_triton.client.errors import InvalidRequestError, ReadabilityError, ServerUnreachableError
from readability_triton.client.served_model import ServedModel
from readability_triton.page.pipelines import BLS, TritonPipelines, _one_batch


@pytest.fixture
def nobody(closed_port):
    return TritonPipelines(f"grpc://127.0.0.1:{closed_port}", 5.0)


def test_every_call_says_that_nothing_answers(nobody):
    calls = (
        lambda: nobody.served_model(BLS),
        lambda: nobody.ask(BLS, ["A cat."], None, {}),
        lambda: nobody.score_sentences(["A cat."], None, lambda _: None),
    )
    for call in calls:
        with pytest.raises(ServerUnreachableError, match=nobody.url):
            call()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "127.0.0.1:x y", "ftp://a"])
def test_an_address_that_is_not_one_of_grpc_is_refused_at_once(url):
    with pytest.raises(ValueError, match=r"gRPC|not grpc"):
        TritonPipelines(url, 5.0)


def test_a_certificate_that_is_not_there_is_refused_at_once(tmp_path):
    with pytest.raises(OSError, match=r"ca\.pem"):
        TritonPipelines("grpcs://127.0.0.1:1", 5.0, Access(ca=tmp_path / "ca.pem"))


def test_more_passages_than_a_request_takes_are_refused():
    model = ServedModel(BLS, 2, 1.0, ())
    assert len(_one_batch(["a", "b"], model, None).excerpts) == 2
    with pytest.raises(InvalidRequestError, match="3 passages, and bls_pipeline takes 2"):
        _one_batch(["a", "b", "c"], model, None)


def test_a_weight_is_needed_where_the_model_has_none():
    with pytest.raises(ReadabilityError, match="no blend weight"):
        _one_batch(["a"], ServedModel(BLS, 2, None, ()), None)
    assert _one_batch(["a"], ServedModel(BLS, 2, None, ()), 0.5).weights.tolist() == [[0.5]]
