"""The command `evaluate`: what it refuses, what it makes of finished generations, and real rollouts through Ray."""

import json
import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from tests.evaluation.conftest import row
from tests.evaluation.shards import save_checkpoint
from tests.launches import must_train
from verl_dots import evaluate
from verl_dots.data.provenance import read_provenance
from verl_dots.evaluation.storage import Generation, GenerationJournal
from verl_dots.manifest import write_manifest
from verl_dots.rewards.compute import compute_score
from verl_dots.rollout.loading import load_engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.settings import EngineConfig

pytestmark = pytest.mark.usefixtures("own_environment")
COMMAND = "verl_dots.evaluate"
VAL = "actor_rollout_ref.rollout.val_kwargs"
SETTINGS = ["device=cpu", "data.max_prompt_length=112", "data.max_response_length=24", "dots.seed=5"]
SAMPLED = [f"{VAL}.temperature=0.7", f"{VAL}.top_p=0.95"]


@pytest.fixture
def files(random_model, tmp_path, monkeypatch, cached_model):
    """Data files, a model, and folders that are none."""
    rows = [row("What is 1+1?", "2"), row("What is 2+2?", "4")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    pq.write_table(pa.Table.from_pylist([row("What am I?", source="riddles")]), tmp_path / "new.parquet")
    for name in ("model", "strict", "cut"):
        shutil.copytree(random_model, tmp_path / name)
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (tmp_path / "strict" / "chat_template.jinja").write_text("{{ raise_exception('Roles must alternate') }}")
    for name in ("empty", "dumb"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "dumb" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    return tmp_path


DATA = ["--data", "data.parquet"]
CUT = ["data.max_prompt_length=30", "data.truncation=left"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["./nowhere", *DATA], "there is no folder './nowhere'"),
        (["empty", *DATA], "'empty' has a config.json but no weights"),
        (["owner/model", *DATA], "--out is missing: 'owner/model' is a hub id"),
        (["models/nowhere", *DATA], "there is no folder 'models/nowhere'; give a run folder"),
        (["model", "--data", "new.parquet"], "no reward function for data source 'riddles'"),
        (["model", *DATA, "--rollouts", "4"], "all 4 responses to a question are the same at temperature 0"),
        (["model", "greedy", *DATA], "greedy: neither KEY=VALUE nor an option"),
        (["dumb", *DATA], "dumb has no tokenizer that loads"),  # it has no tokenizer
        (["cut", *DATA], "cut/model.safetensors: it is damaged or cut short"),
        # Of data that may be cut verl's way the check of all commands says nothing.
        (["strict", *DATA, *CUT], "the tokenizer's chat template refuses a prompt: Roles must alternate"),
        (["model", *DATA, *CUT], "2 prompts (arithmetic) are longer than data.max_prompt_length=30, the longest"),
    ],
)
def test_bad_input_ends_with_code_2_and_says_why(files, capsys, arguments, words):
    import ray

    before = sorted(files.rglob("*"))
    assert evaluate.main([*arguments, "device=cpu"]) == 2
    assert words in capsys.readouterr().err
    assert not ray.is_initialized()
    assert sorted(files.rglob("*")) == before


def test_a_checkpoint_with_a_changed_byte_is_refused_before_anything_is_merged(files, random_model, capsys):
    step = files / "global_step_7"
    shard = save_checkpoint(step, random_model) / "model_world_size_2_rank_1.pt"
    write_manifest(step, 7)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert evaluate.main(["global_step_7", *DATA, "device=cpu"]) == 2
    assert "actor/model_world_size_2_rank_1.pt has changed since it was saved" in capsys.readouterr().err
    assert not list(step.glob("actor/*merged*"))


def test_ending_tokens_are_those_of_the_tokenizer_and_the_generation_config(random_model, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(random_model)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [7, 8]}')
    assert evaluate.ending_tokens(str(tmp_path), tokenizer) == {7, 8, tokenizer.eos_token_id}
    assert evaluate.ending_tokens(str(tmp_path / "nowhere"), tokenizer) == {tokenizer.eos_token_id}


@pytest.fixture
def run(inputs, tmp_path):
    """A run folder whose newest checkpoint is the tiny model on two ranks, and two data sets of 8 questions."""
    save_checkpoint(tmp_path / "run" / "global_step_7", inputs.model)
    (tmp_path / "run" / "latest_checkpointed_iteration.txt").write_text("7")
    table = pq.read_table(inputs.data / "val.parquet")
    pq.write_table(table.slice(0, 12), tmp_path / "easy.parquet")
    pq.write_table(table.slice(8, 8), tmp_path / "hard.parquet")
    return tmp_path


