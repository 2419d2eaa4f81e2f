"""One comparison from beginning to end: connect, describe the server, make the requests, measure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from readability_triton.client.protocol import Address, translate
from readability_triton.client.served_model import ServedModel
from readability_triton.compare import environment
from readability_triton.compare.arm import HYBRID, Arm
from readability_triton.compare.callers import make_caller, outputs_to_request
from readability_triton.compare.experiment import Experiment, Outcome, Plan, Progress
from readability_triton.compare.input_data import read_input_data
from readability_triton.compare.workload import Workload, of_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DEFAULT_WEIGHT = 0.5


@dataclass(frozen=True)
class Texts:
    """Texts to send.

    Attributes:
        texts: in order.
        source: where they come from, in words.
        batch: texts a request.
        bert_weight: share of the encoder; None for the one that the first arm to have one was fitted with.
        tokenizer: counts their tokens; None for no count.
    """

    texts: Sequence[str]
    source: str
    batch: int = 1
    bert_weight: float | None = None
    tokenizer: "Tokenizer | None" = None


class Comparison(NamedTuple):
    """What was measured, with what, and where."""

    outcome: Outcome
    workload: Workload
    environment: dict[str, Any]


async def run_comparison(
    arms: tuple[Arm, Arm],
    plan: Plan,
    requests: Texts | Path,
    url: str,
    repository: Path,
    progress: Progress,
    metrics_url: str | None = None,
) -> Comparison:
    """Compare two arms on the server at `url`.

    Args:
        arms: what to compare.
        plan: what to measure.
        requests: texts, or a file of requests in perf_analyzer's JSON format.
        url: `grpc://host:port`.
        repository: where `hybrid` finds its stages.
        progress: how to show progress.
        metrics_url: of the server's metrics, for the stages of `bls_pipeline`; None to leave them out.

    Raises:
        ValueError: if the url is not one of gRPC, or the requests do not fit the first arm.
        ReadabilityError: if the server or an arm does not answer.
        OSError: if a file cannot be read.
    """
    address = Address.parse(url)
    if address.scheme != "grpc":
        raise ValueError(f"{url} is not a gRPC address")
    async with InferenceServerClient(address.location) as client:
        try:
            described = await environment.describe_environment(client, url, arms)
            workload = await _workload(requests, arms, client)
            outputs = await outputs_to_request(arms, client)
            first, second = (make_caller(arm, workload, client, repository, outputs) for arm in arms)
            beside, n_beside = None, 1
            if plan.beside:
                long = await _workload(_of_length(requests, plan.beside), arms, client)
                one, other = (make_caller(arm, long, client, repository, outputs) for arm in arms)
                beside, n_beside = (one, other), len(long.requests)
            experiment = Experiment(
                arms, (first, second), len(workload.requests), client, progress, beside, n_beside, metrics_url
            )
        except InferenceServerException as error:
            raise translate(error, url=url) from error
        return Comparison(await experiment.run(plan), workload, described)


def _of_length(requests: Texts | Path, batch: int) -> Texts:
    if isinstance(requests, Path):
        raise ValueError("a mixed load needs texts, not a file of requests")
    return replace(requests, batch=batch)


async def _workload(requests: Texts | Path, arms: tuple[Arm, Arm], client: InferenceServerClient) -> Workload:
    if isinstance(requests, Path):
        metadata = await client.get_model_metadata(arms[0].model, as_json=True)
        return read_input_data(requests, metadata.get("inputs", []))
    weight = requests.bert_weight
    if weight is None:
        weight = await fitted_weight(arms, client)
    return of_texts(requests.texts, requests.batch, weight, requests.tokenizer, requests.source)


async def fitted_weight(arms: Sequence[Arm], client: InferenceServerClient) -> float:
    """The blend weight of the first arm that has one; for `hybrid`, the ensemble's."""
    for arm in arms:
        name = "ensemble_all" if arm.model == HYBRID else arm.model
        weight = ServedModel.of(await client.get_model_config(name, as_json=True)).bert_weight
        if weight is not None:
            return weight
    return DEFAULT_WEIGHT
