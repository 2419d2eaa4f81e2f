"""One comparison from beginning to end: connect, describe the server, make the requests, measure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from readability_triton.client.access import Access
from readability_triton.client.protocol import translate
from readability_triton.client.served_model import ServedModel
from readability_triton.compare import environment
from readability_triton.compare.arm import HYBRID, Arm
from readability_triton.compare.callers import Target, make_target, outputs_to_request
from readability_triton.compare.client_process import ClientProcess
from readability_triton.compare.connection import open_client
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
    access: Access = Access(),  # noqa: B008 - frozen
) -> Comparison:
    """Compare two arms on the server at `url`.

    Args:
        arms: what to compare.
        plan: what to measure.
        requests: texts, or a file of requests in perf_analyzer's JSON format.
        url: `grpc://host:port` or `grpcs://host:port`.
        repository: where `hybrid` finds its stages.
        progress: how to show progress.
        metrics_url: of the server's metrics, for the stages of `bls_pipeline`; None to leave them out.
        access: certificates, headers, a token, compression.

    Raises:
        ValueError: if the url is not one of gRPC, or the requests do not fit the first arm.
        ReadabilityError: if the server or an arm does not answer.
        ClientProcessError: if the process that sends requests does not start.
        OSError: if a file cannot be read.
    """
    async with open_client(url, access) as client:
        try:
            described = await environment.describe_environment(client, url, arms)
            workload = await make_workload(requests, arms, client)
            outputs = await outputs_to_request(arms, client)
            targets: list[Target] = [make_target(arm, workload, repository, outputs) for arm in arms]
            n_beside = 1
            if plan.beside:
                long = await make_workload(of_length(requests, plan.beside), arms, client)
                targets += [make_target(arm, long, repository, outputs) for arm in arms]
                n_beside = len(long.requests)
        except InferenceServerException as error:
            raise translate(error, url=url) from error
        async with ClientProcess(targets, url, access) as sender:
            experiment = Experiment(arms, sender, len(workload.requests), client, progress, n_beside, metrics_url)
            return Comparison(await experiment.run(plan), workload, described)


def of_length(requests: Texts | Path, batch: int) -> Texts:
    """The same texts, so many in a request.

    Raises:
        ValueError: if there are no texts but a file of requests.
    """
    if isinstance(requests, Path):
        raise ValueError("a mixed load needs texts, not a file of requests")
    return replace(requests, batch=batch)


async def make_workload(requests: Texts | Path, arms: Sequence[Arm], client: InferenceServerClient) -> Workload:
    """The requests for all arms, by the inputs of the first and the weight that its models were fitted with.

    Raises:
        ValueError: if the requests do not fit the first arm.
        OSError: if their file cannot be read.
        InferenceServerException: if the server does not answer.
    """
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
