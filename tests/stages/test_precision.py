import zipfile
from pathlib import Path
from typing import get_args

import pytest
import torch

from readability_triton.stages.encoder import PooledEncoder, save_encoder, to_torchscript
from readability_triton.stages.precision import Precision, precision_of


@pytest.mark.parametrize("precision", get_args(Precision))
def test_a_saved_encoder_holds_its_precision(tiny_bert, precision, tmp_path: Path) -> None:
    save_encoder(to_torchscript(PooledEncoder(tiny_bert, (1,)), precision), tmp_path / "model.pt", precision)
    assert precision_of(tmp_path / "model.pt") == precision


def test_another_programs_module_is_of_unknown_precision(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Identity()), str(tmp_path / "model.pt"))
    assert precision_of(tmp_path / "model.pt") == "unknown"


def test_what_is_no_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(zipfile.BadZipFile):
        precision_of(tmp_path / "model.pt")
    with pytest.raises(FileNotFoundError):
        precision_of(tmp_path / "missing.pt")
