import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

from tests.difficulty.tiny_backbones import save_qwen2
from verl_dots.difficulty import embed
from verl_dots.difficulty.embeddings import backbone_id, check_cache, missing


def write(path, texts: list[str]) -> str:
    truth = {"style": "rule", "ground_truth": "1"}
    rows = [{"prompt": [{"role": "user", "content": text}], "reward_model": truth} for text in texts]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> str:
    return save_qwen2(tmp_path_factory.mktemp("backbones") / "qwen2")


def run(*arguments) -> int:
    return embed.main([str(argument) for argument in arguments])


def test_it_fills_the_cache_and_says_what_it_did(backbone, tmp_path, capsys):
    first, second = write(tmp_path / "a.parquet", ["one", "two", "one"]), write(tmp_path / "b.parquet", ["two", "six"])
    cache = tmp_path / "cache"
    assert run(first, "--backbone", backbone, "--cache", cache) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("2 questions, 2 of them new, width 16, ")
    assert printed.out.rstrip().endswith(str(cache / backbone_id(backbone)))
    assert "embeddings: 100%" in printed.err and "UNEXPECTED" not in printed.err  # transformers, of the model's head
    assert run(first, second, "--backbone", backbone, "--cache", cache) == 0
    assert capsys.readouterr().out.startswith("3 questions, 1 of them new, width 16, ")
    assert missing(["one", "two", "six"], backbone, cache) == 0


def test_layers_by_number(backbone, tmp_path, capsys):
    data = write(tmp_path / "a.parquet", ["one", "two"])
    assert run(data, "--backbone", backbone, "--cache", tmp_path, "--layers", "0,2") == 0
    assert check_cache(backbone, tmp_path, layers=(0, 2)) == 32
    assert run(data, "--backbone", backbone, "--cache", tmp_path, "--layers", "all") == 0
    assert check_cache(backbone, tmp_path, layers="all") == 48


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--device", "abacus"], "--device abacus: torch knows no such device"),
        (["--batch-tokens", "0"], "--batch-tokens 0: must be 1 or more"),
        (["--prompt-key", "chat"], "has no column ['chat']"),
        (["--backbone", "{tmp}"], "is not a model folder: no config.json in it"),
        (["{tmp}/gone.parquet"], "there is no file '{tmp}/gone.parquet'"),
        (["{tmp}/blank.parquet"], "blank.parquet row 1: the question has no text"),
    ],
)
def test_bad_input(backbone, tmp_path, capsys, change, message):
    data = write(tmp_path / "a.parquet", ["one", "two"])
    write(tmp_path / "blank.parquet", ["three", " "])
    change = [word.format(tmp=tmp_path) for word in change]
    assert run("--backbone", backbone, "--cache", tmp_path / "cache", data, *change) == 2
    printed = capsys.readouterr()
    assert message.format(tmp=tmp_path) in printed.err.splitlines()[-1]
    assert (printed.out, list(tmp_path.glob("cache/*/*"))) == ("", [])


def test_weights_that_a_backbone_lacks_are_told(tmp_path, caplog):
    folder = save_qwen2(tmp_path / "qwen2")
    weights = load_file(tmp_path / "qwen2/model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, tmp_path / "qwen2/model.safetensors", {"format": "pt"})
    assert run(write(tmp_path / "a.parquet", ["one"]), "--backbone", folder, "--cache", tmp_path / "cache") == 0
    assert "lacks 1 weights, which are drawn at random: norm.weight" in caplog.text
