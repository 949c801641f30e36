"""Rerankers that run on this machine."""

from __future__ import annotations

import json
import sys
import types

import pytest

import onebrain
from onebrain import ConfigurationError, MissingDependency
from onebrain.memory.reranking import from_name

FACTS = ("Maria prefers window seats", "Maria sold her seat at the opera", "Maria sits on the board")


def field(number, value):
    """Encode a field of a protocol buffer: a whole number, text, or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tensor(name, kind, *dims):
    shape = b"".join(field(1, field(1, dim) if isinstance(dim, int) else field(2, dim)) for dim in dims)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def onnx_of_lengths():
    """Return an ONNX model whose logit is the number of tokens of a pair."""
    cast = field(1, "attention_mask") + field(2, "counts") + field(4, "Cast")
    cast += field(5, field(1, "to") + field(3, 1) + field(20, 2))
    total = field(1, "counts") + field(2, "logits") + field(4, "ReduceSum")
    total += field(5, field(1, "axes") + field(8, 1) + field(20, 7))
    total += field(5, field(1, "keepdims") + field(3, 1) + field(20, 2))
    graph = field(1, cast) + field(1, total) + field(2, "lengths")
    graph += field(11, tensor("input_ids", 7, "n", "t")) + field(11, tensor("attention_mask", 7, "n", "t"))
    graph += field(12, tensor("logits", 1, "n", 1))
    return field(1, 7) + field(7, graph) + field(8, field(1, "") + field(2, 11))


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("fastembed", reason="fastembed is not installed; see tests/models.txt")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    (tmp_path / "model.onnx").write_bytes(onnx_of_lengths())
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    for name, data in {
        "config.json": {"hidden_size": 1, "pad_token_id": 0},
        "tokenizer_config.json": {**special, "model_max_length": 128},
        "special_tokens_map.json": special,
    }.items():
        (tmp_path / name).write_text(json.dumps(data))
    return tmp_path


def test_fastembed_runs_a_cross_encoder_in_a_folder(folder):
    for _ in range(2):  # names of custom models are unique in a process
        with onebrain.connect("sqlite://", embedder=None) as brain:
            brain.store_many(list(FACTS)).raise_for_failures()
            result = brain.search("Maria", rerank=f"fastembed:{folder}")
            assert result.reranked is True
            assert [len(hit.content.split()) for hit in result] == [7, 5, 4]
            assert all(0 < hit.score <= 1 for hit in result)


def test_fastembed_offline_says_that_a_model_is_not_on_this_disk(monkeypatch, tmp_path):
    pytest.importorskip("fastembed", reason="fastembed is not installed; see tests/models.txt")
    monkeypatch.setenv("ONEBRAIN_OFFLINE", "1")
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="not on this disk"):
        from_name("fastembed:Xenova/ms-marco-MiniLM-L-6-v2").rerank("a", ["b"])


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("fastembed", "fastembed.rerank.cross_encoder"),
        ("flashrank", "flashrank"),
        ("sentence-transformers", "sentence_transformers"),
    ],
)
def test_a_missing_library_names_the_command_that_installs_it(monkeypatch, kind, module):
    monkeypatch.setitem(sys.modules, module, None)
    with onebrain.connect("sqlite://", embedder=None) as brain:
        brain.store(FACTS[0])
        with pytest.raises(MissingDependency, match=rf"onebrain-engine\[{kind}\]"):
            brain.search("Maria", rerank=f"{kind}:model")


def test_flashrank_scores_come_back_in_the_order_of_the_texts(monkeypatch):
    class Ranker:
        def __init__(self, model, cache_dir):
            self.model = model

        def rerank(self, request):
            rows = [{**one, "score": len(one["text"])} for one in request.passages]
            return sorted(rows, key=lambda row: -row["score"])

    library = types.ModuleType("flashrank")
    library.Ranker = Ranker
    library.RerankRequest = lambda query, passages: types.SimpleNamespace(query=query, passages=passages)
    monkeypatch.setitem(sys.modules, "flashrank", library)
    monkeypatch.delenv("ONEBRAIN_OFFLINE", raising=False)
    assert from_name("flashrank:m").rerank("q", ["aa", "aaaa", "a"]) == [2, 4, 1]
    monkeypatch.setenv("ONEBRAIN_OFFLINE", "1")
    with pytest.raises(ConfigurationError, match="not on this disk"):
        from_name("flashrank:m").rerank("q", ["a"])


def test_sentence_transformers_predicts_pairs(monkeypatch):
    library = types.ModuleType("sentence_transformers")

    class CrossEncoder:
        def __init__(self, name, **options):
            assert name == "org/model"

        def predict(self, pairs):
            return [float(len(text)) for _, text in pairs]

    library.CrossEncoder = CrossEncoder
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    assert from_name("sentence-transformers:org/model").rerank("q", ["aa", "a"]) == [2.0, 1.0]
