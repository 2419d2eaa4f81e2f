"""A connection to a Triton server: requests, and what the server says of its models, by gRPC."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import tritonclient.grpc
from numpy.typing import NDArray
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import InferenceServerException

from readability_triton.client.access import Access
from readability_triton.client.protocol import Address, input_tensors, translate
from readability_triton.client.transports.transport import Parameter

Inputs = Mapping[str, NDArray[Any]]
Outputs = dict[str, NDArray[Any]]


class ServerConnection:
    """Any number of threads may share one.

    Args:
        url: `grpc://host:port`, with TLS `grpcs://`.
        access: certificates, headers, compression.
        timeout_s: how long one call may take.

    Raises:
        ValueError: for any other url.
        OSError: if a certificate cannot be read.

    Every method raises `readability_triton.client.errors.ReadabilityError` where the server does not answer or refuses.
    """

    def __init__(self, url: str, access: Access, timeout_s: float) -> None:
        address = Address.parse(url)
        if not address.is_grpc:
            raise ValueError(f"{url} is not a gRPC address: traces and statistics are read by gRPC")
        credentials = grpc.ssl_channel_credentials(*access.pem()) if address.is_secure else None
        options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        self.url = address.url
        self._client = tritonclient.grpc.InferenceServerClient(
            address.location, creds=credentials, channel_args=options
        )
        self._with = {"headers": access.sent_headers(), "client_timeout": timeout_s}
        self._compression = access.compression

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def config(self, model: str) -> ModelConfig:
        """The configuration of a model as it is served."""
        with self._translated():
            config: ModelConfig = self._client.get_model_config(model, **self._with).config
        return config

    def config_json(self, model: str) -> Mapping[str, Any]:
        """The same as JSON."""
        with self._translated():
            config: Mapping[str, Any] = self._client.get_model_config(model, as_json=True, **self._with)
        return config

    def inputs(self, model: str) -> list[Mapping[str, Any]]:
        """Name, datatype and shape of each input of a model."""
        with self._translated():
            metadata: Mapping[str, Any] = self._client.get_model_metadata(model, as_json=True, **self._with)
        return list(metadata.get("inputs", ()))

    def infer(
        self,
        model: str,
        inputs: Inputs,
        outputs: Sequence[str] | None,
        parameters: Mapping[str, Parameter],
        request_id: str,
    ) -> Outputs:
        """Send a request; its outputs by name, all of them if `outputs` is None."""
        wanted = None if outputs is None else [tritonclient.grpc.InferRequestedOutput(name) for name in outputs]
        with self._translated():
            answer = self._client.infer(
                model,
                input_tensors(tritonclient.grpc, inputs),
                outputs=wanted,
                request_id=request_id,
                parameters=dict(parameters) or None,
                compression_algorithm=self._compression,
                **self._with,
            )
        return {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}

    def statistics(self) -> list[Mapping[str, Any]]:
        """Triton's statistics of every model."""
        with self._translated():
            answer: Mapping[str, Any] = self._client.get_inference_statistics(as_json=True, **self._with)
        return list(answer.get("model_stats", ()))

    def trace_settings(self, model: str) -> dict[str, list[str]]:
        """What Triton traces of a model; of "", by default."""
        with self._translated():
            answer: Mapping[str, Any] = self._client.get_trace_settings(model, as_json=True, **self._with)
        return {name: list(setting.get("value", ())) for name, setting in answer.get("settings", {}).items()}

    def set_trace(self, model: str, settings: Mapping[str, str | list[str] | None]) -> None:
        """Change what Triton traces of a model; None for what it does by default."""
        with self._translated():
            self._client.update_trace_settings(model_name=model, settings=dict(settings), **self._with)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (InferenceServerException, OSError) as error:
            raise translate(error, url=self.url) from error
