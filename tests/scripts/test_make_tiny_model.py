"""The tiny model: its tokenizer after a reload, the chat template, a short and repeatable warm-up."""

from random import Random

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from data_prep.arithmetic import TASK
from data_prep.byte_tokenizer import VOCAB_SIZE, build_tokenizer, encode
from data_prep.splits import rows_of, sample_splits, write_splits
from data_prep.warmup import PHASES, TEACHERS, draw_demonstration, respond
from scripts import make_tiny_model as script

TEACHER = TEACHERS["arithmetic"]


def make(out, *arguments):
    script.main(["--out", str(out), "--data", "none", "--steps", "2", "--threads", "1", *arguments])
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    "text", ["What is 17 plus five?", "17:17 +5:22\n#### 22", "\n", "\n\n", "  two  spaces", "é 数 🙂"]
)
def test_round_trip_after_reload(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert len(ids) == len(text.encode("utf-8"))  # one token per byte
    assert tokenizer.decode(ids) == text


def test_special_tokens(tokenizer, folder):
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokenizer.encode("<|im_end|>", add_special_tokens=False) == [end]
    assert tokenizer.eos_token_id == end != tokenizer.pad_token_id
    assert len(tokenizer) <= VOCAB_SIZE
    generation = GenerationConfig.from_pretrained(folder)
    assert (generation.eos_token_id, generation.pad_token_id) == (end, tokenizer.pad_token_id)
    config = AutoConfig.from_pretrained(folder)
    assert (config.model_type, config.eos_token_id) == ("qwen2", end)
    assert tokenizer.decode([*tokenizer.encode("#### 4"), end], skip_special_tokens=True) == "#### 4"


def test_chat_template(tokenizer):
    messages = [{"role": "user", "content": "1 plus 1?"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert prompt == "<|im_start|>user\n1 plus 1?<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert len(ids) == 1 + 5 + 9 + 2 + 1 + 10  # <start> "user\n" the question <end> "\n" <start> "assistant\n"
    dialogue = [*messages, {"role": "assistant", "content": "#### 2"}]
    assert tokenizer.apply_chat_template(dialogue, tokenize=False).endswith("assistant\n#### 2<|im_end|>\n")


def test_every_question_fits(tokenizer):
    prompts = [row["prompt"] for row in rows_of(TASK, sample_splits(TASK, 1000, 100, 1).train, "train")]
    chats = [tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False) for prompt in prompts]
    assert 60 < max(map(len, chats)) <= 96


def test_labels_are_the_response_only():
    tokenizer = build_tokenizer()
    ids, prompt_length = encode(tokenizer, "1 plus 1?", "#### 2")
    assert tokenizer.decode(ids[:prompt_length]).endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(ids[prompt_length:]) == "#### 2<|im_end|>"
    input_ids, labels = next(script.batches(tokenizer, TEACHER, PHASES["skills"].habits, 4, Random(0), frozenset()))
    assert input_ids.shape == labels.shape and input_ids.shape[0] == 4
    for row_ids, row_labels in zip(input_ids, labels, strict=True):
        kept = row_labels != script.IGNORED
        assert torch.equal(row_ids[kept], row_labels[kept])
        text = tokenizer.decode(row_labels[kept])
        assert "\n#### " in text and text.endswith("<|im_end|>")


def test_same_seed_same_weights(folder, tmp_path):
    name = "model.safetensors"
    assert (make(tmp_path / "again") / name).read_bytes() == (folder / name).read_bytes()
    assert (make(tmp_path / "other", "--seed", "2") / name).read_bytes() != (folder / name).read_bytes()


def test_saved_model_is_float32_and_small(folder):
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    assert 300_000 < model.num_parameters() < 500_000


def test_warm_up_lowers_the_loss():
    tokenizer = build_tokenizer()
    losses = []
    for steps in (1, 40):
        size = script.Size(32, 64, 1, 2, 1, steps=steps, batch=8, learning_rate=4e-3)
        losses.append(script.warm_up(script.build_model(size, tokenizer, 1), tokenizer, TEACHER, size, 1, frozenset()))
    # a fresh model is near log(264) = 5.58 nats; digits, ":", " " and the fixed ending are soon learned
    assert losses[0] > 5.0
    assert losses[1] < 3.5


def test_warm_up_never_draws_a_validation_question(tmp_path):
    write_splits(TASK, tmp_path, train=50, val=500, seed=1)
    forbidden = script.validation_questions(str(tmp_path), "arithmetic")
    assert len(forbidden) == 500
    rng = Random(0)
    drawn = {draw_demonstration(TEACHER, PHASES["skills"].habits, rng, forbidden).question for _ in range(3000)}
    free = {draw_demonstration(TEACHER, PHASES["skills"].habits, rng, frozenset()).question for _ in range(3000)}
    assert not drawn & forbidden
    assert free & forbidden  # without the guard they do meet


def test_teacher():
    problem = sample_splits(TASK, 50, 50, 1).train[0]
    full = respond(problem, 1.0, Random(0))
    assert full.endswith(f"\n#### {problem.answer}")
    wrong = {respond(problem, 0.0, Random(seed)) for seed in range(40)}
    assert full not in wrong
    for habits in (phase.habits for phase in PHASES.values()):
        assert len(habits) == 10
        right = [habit.right for habit in habits if habit.share]
        assert right == sorted(right, reverse=True)


def test_phases_cover_all_steps():
    names = script.phase_of_steps(TEACHER, 20)
    assert names == ["skills"] * 13 + ["habits"] * 7  # 0.65 * 20 = 13
    assert len(script.phase_of_steps(TEACHER, 1)) == 1


def test_learning_rate():
    factors = [script.learning_rate_factor(step, 100) for step in range(100)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])  # 5 steps of rise
    assert factors[5] == pytest.approx(1.0)
    assert 0.05 < factors[-1] < 0.06


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "--seed must be at least 0, got -1"),
        (["--steps", "0"], "--steps must be at least 1, got 0"),
        (["--data", "/no/such/folder"], "python -m data_prep.arithmetic --out /no/such/folder"),
        (["--size", "huge"], "invalid choice: 'huge'"),
    ],
)
def test_bad_arguments(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        script.main(["--out", str(tmp_path), "--data", "none", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