def generated_directly(model, asked, rollouts):
    """Generations of each row that is asked, by the engine without Ray and verl, one request at a time."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    engine = load_engine(str(model), EngineConfig(max_model_len=112 + 24, seed=5))
    found = []
    for each in asked:
        chat = tokenizer.apply_chat_template(each["prompt"], add_generation_prompt=True, tokenize=False)
        prompt = tuple(tokenizer.encode(chat, add_special_tokens=False))
        for index in range(rollouts):
            params = SamplingParams(max_tokens=24, temperature=0.7, top_p=0.95, rollout_index=index)
            engine.add(Request("r", prompt, params))
            [done] = engine.run()
            text = tokenizer.decode(done.token_ids, skip_special_tokens=True)
            reward = compute_score("arithmetic", text, each["reward_model"]["ground_truth"])["score"]
            cut = tokenizer.eos_token_id not in done.token_ids
            found.append((text, len(done.token_ids), reward, "length" if cut else "stop"))
    return found


@pytest.mark.e2e
@pytest.mark.long
def test_generations_are_those_of_the_model_that_was_sharded_and_the_same_after_an_interruption(
    inputs, run, capsys, caplog
):
    files = [run / "easy.parquet", run / "hard.parquet"]
    arguments = [run / "run", "--data", *files, "--limit", "8", "--rollouts", "4", *SETTINGS, *SAMPLED]
    output = must_train(arguments, COMMAND)
    out = run / "run" / "global_step_7" / "evaluation"
    assert sorted(file.name for file in out.iterdir()) == ["evaluation.json", "evaluation.md", "generations.parquet"]
    rows = pq.read_table(out / "generations.parquet").to_pylist()
    assert [(row["data_set"], row["rollout"]) for row in rows] == [
        (name, rollout) for name in ("easy", "hard") for _ in range(8) for rollout in range(4)
    ]
    asked = [row for file in files for row in pq.read_table(file).slice(0, 8).to_pylist()]
    assert [row["question_id"] for row in rows[::4]] == [row["extra_info"]["question_id"] for row in asked]
    direct = generated_directly(inputs.model, asked, rollouts=4)
    assert [(row["response"], row["tokens"], row["reward"], row["stop_reason"]) for row in rows] == direct
    share = sum(row["reward"] for row in rows) / 64
    assert 0 < share < 1  # a model that is neither hopeless nor perfect, or the comparison would say little
    results = json.loads((out / "evaluation.json").read_text())["results"]
    assert list(results) == ["easy", "hard", "average"]
    assert results["average"]["avg@4"]["value"] == pytest.approx(share)
    assert re.search(rf"\| average +\| +16 \| +{100 * share:.1f} ± ", output)

    # The same again, on two replicas and from where a crash in the 6th question would have left it.
    settings = read_provenance(out / "generations.parquet")["settings"]
    assert (settings["seed"], settings["temperature"], settings["top_p"], settings["rollouts"]) == (5, 0.7, 0.95, 4)
    with GenerationJournal(run / "again" / "generations.progress.jsonl", settings) as journal:
        for place in (0, 3, 9, 10, 15):
            kept = [{name: row[name] for name in Generation.__annotations__} for row in rows[4 * place : 4 * place + 4]]
            key = (rows[4 * place]["data_set"], rows[4 * place]["question_id"])
            journal.add(key, [Generation(**each) for each in kept])
    with (run / "again" / "generations.progress.jsonl").open("a") as file:
        file.write('{"key": ["easy", "')
    output = must_train([*arguments, "trainer.n_gpus_per_node=2", "--out", run / "again"], COMMAND)
    assert "5 of 16 questions are done already" in output
    assert "44/44" in output
    for name in ("generations.parquet", "evaluation.json", "evaluation.md"):
        assert (run / "again" / name).read_bytes() == (out / name).read_bytes()
    assert not (run / "again" / "generations.progress.jsonl").exists()

    # What is finished is only shown, and not mixed with anything else.
    caplog.set_level("INFO")
    again = [*map(str, arguments), "--out", str(run / "again")]
    assert evaluate.main(again) == 0
    assert "generations.parquet is complete already" in caplog.text
    assert "| average  |" in capsys.readouterr().out
    assert evaluate.main([*again, f"{VAL}.temperature=1.0"]) == 2
    assert "temperature: 0.7 there, 1.0 now" in capsys.readouterr().err
