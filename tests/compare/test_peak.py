import pytest

from readability_triton.compare.peak import best_use, peak_tflops
from readability_triton.compare.placements import AtBatchSize

ROWS = [AtBatchSize(1, 5.0, 200.0, 3), AtBatchSize(64, 16.0, 4000.0, 3), AtBatchSize(512, 140.0, 3600.0, 3)]


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA A10", 125),
        ("NVIDIA GeForce GTX 1080", None),
    ],
)
def test_a_chips_peak_is_known_by_its_name(name, peak):
    assert peak_tflops(name) == peak


def test_bert_large_at_4000_texts_a_second_uses_half_of_an_h100():
    use = best_use(ROWS, 218, 603_979_776, "NVIDIA H100 80GB HBM3")
    assert use.batch == 64
    assert use.tokens_per_second == 872_000
    assert use.tflops == pytest.approx(526.7, abs=0.1)
    assert use.share_of_peak == pytest.approx(0.5325, abs=0.001)
    assert str(use) == "872,000 tokens a second at batch size 64, 527 TFLOP/s, 53.3% of the chip's peak in bf16"


@pytest.mark.parametrize("gpu", [None, "a chip of next year"])
def test_without_a_known_peak_there_is_no_share(gpu):
    use = best_use(ROWS, 218, 17_694_720, gpu)
    assert use.share_of_peak is None
    assert str(use) == "872,000 tokens a second at batch size 64, 15.4 TFLOP/s"
