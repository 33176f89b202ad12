"""The command `collect`: what it refuses, what it makes of a run's rollouts, and real rollouts through Ray."""

import re
from functools import cache

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from data_prep.schema import make_row
from tests.labelling.test_rollout_logs import dump
from tests.launches import must_train, save_untrained
from verl_dots.data.asked_questions import read_asked_questions
from verl_dots.labelling import command
from verl_dots.labelling.from_model import configure, settings_of
from verl_dots.labelling.success_rates import Outcome, ProgressFile, RewardRange, write_labels
from verl_dots.launch import generation_config
from verl_dots.launch.compose import compose
from verl_dots.rewards.compute import compute_score
from verl_dots.rollout.loading import load_engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.settings import EngineConfig

pytestmark = pytest.mark.usefixtures("own_environment")
COMMAND = "verl_dots.difficulty.collect"


@cache
def composed(*overrides):
    return compose([*overrides])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The folder of the command: a data file of three questions and a folder that looks like a model."""
    rows = [
        make_row(
            data_source="arithmetic", prompt=[{"role": "user", "content": content}], ability="math",
            ground_truth=answer, index=index, split="train",
        )
        for index, (content, answer) in enumerate([("What is 1+1?", "2"), ("What is 2+2?", "4"), ("And 3+3?", "6")])
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    pq.write_table(pa.table({"question": ["1+1?"]}), tmp_path / "columns.parquet")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    save_untrained(tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    save_untrained(tmp_path / "strict")
    (tmp_path / "strict" / "chat_template.jinja").write_text("{{ raise_exception('Roles must alternate') }}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(generation_config, "compose", lambda overrides: composed(*overrides).copy())
    return tmp_path


def collect(*arguments):
    return command.main([*arguments, "--out", "labels.parquet"])


MODEL = ["data.parquet", "--model", "model"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([*MODEL, "--rollouts", "0"], "--rollouts 0: must be at least 1"),
        ([*MODEL, "--reward-range", "1", "-1"], "--reward-range 1 -1: the first must be"),
        ([*MODEL, "--last-steps", "3"], "--last-steps belongs to --from-rollouts"),
        (["data.parquet"], "--model is missing"),
        (["data.parquet", "--model", "./nowhere"], "'./nowhere' is not a model folder"),
        (MODEL, "model has no tokenizer that loads"),
        (["data.parquet", "--model", "cut"], "cut/model.safetensors: it is damaged or cut short"),
        (["data.parquet", "--model", "strict"], "the tokenizer's chat template refuses a prompt: Roles must"),
        (["--model", "model"], "no data: name at least one file"),
        (["columns.parquet", "--model", "model"], "columns.parquet has no column ['prompt', 'reward_model']"),
        ([*MODEL, "data.max_length=3"], "unknown config key 'data.max_length'"),
        ([*MODEL, "actor_rollout_ref.rollout.name=vllm"], "needs a GPU"),
        ([*MODEL, "actor_rollout_ref.rollout.tensor_model_parallel_size=2"], "one replica takes 2 devices"),
        (["data.parquet", "--from-rollouts", "."], "--device: no model runs when labels come from kept rollouts"),
    ],
)
def test_bad_input_ends_with_code_2_and_says_why(files, capsys, arguments, words):
    import ray

    assert collect(*arguments, "--device", "cpu") == 2
    assert words in capsys.readouterr().err
    assert not ray.is_initialized()
    assert not list(files.glob("labels.parquet*"))


def test_finished_labels_of_other_scorers_or_of_an_earlier_version_are_refused(files, capsys):
    arguments = ["data.parquet", "--model", "cut", "--device", "cpu"]
    options = command.parse([*arguments, "--out", "labels.parquet"])

    def settings():
        return settings_of(configure(options), read_asked_questions(options.data, "prompt"), options.rollouts)

    provenance = {"settings": settings(), "labeller": "cut", "reward_range": [0, 1], "counts": {"questions": 3}}
    write_labels(files / "labels.parquet", [("a", "1+1?", "2", Outcome((1.0,)))], RewardRange(), provenance)
    assert collect(*arguments) == 0
    rows = pq.read_table("data.parquet").to_pylist()
    pq.write_table(pa.Table.from_pylist([{**row, "data_source": "openai/gsm8k"} for row in rows]), "data.parquet")
    assert collect(*arguments) == 2
    told = capsys.readouterr().err
    assert "(scorers: 'arithmetic, sha256 " in told and "'openai/gsm8k, sha256 " in told
    earlier = {name: value for name, value in settings().items() if name not in ("scorers", "tokenizer")}
    write_labels(
        files / "labels.parquet", [("a", "1+1?", "2", Outcome((1.0,)))], RewardRange(),
        {**provenance, "settings": earlier},
    )  # fmt: skip
    assert collect(*arguments) == 2
    told = capsys.readouterr().err
    assert "is of a version that did not note all settings (scorers: not noted there, " in told
    assert "tokenizer: not noted there, " in told


def test_finished_labels_of_other_settings_are_not_overwritten(files, capsys):
    out = files / "labels.parquet"
    write_labels(out, [("a", "1+1?", "2", Outcome((1.0,)))], RewardRange(), {"settings": {"rollouts": 4}})
    before = out.read_bytes()
    assert collect(*MODEL, "--device", "cpu") == 2
    assert "labels.parquet was made with other settings" in capsys.readouterr().err
    assert out.read_bytes() == before


# --- from a run's rollouts -----------------------------------------------------------------------------------


@pytest.fixture
def rollouts(files):
    """What a run of three steps has kept: two questions of the data, and one of other data."""
    (files / "run").mkdir()
    config = "trainer: {rollout_data_dir: run/rollouts}\ndata: {train_files: [data.parquet], prompt_key: prompt}\n"
    (files / "run" / "config.yaml").write_text(config)
    first, third = "user\nWhat is 1+1?\nassistant\n", "user\nAnd 3+3?\nassistant\n"
    dump("run/rollouts", 1, [("p0_0_0", first, "2", 0.0), ("p0_1_0", first, "2", 1.0)])
    dump("run/rollouts", 2, [("p0_0_0", third, "6", 1.0), ("p0_1_0", third, "6", 1.0), ("p1_0_0", first, "2", 0.0)])
    dump("run/rollouts", 3, [("p0_0_0", first, "2", 0.0), ("p1_0_0", "user\nOther?\nassistant\n", "9", 0.0)])
    return ["--from-rollouts", "run/rollouts"]


def test_labels_from_a_run_folder(rollouts, caplog, capsys):
    assert collect("--from-run", "run") == 0
    ids = [row["question_id"] for row in pd.read_parquet("data.parquet")["extra_info"]]
    labels = pd.read_parquet("labels.parquet")
    assert labels["question_id"].tolist() == [ids[0], ids[2]]
    assert labels["text"].tolist() == ["What is 1+1?", "And 3+3?"]
    assert labels["answer"].tolist() == ["2", "6"]
    # 1 of 2 + 1 + 1 rollouts; 2 of 2.
    assert labels["success_rate"].tolist() == [0.25, 1.0]
    assert labels["rollouts"].tolist() == [4, 2]
    assert labels["labeller"].tolist() == ["run, steps 1 to 3"] * 2
    assert "1 of 3 logged prompts fit no question" in caplog.text
    assert re.search(r"in between +│ 50.0 %", capsys.readouterr().out)


def test_without_data_the_logged_prompts_are_the_questions(rollouts, caplog):
    assert collect(*rollouts) == 0
    labels = pd.read_parquet("labels.parquet")
    assert labels["success_rate"].tolist() == [0.25, 1.0, 0.0]
    assert labels["question_id"].is_unique
    assert "the question ids are those of the rendered prompts" in caplog.text


def test_rewards_of_a_run_outside_the_range_need_one(rollouts, capsys):
    dump("run/rollouts", 4, [("p0_0_0", "user\nWhat is 1+1?\nassistant\n", "2", -1.0)])
    arguments = ["data.parquet", *rollouts, "--last-steps", "1"]
    assert collect(*arguments) == 2
    assert re.search(r"question [0-9a-f]{16}: reward -1 is outside \[0, 1\]", capsys.readouterr().err)
    assert collect(*arguments, "--reward-range", "-1", "1") == 0
    labels = pd.read_parquet("labels.parquet")
    assert labels["success_rate"].tolist() == [0.0] and labels["labeller"].tolist() == ["run/rollouts, steps 4 to 4"]


def test_a_labeller_that_is_named_has_that_name(rollouts):
    assert collect(*rollouts, "--labeller", "policy early on") == 0
    assert set(pd.read_parquet("labels.parquet")["labeller"]) == {"policy early on"}


# --- from a model --------------------------------------------------------------------------------------------


@pytest.fixture
def questions(inputs, tmp_path):
    """The first 16 training questions, and one whose prompt is too long."""
    rows = pq.read_table(inputs.data / "train.parquet").slice(0, 16).to_pylist()
    rows.append({**rows[0], "prompt": [{"role": "user", "content": "1 + " * 60 + "1"}]})
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data" / "train.parquet")
    return tmp_path / "data" / "train.parquet"


def measured_directly(model, rows, rollouts, seed):
    """Outcome of each row, by the engine without Ray and verl, one request at a time."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    engine = load_engine(str(model), EngineConfig(max_model_len=112 + 24, seed=seed))
    outcomes = []
    for row in rows:
        chat = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
        prompt = tuple(tokenizer.encode(chat, add_special_tokens=False))
        rewards, lengths = [], []
        for index in range(rollouts):
            engine.add(Request("r", prompt, SamplingParams(max_tokens=24, temperature=0.7, rollout_index=index)))
            [done] = engine.run()
            text = tokenizer.decode(done.token_ids, skip_special_tokens=True)
            rewards.append(compute_score("arithmetic", text, row["reward_model"]["ground_truth"])["score"])
            lengths.append(len(done.token_ids))
        outcomes.append(Outcome(tuple(rewards), tuple(lengths)))
    return outcomes


