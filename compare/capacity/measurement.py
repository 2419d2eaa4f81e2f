"""One search for capacity from beginning to end: connect, describe the server, make the requests, probe."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from readability_triton.client.access import Access
from readability_triton.client.protocol import translate
from readability_triton.compare import environment
from readability_triton.compare.arm import Arm
from readability_triton.compare.callers import make_target, outputs_to_request
from readability_triton.compare.capacity.probe import Mix
from readability_triton.compare.capacity.probing import Outcome, Probing
from readability_triton.compare.capacity.slo import Slo
from readability_triton.compare.client_process import ClientProcess
from readability_triton.compare.comparison import Texts, make_workload, of_length
from readability_triton.compare.connection import open_client
from readability_triton.compare.experiment import Progress
from readability_triton.compare.workload import Workload


@dataclass(frozen=True)
class CapacityPlan:
    """What to look for.

    Attributes:
        slo: the bound.
        seconds: of probing, over all arms.
        beside: texts of a bulk request; 0 for none.
        bulk_share: of all requests, how many are bulk ones; the bound is on the others.
        seed: of the order of arms, of requests and arrivals.
    """

    slo: Slo
    seconds: float
    beside: int = 0
    bulk_share: float = 0.0
    seed: int = 0


class Measured(NamedTuple):
    """What was found, with what, and where."""

    outcome: Outcome
    workload: Workload
    environment: dict[str, Any]


async def measure_capacity(
    arms: Sequence[Arm],
    plan: CapacityPlan,
    requests: Texts | Path,
    url: str,
    repository: Path,
    progress: Progress,
    access: Access = Access(),  # noqa: B008 - frozen
) -> Measured:
    """Find the capacity of each arm on the server at `url`.

    Args:
        arms: one or two.
        plan: what to look for.
        requests: texts, or a file of requests in perf_analyzer's JSON format.
        url: `grpc://host:port` or `grpcs://host:port`.
        repository: where `hybrid` finds its stages.
        progress: how to show progress.
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
            bulk = await _bulk(plan, requests, arms, client)
            outputs = await outputs_to_request(arms, client)
        except InferenceServerException as error:
            raise translate(error, url=url) from error
        sent = Workload([*workload.requests, *bulk], None, workload.source)
        targets = [make_target(arm, sent, repository, outputs) for arm in arms]
        mix = Mix(len(workload.requests), len(bulk), plan.bulk_share if bulk else 0.0)
        async with ClientProcess(targets, url, access) as sender:
            probing = Probing(arms, sender, mix, plan.slo, plan.seconds, client.is_server_live, progress, plan.seed)
            return Measured(await probing.run(), workload, described)


async def _bulk(
    plan: CapacityPlan, requests: Texts | Path, arms: Sequence[Arm], client: InferenceServerClient
) -> Sequence[Any]:
    if not plan.beside:
        return ()
    return (await make_workload(of_length(requests, plan.beside), arms, client)).requests
