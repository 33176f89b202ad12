"""Evaluation, labels and single answers through verl's vLLM server on a CPU; without seeds, with vLLM as it is."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.launches import ROOT
from tests.vllm_cpu.conftest import SERVER, WORKER

pytestmark = [pytest.mark.long, pytest.mark.e2e]
LENGTHS = ("data.max_prompt_length=112", "data.max_response_length=24")
TEMPERATURES = (0.5, 1.0, 2.0)  # vLLM takes none above 2


def test_greedy_answers_are_those_of_the_engine(vllm_cpu, tmp_path):
    """In float32 only rounding can differ, between tokens that are equally likely."""
    found = {}
    for engine in ("hf", "vllm"):
        settings = SERVER if engine == "vllm" else ("device=cpu",)
        vllm_cpu.run(
            "python", "-m", "verl_dots.evaluate", vllm_cpu.model, "--data", vllm_cpu.data / "val.parquet",
            "--out", tmp_path / engine, "--rollouts", 1, *settings, *LENGTHS,
        )  # fmt: skip
        found[engine] = pq.read_table(tmp_path / engine / "generations.parquet").to_pylist()
        assert f"{engine} float32" in (tmp_path / engine / "evaluation.md").read_text()
    pairs = list(zip(found["hf"], found["vllm"], strict=True))
    differing = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(pairs) == 16 and len(differing) <= 1, differing


def test_labels_are_the_same_in_two_runs_with_seeds(vllm_cpu, tmp_path):
    rates = []
    for run in ("once", "again"):
        out = tmp_path / f"{run}.parquet"
        vllm_cpu.run(
            "python", "-m", "verl_dots.difficulty.collect", vllm_cpu.data / "train.parquet", "--model", vllm_cpu.model,
            "--out", out, "--rollouts", 8, *SERVER, WORKER, *LENGTHS,
            "actor_rollout_ref.rollout.full_determinism=True",
        )  # fmt: skip
        rates.append(pd.read_parquet(out)["success_rate"])
    assert len(rates[0]) == 64
    # With one seed for all requests of a question its eight answers would be one: all right or all wrong.
    assert ((rates[0] > 0) & (rates[0] < 1)).sum() >= 8
    pd.testing.assert_series_equal(*rates)


def test_a_batch_of_several_temperatures_has_the_log_probs_of_each(vllm_cpu, tmp_path):
    out = tmp_path / "answers.json"
    vllm_cpu.run(
        "python", ROOT / "tests" / "vllm_cpu" / "answers.py", vllm_cpu.data / "val.parquet", out,
        ",".join(map(str, TEMPERATURES)), f"actor_rollout_ref.model.path={vllm_cpu.model}", *SERVER, *LENGTHS,
    )  # fmt: skip
    answers = json.loads(out.read_text())
    assert len(answers) == 16 * len(TEMPERATURES)
    model = AutoModelForCausalLM.from_pretrained(vllm_cpu.model, dtype=torch.float32).eval()
    tokens = len(AutoTokenizer.from_pretrained(vllm_cpu.model))
    assert tokens < model.config.vocab_size
    entropies = {temperature: [] for temperature in TEMPERATURES}
    for answer in answers:
        ids, begin = torch.tensor([answer["prompt"] + answer["tokens"]]), len(answer["prompt"])
        with torch.no_grad():
            logits_TV = model(ids).logits[0, begin - 1 : -1]
        logits_TV[:, tokens:] = -torch.inf  # as verl's server does: logits that stand for no token of the tokenizer
        expected_T = (logits_TV / answer["temperature"]).log_softmax(-1).gather(1, ids[0, begin:, None])[:, 0]
        # Those of another temperature of the three differ by tenths, and without the mask some of 2.0 by thousandths.
        torch.testing.assert_close(torch.tensor(answer["log_probs"]), expected_T, rtol=0, atol=5e-5)
        entropies[answer["temperature"]] += (-expected_T).tolist()
    means = [sum(found) / len(found) for found in entropies.values()]
    assert means == sorted(means) and means[-1] > means[0] + 0.5, means
