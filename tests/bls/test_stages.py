"""What a policy sees of the pipeline."""

from readability_triton.bls.stages import StageError


def test_a_stage_error_names_stage_and_reason() -> None:
    error = StageError("cuml", "no such model")
    assert str(error) == "cuml: no such model"
    assert error.stage == "cuml"