@pytest.fixture
def arguments(inputs, questions):
    """The command for 4 rollouts of each."""
    return [
        questions, "--model", inputs.model, "--device", "cpu", "--seed", "5", "--rollouts", "4",
        "actor_rollout_ref.rollout.temperature=0.7", "data.max_prompt_length=112", "data.max_response_length=24",
    ]  # fmt: skip


@pytest.fixture
def interrupted(inputs, questions, arguments, tmp_path):
    """Outcomes by the engine alone, and where an interruption at 6 of 16 questions would have left the labels."""
    rows = pq.read_table(questions).slice(0, 16).to_pylist()
    outcomes = dict(zip(map(id_of, rows), measured_directly(inputs.model, rows, rollouts=4, seed=5), strict=True))
    options = command.parse([*map(str, arguments), "--out", "labels.parquet"])
    settings = settings_of(configure(options), read_asked_questions(options.data, "prompt"), options.rollouts)
    assert (settings["seed"], settings["temperature"], settings["rollouts"]) == (5, 0.7, 4)
    (tmp_path / "out").mkdir()
    with ProgressFile(tmp_path / "out" / "labels.parquet.progress.jsonl", settings) as progress:
        for question_id in list(outcomes)[::3]:
            progress.add(question_id, outcomes[question_id])
    return outcomes, tmp_path / "out" / "labels.parquet"


