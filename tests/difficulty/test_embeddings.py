"""Embeddings of frozen models: the mean over tokens, its independence of the batch, and the cache on disk."""

import json
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save
from transformers import AutoModel, AutoTokenizer

from tests.data_files import BITS, tensor_of
from tests.difficulty.tiny_backbones import WIDTH, save_encoder, save_qwen2
from tests.refusals import refused
from verl_dots.difficulty import embeddings, frozen_model
from verl_dots.difficulty.backbone import Backbone, backbone_id
from verl_dots.difficulty.embedding_cache import EmbeddingCache
from verl_dots.difficulty.embeddings import (
    cached_embeddings,
    check_cache,
    embed_missing,
    embed_texts,
    load_embeddings,
    missing,
)

TEXTS = ["one", "what is 17 plus 5", "a", "twelve minus three equals", "b2", "zz top of the list"]


@pytest.fixture(scope="module")
def backbones(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("backbones")
    encoders = {kind: save_encoder(folder / kind, kind) for kind in ("bert", "roberta")}
    return {"qwen2": save_qwen2(folder / "qwen2"), **encoders}


@pytest.fixture
def qwen2(backbones) -> str:
    return backbones["qwen2"]


def quiet(*arguments, **settings):
    return cached_embeddings(*arguments, progress=False, **settings)


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.safetensors"))


# --- the embeddings themselves -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_tokens", [1, 30, 16384])
@pytest.mark.parametrize("name", ["qwen2", "bert"])
def test_the_mean_over_the_tokens_of_each_text_alone_in_any_order_and_batch(backbones, name, batch_tokens):
    folder = backbones[name]
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    texts = [TEXTS[place] for place in (3, 0, 5, 1, 4, 2)]
    with torch.no_grad():
        alone = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for text in texts]
    found = embed_texts(texts, folder, batch_tokens=batch_tokens)
    assert (found.dtype, found.shape) == (np.float32, (6, WIDTH))
    np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-5)
    # The texts differ by far more than the tolerance.
    assert np.abs(found[:, None] - found[None]).max(-1)[~np.eye(6, dtype=bool)].min() > 1e-2


def test_batches_hold_neighbours_and_no_more_than_the_limit():
    # Sorted lengths 1 2 3 5 9 at most 10 tokens with padding: 1+2+3 pad to 9, 5 alone (2 would be 10 with 5: 5*2 = 10).
    assert frozen_model._batches([5, 1, 9, 3, 2], 10) == [[1, 4, 3], [0], [2]]
    assert frozen_model._batches([5, 5, 1], 10) == [[2, 0], [1]]
    assert frozen_model._batches([5, 5, 1], 9) == [[2], [0], [1]]
    assert frozen_model._batches([50], 10) == [[0]]


def test_layers_side_by_side(qwen2):
    tokenizer, model = AutoTokenizer.from_pretrained(qwen2), AutoModel.from_pretrained(qwen2).eval()
    with torch.no_grad():
        states = model(**tokenizer("abc", return_tensors="pt"), output_hidden_states=True).hidden_states
    layer_means = [state[0].mean(0).numpy() for state in states]
    for layers, chosen in (("all", (0, 1, 2)), ((2, 0), (2, 0)), ([1], (1,)), ("last", (2,))):
        expected = np.concatenate([layer_means[layer] for layer in chosen])
        np.testing.assert_allclose(embed_texts(["abc"], qwen2, layers=layers)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "long", "read", "settings"),
    [
        ("qwen2", "abcdefgh", "abc", {"max_length": 3}),
        ("bert", "ab" * 50, "ab" * 15, {}),  # 32 positions, two of them for [CLS] and [SEP]
        ("roberta", "ab" * 50, "ab" * 14, {}),  # it counts them from padding index + 1 = 2: 30 tokens
    ],
)
def test_long_texts_are_read_up_to_max_length_or_what_the_model_can_read(backbones, name, long, read, settings):
    folder = backbones[name]
    found, expected = embed_texts([long], folder, **settings), embed_texts([read], folder)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_another_precision(qwen2):
    full, half = embed_texts(TEXTS, qwen2), embed_texts(TEXTS, qwen2, dtype=torch.bfloat16)
    assert half.dtype == np.float32
    assert 1e-5 < np.abs(full - half).max() < 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same(qwen2):
    found = embed_texts(TEXTS, qwen2, device="cuda", dtype=torch.float32)
    np.testing.assert_allclose(found, embed_texts(TEXTS, qwen2), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"layers": "first"}, "choice"),
        ({"layers": ()}, "range"),
        ({"layers": (1, 1)}, "range"),
        ({"layers": (-1,)}, "range"),
        ({"layers": (0, 3)}, "size"),
        ({"max_length": -1}, "range"),
        ({"batch_tokens": 0}, "range"),
        ({"device": "abacus"}, "choice"),
        ({"device": "cuda:99"}, "machine"),
    ],
)
def test_bad_settings(qwen2, settings, reason):
    [(key, value)] = settings.items()
    with refused(key, reason, f"{key}={value!r}"):
        embed_texts(TEXTS, qwen2, **settings)


