"""Checks of models of the FIL backend."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tritonclient.grpc.model_config_pb2 import DataType

from readability_triton.containers.finding import Finding, error, note
from readability_triton.containers.release import Release, facts, since
from readability_triton.containers.repository import Model

SQUEEZES = (
    "rapids-triton cpp/include/rapids_triton/model/shared_state.hpp; fil_backend src/shared_state.h (squeeze_output)"
)
READS = "rapids-triton get_config_param; fil_backend"
HEADER = struct.Struct("<3iBBQi")
"""Of a Treelite checkpoint: version, two types, trees, features (treelite src/serializer.cc, 4.x)."""

BOOLEANS = ("output_class", "is_classifier", "predict_proba")


def check(model: Model, steps: frozenset[str], release: Release) -> Iterator[Finding]:
    """All checks of one model.

    Args:
        model: of the FIL backend.
        steps: models that are steps of an ensemble.
        release: the container.
    """
    yield from _squeezed_output(model, is_step=model.name in steps)
    yield from _types(model)
    yield from _classifier(model, release)
    yield from _booleans(model)
    yield from _parameters(model, release)
    for file in model.files("checkpoint.tl"):
        yield from _checkpoint(model, file, release)


def _squeezed_output(model: Model, is_step: bool) -> Iterator[Finding]:
    for output in model.config.output:
        if output.HasField("reshape"):
            if not output.reshape.shape:
                text = f"output {output.name}: an empty reshape is undefined; write reshape: {{ shape: [ 1 ] }}"
                yield error(model.name, text, SQUEEZES)
        elif 1 in output.dims:
            shape = ", ".join(["N", *map(str, output.dims)])
            text = (
                f"output {output.name} has dims {list(output.dims)} and no reshape: it arrives without dimensions "
                f"of 1, not as [{shape}]; write reshape: {{ shape: {list(output.dims)} }}"
            )
            yield (error if is_step else note)(model.name, text, SQUEEZES)


def _types(model: Model) -> Iterator[Finding]:
    for tensor in (*model.config.input, *model.config.output):
        if tensor.data_type != DataType.TYPE_FP32:
            found = DataType.Name(tensor.data_type)
            yield error(model.name, f"{tensor.name} is {found}; FIL takes and gives TYPE_FP32 only", READS)


def _classifier(model: Model, release: Release) -> Iterator[Finding]:
    old, new = (model.parameters.get(key) for key in ("output_class", "is_classifier"))
    renamed = since("fil_is_classifier")
    if not release.is_at_least(renamed.release):
        if old is None:
            also = "; is_classifier is read from " + renamed.release + " on" if new is not None else ""
            yield error(model.name, f"parameter output_class is required{also}", renamed.source)
    elif old is None and new is None:
        yield error(model.name, "parameter is_classifier is required", renamed.source)
    elif old is not None and new is not None and old != new:
        text = f"output_class {old!r} goes before is_classifier {new!r}; make them equal"
        yield error(model.name, text, renamed.source)
    if "true" in (old, new) and model.parameters.get("predict_proba") != "true" and "threshold" not in model.parameters:
        yield error(model.name, "a classifier without predict_proba needs the parameter threshold", READS)


def _booleans(model: Model) -> Iterator[Finding]:
    for key in BOOLEANS:
        if (value := model.parameters.get(key, "true")) not in ("true", "false"):
            yield error(model.name, f"parameter {key} is {value!r}; it must be 'true' or 'false', in lower case", READS)


def _parameters(model: Model, release: Release) -> Iterator[Finding]:
    for key in sorted(model.parameters.keys() & facts()["fil"].keys()):
        known = facts()["fil"][key]
        if "until" in known and release.is_at_least(known["until"]):
            instead = f"; {known['now']} took its place" if "now" in known else ""
            yield note(model.name, f"parameter {key} is dropped since {known['until']}{instead}", READS)
        if "since" in known and not release.is_at_least(known["since"]):
            yield note(model.name, f"parameter {key} has no effect before {known['since']}", READS)
    if "cpu_nthread" not in model.parameters:
        yield note(model.name, "parameter cpu_nthread is not set: on the CPU a batch takes every core", READS)


def _checkpoint(model: Model, file: Path, release: Release) -> Iterator[Finding]:
    if model.parameters.get("model_type") != "treelite_checkpoint":
        return
    header = file.read_bytes()[: HEADER.size]
    if len(header) < HEADER.size:
        yield error(model.name, f"{file.name} is no Treelite checkpoint", "treelite src/serializer.cc")
        return
    major, minor, patch, *_, n_features = HEADER.unpack(header)
    for tensor in model.config.input:
        if list(tensor.dims) not in ([-1], [n_features]):
            text = (
                f"input {tensor.name} has dims {list(tensor.dims)}, the forest {n_features} features: "
                "FIL does not compare them, and reads beyond a row that is too short"
            )
            yield error(model.name, text, "fil_backend src/model.h: predict")
    yield from _treelite(model, (major, minor, patch), release)


def _treelite(model: Model, version: tuple[int, int, int], release: Release) -> Iterator[Finding]:
    if not release.treelite:
        yield note(model.name, f"the Treelite of {release.name} is not known here", "fil_backend cmake/thirdparty")
        return
    written, source = (
        ".".join(map(str, version)),
        "fil_backend cmake/thirdparty/get_treelite.cmake; treelite serializer.cc",
    )
    if version[0] != int(release.treelite.partition(".")[0]):
        text = f"the checkpoint is of Treelite {written}, the container has {release.treelite}: another major version"
        yield error(model.name, text, source)
    elif written != release.treelite:
        text = (
            f"the checkpoint is of Treelite {written}, the container has {release.treelite}, which reads it with a "
            "warning (tried with checkpoints of 4.8.1)"
        )
        yield note(model.name, text, source)
