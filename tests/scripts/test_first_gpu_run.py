"""README's block for GPUs: the script has the same lines, and runs on stand-ins up to the first that needs a GPU."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.launches import ROOT, environment, save_untrained
from verl_dots.launch.compose import compose
from verl_dots.launch.start import validate

SCRIPT = ROOT / "scripts/first_gpu_run.sh"
QUESTIONS = 1400  # two rounds of a batch of 512 questions with 256 references
# A set of the hub: its files, by the configurations that its card names: (configuration, split, file, rows).
SETS = {
    "DigitalLearningGmbH/MATH-lighteval": [
        ("default", "train", "data/train-00000-of-00001.parquet", [
            {"problem": f"What is ${i} + 1$?", "level": f"Level {i % 3 + 3}", "type": "Prealgebra",
             "solution": f"It is $\\boxed{{{i + 1}}}$."} for i in range(QUESTIONS)
        ]),
        ("default", "test", "data/test-00000-of-00001.parquet", [
            {"problem": "What is $1$?", "level": "Level 5", "type": "Algebra", "solution": "$\\boxed{1}$"}
        ]),
    ],
    "openai/gsm8k": [
        (config, split, f"{config}/{split}-00000-of-00001.parquet",
         [{"question": f"{config} {split}: twice 540?", "answer": "2 * 540 = <<2*540=1080>>1080\n#### 1,080"}])
        for config in ("main", "socratic") for split in ("train", "test")
    ],
    "HuggingFaceH4/MATH-500": [
        (None, "test", "test.jsonl", [
            {"problem": "What is $x \\cdot x$?", "solution": "s", "answer": "x^2", "subject": "Algebra", "level": 2,
             "unique_id": "test/algebra/1.json"}
        ])
    ],
    "math-ai/minervamath": [(None, "test", "test.jsonl", [{"question": "How heavy?", "answer": "4.49e33"}])],
    "Hothan/OlympiadBench": [
        (config, "train", f"OlympiadBench/{config}/{config}.parquet", [
            {"id": 1606, "question": f"Which {config}?", "context": None, "final_answer": ["$2$,$3$"],
             "solution": ["s"], "unit": None, "subfield": "Algebra", "is_multiple_answer": True,
             "answer_type": "Numerical", "error": None, "question_type": "Open-ended", "modality": "Text-only",
             "subject": subject, "language": "English"}
        ])
        for config, subject in (("OE_TO_maths_en_COMP", "Math"), ("OE_TO_physics_en_COMP", "Physics"))
    ],
}  # fmt: skip
# What the block must leave behind: a question of each.
WRITTEN = {
    "math": "What is $0 + 1$?", "gsm8k_test": "main test: twice 540?", "math500": "What is $x \\cdot x$?",
    "minerva": "How heavy?", "olympiadbench": "Which OE_TO_maths_en_COMP?",
}  # fmt: skip


def stand_in(folder: Path, files: list) -> None:
    """A set as the hub has it: a card that names configurations and files, and the files."""
    named: dict[str, list[str]] = {}
    for config, split, name, rows in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(rows), folder / name)
        else:
            (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        if config:
            named.setdefault(config, []).append(f"  - split: {split}\n    path: {name}\n")
    configs = "".join(f"- config_name: {config}\n  data_files:\n{''.join(lines)}" for config, lines in named.items())
    (folder / "README.md").write_text(f"---\nlicense: mit\n{'configs:' if configs else ''}\n{configs}---\n# A set\n")


@pytest.fixture
def checkout(tmp_path) -> Path:
    """This checkout without the 5 GB of the installation, and the hub beside it.

    `datasets` takes a folder OWNER/NAME by the same call as a set of the hub.
    """
    (tmp_path / "scripts").mkdir()
    for path in (ROOT / "scripts").iterdir():
        (tmp_path / "scripts" / path.name).symlink_to(path)
    (tmp_path / "scripts/install_gpu.sh").unlink()
    made = '"$VENV/bin"; touch "$VENV/bin/activate"'
    (tmp_path / "scripts/install_gpu.sh").write_text(f"mkdir -p {made}; echo installed into $VENV\n")
    for name in ("recipes", "data_prep", "verl_dots"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name, files in SETS.items():
        stand_in(tmp_path / name, files)
    save_untrained(tmp_path / "model")
    return tmp_path


def block() -> str:
    """The first one of README's section."""
    section = (ROOT / "README.md").read_text().partition("\n## GPUs and SLURM\n")[2]
    return re.search(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[1]


def test_the_script_is_the_block_of_the_readme():
    head, _, lines = SCRIPT.read_text().partition('\ncd "$(dirname "$0")/.."\n\n')
    assert lines == block()
    # What fails ends it, which it does not do before an &&.
    assert head.endswith("\nset -euo pipefail") and "&&" not in lines


@pytest.mark.parametrize(("given", "gpus"), [({}, 8), ({"GPUS": "4"}, 4), ({"PREDICTOR": "/tmp"}, 8)])
def test_variables_of_the_user_stand_above_those_of_the_block(given, gpus):
    variables = {key: value for key, value in environment(DRY_RUN=1).items() if key not in ("GPUS", "PREDICTOR")}
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    runs = "export PREDICTOR=" + SCRIPT.read_text().partition("\nexport PREDICTOR=")[2]
    done = subprocess.run(["bash", "-ec", runs], cwd=ROOT, env=variables | given, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    grpo, dots_rr = (shlex.split(line) for line in done.stdout.splitlines())
    assert f"trainer.n_gpus_per_node={gpus}" in grpo and f"trainer.n_gpus_per_node={gpus}" in dots_rr
    assert ("dots.difficulty.checkpoint=/tmp" in dots_rr) == ("PREDICTOR" in given)


def test_the_doctor_looks_before_the_first_recipe_trains_and_ends_the_script_where_it_finds_a_fault(tmp_path):
    lines = block().splitlines()
    [doctor] = [number for number, line in enumerate(lines) if "verl_dots.doctor" in line]
    assert lines[doctor - 1].startswith("export PREDICTOR=")  # which the recipe needs
    assert all(line.startswith("bash recipes/") for line in lines[doctor + 1 :])
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    runs = "set -euo pipefail\n" + "\n".join(lines[doctor - 1 :])
    variables = environment(PATH=f"{tmp_path}:/usr/bin:/bin")
    done = subprocess.run(["bash", "-c", runs], cwd=ROOT, env=variables, text=True, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_the_block_runs_on_stand_ins_up_to_the_first_gpu(checkout, monkeypatch, cpu_environment):
    variables = environment(
        DRY_RUN=1, HF_HUB_OFFLINE=1, HF_HOME=checkout / "cache", MODEL="model", OMP_NUM_THREADS=1,
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )  # fmt: skip
    done = subprocess.run(["bash", "scripts/first_gpu_run.sh"], cwd=checkout, env=variables, text=True,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.startswith("installed into .venv-gpu\n")
    looked_at = "DRY_RUN: of recipes/dots/math-1.5b_math.sh dots_rr it would look at versions, "
    assert looked_at in " ".join(done.stderr.split())
    for name, question in WRITTEN.items():
        info = pq.read_table(checkout / f"data/{name}.parquet").to_pylist()[0]["extra_info"]
        assert info["question"] == question
    commands = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("python -m verl_dots.main ")]
    assert [words[3] for words in commands] == ["dots.preset=grpo", "dots.preset=dots_rr"]
    monkeypatch.chdir(checkout)
    for words in commands:
        config = compose(words[3:])
        assert (config.trainer.device, config.trainer.n_gpus_per_node) == ("cuda", 8)
        validate(config)  # all but the machine itself, data and model included