def test_settings_are_given_once(qwen2):
    with refused("layers", "excluded", "Backbone"):
        embed_texts(TEXTS, Backbone(qwen2), layers="all")


# --- the name of a backbone --------------------------------------------------------------------------------------


def test_the_id_holds_name_weights_and_how_the_model_is_read(qwen2, tmp_path):
    first = backbone_id(qwen2)
    name, digest = first.rsplit("-", 1)
    assert (name, len(digest)) == ("qwen2", 12)
    assert int(digest, 16) >= 0
    assert backbone_id(Backbone(qwen2)) == first == backbone_id(Path(qwen2), "last", 1024)
    others = [backbone_id(qwen2, "all"), backbone_id(qwen2, (0, 2)), backbone_id(qwen2, (2, 0))]
    others += [backbone_id(qwen2, max_length=64), backbone_id(save_qwen2(tmp_path / "qwen2", seed=1))]
    others += [backbone_id(save_qwen2(tmp_path / "b" / "qwen2", positions=511))]
    assert len({first, *others}) == 7
    # The same files under another name are the same weights.
    copy = shutil.copytree(qwen2, tmp_path / "my model (v2)")
    assert backbone_id(copy) == f"my-model-v2-{digest}"


def test_the_first_and_last_mebibyte_of_the_weights_count(tmp_path):
    (tmp_path / "config.json").write_text("{}")

    def id_with_change_at(place: int | None) -> str:
        content = bytearray(3 << 20)
        if place is not None:
            content[place] = 1
        (tmp_path / "model.safetensors").write_bytes(content)
        return backbone_id(tmp_path)

    ends = {id_with_change_at(place) for place in (None, 0, (1 << 20) - 1, 2 << 20, (3 << 20) - 1)}
    assert len(ends) == 5
    # Reading tens of gigabytes at every start would take minutes.
    assert id_with_change_at(3 << 19) == id_with_change_at(None)