def id_of(row):
    return row["extra_info"]["question_id"]


@pytest.mark.e2e
def test_labels_are_those_of_the_engine_alone_after_an_interruption(inputs, arguments, interrupted, caplog):
    outcomes, out = interrupted
    output = must_train([*arguments, "trainer.n_gpus_per_node=2", "--out", out], COMMAND)
    assert "1 prompts are longer than data.max_prompt_length=112 and are left out" in output
    assert "6 of 17 questions are done already" in output
    assert "40/40" in output
    labels = pd.read_parquet(out)
    assert labels["question_id"].tolist() == list(outcomes)
    assert labels["success_rate"].tolist() == [sum(outcome.rewards_G) / 4 for outcome in outcomes.values()]
    assert labels["mean_response_length"].tolist() == [sum(outcome.lengths_G) / 4 for outcome in outcomes.values()]
    assert (labels["rollouts"] == 4).all() and (labels["labeller"] == str(inputs.model)).all()
    # A model that is neither hopeless nor perfect, or the comparison above would say little.
    assert 0 < labels["success_rate"].mean() < 1
    assert [file.name for file in out.parent.iterdir()] == ["labels.parquet"]
    caplog.set_level("INFO")
    assert command.main([*map(str, arguments), "--out", str(out)]) == 0
    assert "labels.parquet is complete already" in caplog.text


@pytest.mark.e2e
@pytest.mark.long
def test_one_replica_without_an_interruption_writes_the_same_file(arguments, interrupted, tmp_path):
    _, out = interrupted
    must_train([*arguments, "trainer.n_gpus_per_node=2", "--out", out], COMMAND)
    must_train([*arguments, "--out", tmp_path / "whole.parquet"], COMMAND)
    assert (tmp_path / "whole.parquet").read_bytes() == out.read_bytes()
