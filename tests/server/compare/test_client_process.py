"""The process that sends requests, against a real server."""

import asyncio
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from readability_triton.client.access import Access
from readability_triton.compare.arm import parse_arm
from readability_triton.compare.callers import make_target
from readability_triton.compare.client_process import ClientProcess, ClientProcessError, ClosedJob, OpenJob
from readability_triton.compare.messages import read_outputs
from readability_triton.compare.workload import of_texts
from readability_triton.serving.server import Options, running

TEXTS = ["a text", "fail", "another text"]


def target(model: str = "single"):
    return make_target(parse_arm(model), of_texts(TEXTS, 1, 0.5, None, "a test"), Path("nowhere"))


def test_answers_come_once_and_as_the_server_gave_them(sleeping):
    async def scenario():
        async with ClientProcess([target()], sleeping.grpc_url, Access()) as sender:
            await sender.check(0)
            return [await sender.run(ClosedJob(0, [0, 1, 2, 0, 2], 2)) for _ in range(2)]

    first, second = asyncio.run(scenario())
    assert sorted(number for number, _ in first.answers) == [0, 2]
    assert second.answers == []
    for _, answer in first.answers:
        np.testing.assert_array_equal(read_outputs(answer)["SCORE"], np.ones((1, 1), np.float32))
    (error,) = [sample.error for sample in first.samples if sample.error]
    assert "set to fail" in error
    assert first.n_answered == 4
    assert 0 < first.client_seconds < first.seconds * os.cpu_count()


def test_the_error_of_a_first_request_is_the_servers(sleeping):
    async def scenario():
        async with ClientProcess([target("nothing")], sleeping.grpc_url, Access()) as sender:
            await sender.check(0)

    with pytest.raises(InferenceServerException, match="nothing") as failure:
        asyncio.run(scenario())
    assert failure.value.status() == "StatusCode.NOT_FOUND"


@pytest.mark.parametrize("while_it_runs", [False, True])
def test_a_process_that_dies_is_reported(sleeping, while_it_runs):
    async def scenario():
        async with ClientProcess([target()], sleeping.grpc_url, Access()) as sender:
            if not while_it_runs:
                os.kill(sender.pid, signal.SIGKILL)
            job = asyncio.create_task(sender.run(OpenJob(0, [(0.0, 0), (60.0, 0)])))
            await asyncio.sleep(0.2)
            if while_it_runs:
                os.kill(sender.pid, signal.SIGKILL)
            await job

    with pytest.raises(ClientProcessError, match=r"ended .signal SIGKILL"):
        asyncio.run(scenario())


def test_a_process_ends_with_the_block_that_uses_it_also_in_the_middle_of_a_job(sleeping):
    async def scenario() -> int:
        async with ClientProcess([target()], sleeping.grpc_url, Access()) as sender:
            job = asyncio.create_task(sender.run(OpenJob(0, [(60.0, 0)])))
            await asyncio.sleep(0)
            job.cancel()
            return sender.pid

    pid = asyncio.run(scenario())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_dies_is_an_error_of_each_request(sleepers):
    with running(Options(sleepers)) as server:

        async def scenario():
            async with ClientProcess([target()], server.grpc_url, Access()) as sender:
                await sender.check(0)
                server.process.kill()
                server.process.wait()
                return await sender.run(ClosedJob(0, [0, 2], 1))

        block = asyncio.run(scenario())
    assert [sample.error is not None for sample in block.samples] == [True, True]
    assert "UNAVAILABLE" in block.samples[0].error


def test_what_cannot_be_opened_is_said_at_the_start():
    async def scenario(url, access):
        async with ClientProcess([target()], url, access):
            pass

    with pytest.raises(ValueError, match="not a gRPC address"):
        asyncio.run(scenario("http://localhost:1", Access()))
    with pytest.raises(ValueError, match="certificates are for grpcs"):
        asyncio.run(scenario("grpc://localhost:1", Access(ca=Path(__file__))))