def test_folders_that_are_no_models(qwen2, tmp_path):
    with refused(f"{tmp_path}/gone", "file"):
        backbone_id(tmp_path / "gone")
    with refused(str(tmp_path), "file", "config.json"):
        backbone_id(tmp_path)
    copy = Path(shutil.copytree(qwen2, tmp_path / "qwen2"))
    (copy / "model.safetensors").rename(copy / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with refused(str(copy), "file", "model-00002-of-00002.safetensors"):
        backbone_id(copy)
    for text in ("", "[" * 100_000, "[]", "{}", '{"weight_map": {"a": 1}}'):
        (copy / "model.safetensors.index.json").write_text(text)
        with refused(f"{copy}/model.safetensors.index.json", "file"):
            backbone_id(copy)
    for file in copy.glob("model*"):
        file.unlink()
    with refused(str(copy), "file", "*.safetensors or"):
        backbone_id(copy)
    (copy / "model.safetensors").write_bytes(b"no weights")
    with refused(str(copy), "file"):
        embed_texts(TEXTS, str(copy))


def test_a_hub_id_is_its_snapshot_on_this_machine(qwen2, cached_model, tmp_path):
    snapshot = tmp_path / "hub" / "models--owner--model" / "snapshots" / "1"
    (snapshot / "model.safetensors").unlink()
    with refused("owner/model", "file", "*.safetensors"):  # its config alone has been fetched
        backbone_id("owner/model")
    shutil.copytree(qwen2, snapshot, dirs_exist_ok=True)
    assert backbone_id("owner/model") == backbone_id(qwen2).replace("qwen2-", "model-")
    assert embed_texts(["a"], "owner/model").shape == (1, WIDTH)
    with refused("owner/unknown", "file"):
        backbone_id("owner/unknown")


# --- the cache ---------------------------------------------------------------------------------------------------


def test_only_what_is_missing_is_embedded(qwen2, tmp_path):
    assert (missing(TEXTS, qwen2, tmp_path), check_cache(qwen2, tmp_path)) == (6, None)
    first = quiet(TEXTS[:4], qwen2, tmp_path)
    assert (missing(TEXTS + TEXTS, qwen2, tmp_path), check_cache(qwen2, tmp_path)) == (2, WIDTH)
    found = quiet([TEXTS[5], *TEXTS, TEXTS[0]], qwen2, tmp_path)
    np.testing.assert_array_equal(found[1:5], first)
    np.testing.assert_array_equal(found[[0, 7]], found[[6, 1]])
    np.testing.assert_allclose(found[1:7], embed_texts(TEXTS, qwen2), rtol=1e-5, atol=1e-5)
    # Six different texts in two shards, none twice, and nothing but what belongs there.
    assert sorted(len(load_file(shard)["key"]) for shard in shards(tmp_path)) == [2, 4]
    names = {file.name for file in tmp_path.rglob("*") if file.is_file()}
    assert names == {"model.json", *(shard.name for shard in shards(tmp_path))}


def test_what_the_cache_says_of_itself(qwen2, tmp_path):
    quiet(TEXTS, qwen2, tmp_path, layers=(0, 2), max_length=9)
    name = backbone_id(qwen2, (0, 2), 9)
    content = json.loads((tmp_path / name / "model.json").read_text())
    how = {"layers": [0, 2], "max_length": 9, "reads": "question"}
    assert content == {"format": 1, "backbone": name, "width": 2 * WIDTH} | how


def test_what_is_read_of_questions_and_answers(qwen2):
    texts, answers = ("What is 1+1?", "And?"), ("2", "x" * 500)
    assert Backbone(qwen2).inputs(texts, answers) == texts
    both = Backbone(qwen2, reads="answer_and_question").inputs(texts, answers)
    assert both == ("Answer: 2\nQuestion: What is 1+1?", f"Answer: {'x' * 200}\nQuestion: And?")
    with refused("reads", "choice", "question, answer_and_question"):
        Backbone(qwen2, reads="answer")


def test_each_way_of_reading_has_a_cache_of_its_own(backbones, qwen2, tmp_path):
    quiet(TEXTS, qwen2, tmp_path)
    for backbone in (
        Backbone(qwen2, "all"),
        Backbone(qwen2, max_length=5),
        Backbone(qwen2, reads="answer_and_question"),
        Backbone(backbones["bert"]),
    ):
        assert missing(TEXTS, backbone, tmp_path) == 6
        np.testing.assert_array_equal(quiet(TEXTS, backbone, tmp_path), embed_texts(TEXTS, backbone))
    assert len(list(tmp_path.iterdir())) == 5


def test_a_full_cache_needs_no_model(qwen2, tmp_path):
    copy = Path(shutil.copytree(qwen2, tmp_path / "qwen2"))
    found, name = quiet(TEXTS, copy, tmp_path / "cache"), backbone_id(copy)
    # Without its tokenizer the model still has a name, but cannot be used.
    for file in copy.glob("tokenizer*"):
        file.unlink()
    with refused(str(copy), "file", "tokenizer"):
        quiet(["new"], copy, tmp_path / "cache")
    np.testing.assert_array_equal(quiet(TEXTS, copy, tmp_path / "cache"), found)
    shutil.rmtree(copy)
    np.testing.assert_array_equal(load_embeddings(TEXTS[::-1], name, tmp_path / "cache"), found[::-1])
    with refused(f"{tmp_path}/cache/{name}", "missing", "1 of 2", "[1]", "verl_dots.difficulty.embed"):
        load_embeddings(["a", "new"], name, tmp_path / "cache")
    with refused(f"{tmp_path}/cache/another-123456789abc", "missing", "1 of 1"):
        load_embeddings(["a"], "another-123456789abc", tmp_path / "cache")


def test_what_takes_long_is_told_and_stored_on_the_way(qwen2, tmp_path, monkeypatch):
    """Batches of two texts, each longer than what may pass until it is stored: half of it is there when it is cut."""
    texts = ["a", "bb", "cc", "dd", "ee", "ff"]
    for seconds, kept in ((0.0, 4), (3600.0, 0)):
        monkeypatch.setattr(embeddings, "STORE_SECONDS", seconds)
        cache = tmp_path / str(seconds)
        left = embed_missing(texts, Backbone(qwen2), cache, batch_tokens=4)
        told = [next(left) for _ in range(3)]
        assert told == [6, 4, 2]
        left.close()
        assert missing(texts, qwen2, cache) == 6 - kept
    np.testing.assert_allclose(quiet(texts, qwen2, tmp_path / "0.0"), embed_texts(texts, qwen2), rtol=1e-5)
    assert list(embed_missing(texts, Backbone(qwen2), tmp_path / "0.0")) == []


def test_blank_texts(qwen2, tmp_path):
    for texts, named in ((["a", " \n", "b", ""], ["2 of 4", "[1, 3]"]), ([], ["0 of 0"])):
        for embed in (lambda texts: quiet(texts, qwen2, tmp_path), lambda texts: embed_texts(texts, qwen2)):
            with refused("", "data", *named):
                embed(texts)
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_not_finite_are_not_stored(qwen2, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "SHARD_QUESTIONS", 2)
    cache, backbone = tmp_path / "cache", str(shutil.copytree(qwen2, tmp_path / "spoilt"))
    model = AutoModel.from_pretrained(qwen2)
    model.get_input_embeddings().weight.data[AutoTokenizer.from_pretrained(qwen2)("q")["input_ids"][0]] = torch.nan
    model.save_pretrained(backbone)
    # By length: (0, 2), then (4, 5) with the bad one, (3, 1) never reached.
    texts = ["a", "eeeeeeee", "bb", "cccccc", "ddd", "aqaaa"]
    with refused(backbone, "data", "[5], 'aqaaa'"):
        quiet(texts, backbone, cache)
    # The shard before is kept: only what is left is embedded when the text has gone.
    assert missing(texts, backbone, cache) == 4
    assert [len(load_file(shard)["key"]) for shard in shards(cache)] == [2]
    del texts[5]
    np.testing.assert_allclose(quiet(texts, backbone, cache), embed_texts(texts, qwen2), rtol=1e-5)


def test_a_cache_is_not_given_values_that_are_not_finite(tmp_path):
    with refused(f"{tmp_path}/some-1", "data"):
        EmbeddingCache(tmp_path, "some-1").add(["a", "b"], np.array([[1, 2], [np.inf, 3]], np.float32))
    assert list(tmp_path.iterdir()) == []


def test_two_that_begin_at_once_agree_on_the_width(tmp_path):
    first, second = EmbeddingCache(tmp_path, "some-1"), EmbeddingCache(tmp_path, "some-1")
    first.add(["a"], np.ones((1, 2), np.float32))
    for cache in (first, second):
        with refused(f"{tmp_path}/some-1", "size", "width 3", "width is 2"):
            cache.add(["b"], np.ones((1, 3), np.float32))
    second.add(["b"], np.full((1, 2), 2, np.float32))
    both = EmbeddingCache(tmp_path, "some-1")
    assert len(both) == 2
    np.testing.assert_array_equal(both.get(["b", "a"]), [[2, 2], [1, 1]])


def write_twenty(folder, writer, together):
    store = EmbeddingCache(folder, "some-1")
    together.wait()
    for number in range(20):
        store.add([f"{writer} {number}", f"shared {number}"], np.full((2, 3), number, np.float32))


def test_processes_that_write_at_the_same_time(tmp_path):
    fork = multiprocessing.get_context("fork")
    together = fork.Barrier(2, timeout=60)
    writers = [fork.Process(target=write_twenty, args=(tmp_path, writer, together)) for writer in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    store = EmbeddingCache(tmp_path, "some-1")
    texts = [f"{writer} {number}" for writer in ("0", "1", "shared") for number in range(20)]
    assert len(store) == 60
    np.testing.assert_array_equal(store.get(texts)[:, 0], [*range(20)] * 3)
    assert not list(store.folder.glob(".*"))


DAMAGED = {
    "truncated": lambda key, rows: save({"key": key, "embedding": rows})[:-7],
    "empty": lambda key, rows: b"",
    "no key": lambda key, rows: save({"embedding": rows}),
    "width": lambda key, rows: save({"key": key, "embedding": rows[:, :5].copy()}),
    "rows": lambda key, rows: save({"key": key, "embedding": rows[:3]}),
    "type": lambda key, rows: save({"key": key, "embedding": rows.astype(np.float16)}),
    **{dtype: lambda key, rows, dtype=dtype: tensor_of("embedding", dtype, 8) for dtype in BITS},
    "bool": lambda key, rows: save({"key": key, "embedding": rows > 0}),
    "one number": lambda key, rows: save({"key": key, "embedding": np.array(1.0, np.float32)}),
    "nan": lambda key, rows: save({"key": key, "embedding": np.where(np.eye(*rows.shape), np.nan, rows)}),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_shard_is_named_and_can_be_deleted(qwen2, tmp_path, how):
    found = quiet(TEXTS, qwen2, tmp_path)
    [shard] = shards(tmp_path)
    stored = load_file(shard)
    shard.write_bytes(DAMAGED[how](stored["key"], stored["embedding"]))
    for use in (quiet, missing, lambda texts, *cache: check_cache(*cache)):
        with refused(str(shard), "damaged", "delete it", "finite" if how == "nan" else ""):
            use(TEXTS, qwen2, tmp_path)
    shard.unlink()
    np.testing.assert_array_equal(quiet(TEXTS, qwen2, tmp_path), found)


def test_a_shard_that_goes_or_changes_while_it_is_in_use(qwen2, tmp_path):
    quiet(TEXTS, qwen2, tmp_path)
    store = EmbeddingCache(tmp_path, backbone_id(qwen2))
    [gone] = shards(tmp_path)
    for dtype in BITS:
        gone.write_bytes(tensor_of("embedding", dtype, 8))
        with refused(str(gone), "damaged"):
            store.get(TEXTS)
    gone.write_bytes(save({"embedding": np.zeros((1, WIDTH), np.float32)}))  # of fewer rows
    with refused(str(gone), "damaged"):
        store.get(TEXTS)
    gone.unlink()
    with refused(str(gone), "damaged"):
        store.get(TEXTS)


@pytest.mark.parametrize(
    ("change", "reason", "place", "named"),
    [
        ({"backbone": "other-000000000000"}, "other run", "", ["'other-000000000000' in format 1", "'qwen2-"]),
        ({"format": 2}, "other run", "", ["format 2", "format 1"]),
        ({"width": 5}, "damaged", "*.safetensors", ["width 5"]),
        ({"width": "5"}, "damaged", "model.json", ["'5'"]),
        ({"width": True}, "damaged", "model.json", ["True"]),
        ("{", "damaged", "model.json", []),
        ("[" * 100_000, "damaged", "model.json", []),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_cache_of_something_else(qwen2, tmp_path, change, reason, place, named):
    quiet(TEXTS, qwen2, tmp_path)
    cache = tmp_path / backbone_id(qwen2)
    file = cache / "model.json"
    file.write_text(change if isinstance(change, str) else json.dumps(json.loads(file.read_text()) | change))
    key = next(cache.glob(place)) if place else cache
    with refused(str(key), reason, *named):
        quiet(TEXTS, qwen2, tmp_path)
