"""A model's folder that no worker could load, or only a part of, is refused before Ray starts."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BertConfig, Qwen3MoeConfig, Qwen3MoeForCausalLM

from tests.data_files import save_tokenizer
from tests.launches import plain_config, save_untrained
from tests.refusals import changed, refused
from verl_dots import hub
from verl_dots.launch.model_checks import check_model_folder, check_places, require_model
from verl_dots.launch.start import validate
from verl_dots.settings import ConfigError

pytestmark = pytest.mark.usefixtures("cpu_environment")
GROUP = "actor_rollout_ref.model"
PATH, ADAPTER, RANK = f"{GROUP}.path", f"{GROUP}.lora_adapter_path", f"{GROUP}.lora_rank"
WEIGHTS, SECOND = "model.safetensors", "model-00002-of-00002.safetensors"
NORM, HEAD = "model.norm.weight", "lm_head.weight"


@pytest.fixture
def model(tmp_path):
    save_untrained(tmp_path / "model")
    return tmp_path / "model"


def check(model, *overrides, train=True):
    config = changed(plain_config(), [f"{PATH}={model}", *overrides])
    check_places(config)
    check_model_folder(config, train)


def with_config(model, **values):
    file = model / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def with_weights(model, change):
    weights = load_file(model / WEIGHTS)
    save_file({name: value.contiguous() for name, value in change(weights).items()}, model / WEIGHTS, {"format": "pt"})


def in_parts(model):
    """The same weights in two files and an index."""
    weights = load_file(model / WEIGHTS)
    (model / WEIGHTS).unlink()
    places = {name: SECOND if name == HEAD else SECOND.replace("2-of", "1-of") for name in weights}
    for file in set(places.values()):
        save_file({name: weights[name] for name in weights if places[name] == file}, model / file, {"format": "pt"})
    (model / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def as_pickle(model):
    torch.save(load_file(model / WEIGHTS), model / "pytorch_model.bin")
    (model / WEIGHTS).unlink()


def as_base_model(model):
    with_weights(model, lambda weights: {name.removeprefix("model."): value for name, value in weights.items()})


@pytest.mark.parametrize("change", [lambda model: None, in_parts, as_pickle, as_base_model])
def test_a_whole_model_in_any_of_its_forms_is_let_pass(model, change):
    change(model)
    check(model)


def test_weights_that_transformers_merges_are_those_of_the_model(model):
    sizes = dict(hidden_size=32, intermediate_size=64, moe_intermediate_size=16, num_hidden_layers=1, head_dim=8)
    sizes |= dict(num_attention_heads=4, num_key_value_heads=2, vocab_size=300, num_experts=4)
    Qwen3MoeForCausalLM(Qwen3MoeConfig(**sizes)).save_pretrained(model)
    check(model)
    one = "model.layers.0.mlp.experts.2.up_proj.weight"
    with_weights(model, lambda weights: {name: value for name, value in weights.items() if name != one})
    with refused(PATH, "file", str(model)):
        check(model)


@pytest.mark.parametrize("length", [0, 5, 100, -1, 2])
@pytest.mark.parametrize("form", [None, in_parts])
def test_weights_of_another_length_than_their_header_says_are_refused(model, form, length):
    """Cut to so many bytes; -1: by one byte; 2: two bytes more."""
    if form:
        form(model)
    file = model / (SECOND if form else WEIGHTS)
    content = file.read_bytes()
    file.write_bytes(content + b"\0\0" if length == 2 else content[:length])
    with refused(PATH, "file", str(file)):
        check(model)
    with refused(PATH, "file", str(file)):
        check(model, train=False)


@pytest.mark.parametrize("length", [0, 3000])
def test_a_pickle_of_weights_that_is_cut_short_is_refused(model, length):
    as_pickle(model)
    file = model / "pytorch_model.bin"
    file.write_bytes(file.read_bytes()[:length])
    with refused(PATH, "file", str(file)):
        check(model)


def test_a_pointer_of_git_lfs_is_refused_with_the_command_that_fetches_the_file(model):
    (model / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1428256\n")
    with refused(PATH, "file", str(model / WEIGHTS), "git lfs pull"):
        check(model)


@pytest.mark.parametrize(
    "index", ["{", "[]", "{}", '{"weight_map": {}}', '{"metadata": {}, "weight_map": {}}', "7", "[" * 9999]
)
def test_an_index_that_is_none_is_refused(model, index):
    in_parts(model)
    (model / f"{WEIGHTS}.index.json").write_text(index)
    with refused(PATH, "file", f"{WEIGHTS}.index.json"):
        check(model)


def test_an_index_of_files_that_are_not_there_is_refused(model):
    in_parts(model)
    (model / SECOND).unlink()
    with refused(PATH, "file", f"{WEIGHTS}.index.json", SECOND):
        check(model)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"hidden_size": 64}, f"{HEAD} is [300, 32], not [300, 64]"),
        ({"intermediate_size": 32}, "mlp.down_proj.weight is [32, 64], not [32, 32]"),
        ({"vocab_size": 320}, f"{HEAD} is [300, 32], not [320, 32]"),
        ({"num_hidden_layers": 2, "layer_types": None}, "model.layers.1."),
    ],
)
def test_weights_of_another_model_than_the_config_says_are_refused(model, config, named):
    with_config(model, **config)
    with refused(PATH, "file", str(model), named):
        check(model)


def test_what_the_run_overrides_in_the_config_counts(model):
    with_config(model, hidden_size=64)
    check(model, f"+{GROUP}.override_config.hidden_size=32")
    with refused(PATH, "file", "mlp.down_proj.weight is [32, 64], not [32, 16]"):
        check(model, f"+{GROUP}.override_config.hidden_size=32", f"+{GROUP}.override_config.intermediate_size=16")


def test_weights_that_would_be_drawn_at_random_are_refused(model):
    with_weights(model, lambda weights: {name: value for name, value in weights.items() if name != NORM})
    with refused(PATH, "file", str(model), NORM):
        check(model)


def test_a_folder_without_weights_can_be_merged_into_and_not_trained(model):
    (model / WEIGHTS).unlink()
    check(model, train=False)
    with refused(PATH, "file", str(model), WEIGHTS):
        check(model)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "config.json"), ("[]", "config.json"), ("{}", "config.json"),
        ('{"model_type": "qwen99", "architectures": ["Qwen99ForCausalLM"]}', "qwen99"),
        ('{"model_type": "qwen2"}', "architectures"),
        ('{"model_type": "qwen2", "num_hidden_layers": 2, "layer_types": ["x"], "architectures": ["Qwen2ForCausalLM"]}',
         "layer"),
        (json.dumps(BertConfig(num_hidden_layers=1, architectures=["BertModel"]).to_dict()), "BertModel"),
    ],
)  # fmt: skip
def test_a_config_of_no_model_that_can_be_trained_is_refused(model, text, named):
    (model / "config.json").write_text(text)
    with refused(PATH, "file", str(model), named):
        check(model)


@pytest.mark.parametrize("part", ["path", "tokenizer_path"])
def test_a_tokenizer_without_its_vocabulary_is_refused(model, part):
    folder = model if part == "path" else shutil.copytree(model, model.with_name("tokenizer"))
    (folder / "tokenizer.json").unlink()
    with refused(f"{GROUP}.{part}", "file", str(folder), "tokenizer.json"):
        check(model, f"{GROUP}.{part}={folder}")
    save_tokenizer(model)
    check(model)


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"model": {}}'])
def test_a_damaged_tokenizer_is_refused(model, text):
    (model / "tokenizer.json").write_text(text)
    with refused(PATH, "file", str(model)):
        check(model)


def test_a_vocabulary_beyond_the_models_embeddings_is_refused(model):
    """The tokens are bytes 0 to 255, and those of the template and of the end behind them."""

    def cut(rows):
        with_config(model, vocab_size=rows)
        names = (HEAD, "model.embed_tokens.weight")
        with_weights(model, lambda w: {name: v[:rows] if name in names else v for name, v in w.items()})

    tokenizer = save_tokenizer(model.with_name("tokenizer"))
    cut(259)
    check(model)
    cut(200)
    with refused(PATH, "size", str(model), "200"):
        check(model)
    with refused(f"{GROUP}.tokenizer_path", "size", str(tokenizer), "200"):
        check(model, f"{GROUP}.tokenizer_path={tokenizer}")


def test_a_model_of_the_hub_is_left_to_the_hub(cached_model):
    check("owner/model")
    assert require_model("owner/model") == ""


def without_second_part(snapshot):
    """The cache of a download that ended between two files of weights."""
    (snapshot / WEIGHTS).rename(snapshot / SECOND.replace("2-of", "1-of"))
    parts = {"a": SECOND.replace("2-of", "1-of"), "b": SECOND}
    (snapshot / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": parts}))


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (lambda snapshot: (snapshot / WEIGHTS).unlink(), "*.safetensors or *.bin or *.pt"),  # a look at its config
        (without_second_part, SECOND),
    ],
)
def test_a_part_of_a_model_of_the_hub_is_refused_unless_the_hub_gives_the_rest(
    change, missing, cached_model, tmp_path, run_folder, monkeypatch
):
    change(tmp_path / "hub/models--owner--model/snapshots/1")
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE") as caught:
        require_model("owner/model")
    assert missing in str(caught.value) and "`hf download owner/model`" in str(caught.value)
    files = [f"data.{kind}_files={run_folder}/{kind}.parquet" for kind in ("train", "val")]
    sizes = ["data.train_batch_size=8", "actor_rollout_ref.actor.ppo_mini_batch_size=8"]
    config = changed(plain_config(), [f"{PATH}=owner/model", *files, *sizes])
    with refused(PATH, "file", missing):
        validate(config)
    asked = []
    monkeypatch.setattr(hub, "ask", asked.append)
    assert (require_model("owner/model"), asked) == (missing, ["owner/model"])


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("critic.model.path", ["algorithm.adv_estimator=gae"]),
        ("dots.difficulty.backbone", ["dots.selection.enable=True"]),
        ("reward.reward_model.model_path", ["reward.reward_model.enable=True"]),
    ],
)
@pytest.mark.parametrize("place", ["owner/other", "/nowhere/model"])
def test_a_further_model_that_is_neither_here_nor_given_by_the_hub_is_refused(key, given, place, model, cached_model):
    with refused(key, "file", place):
        check(model, *given, f"{key}={place}")
    check(model, *given, f"{key}=owner/model")
    check(model, *given, f"{key}={place}", train=False)


def adapter(model, config=None):
    folder = model.with_name("adapter")
    config = config or LoraConfig(r=4, target_modules=["q_proj", "o_proj"], task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(model), config).save_pretrained(folder)
    return folder


def test_an_adapter_of_the_model_is_let_pass(model):
    check(model, f"{ADAPTER}={adapter(model)}", f"{RANK}=4")


def test_an_adapter_of_another_rank_or_with_none_is_refused(model):
    folder = adapter(model)
    with refused(RANK, "excluded", str(folder)):
        check(model, f"{ADAPTER}={folder}")
    with refused(RANK, "size", str(folder), "4", "8"):
        check(model, f"{ADAPTER}={folder}", f"{RANK}=8")


@pytest.mark.parametrize("place", ["/nowhere/adapter", "the model's"])
def test_what_is_no_adapter_is_refused(model, place):
    place = place.replace("the model's", str(model))
    with refused(ADAPTER, "file", place, "adapter_config.json"):
        check(model, f"{ADAPTER}={place}", f"{RANK}=4")


def test_a_damaged_adapter_or_one_of_another_model_is_refused(model):
    folder = adapter(model)
    weights = folder / "adapter_model.safetensors"
    content, described = weights.read_bytes(), (folder / "adapter_config.json").read_text()
    given = (f"{ADAPTER}={folder}", f"{RANK}=4")
    weights.write_bytes(content[:-1])
    with refused(ADAPTER, "file", str(weights)):
        check(model, *given)
    weights.write_bytes(content)
    for text in ("{", "[]", "{}", described.replace("q_proj", "nothing").replace("o_proj", "nothing")):
        (folder / "adapter_config.json").write_text(text)
        with refused(ADAPTER, "file", str(folder)):
            check(model, *given)
    (folder / "adapter_config.json").write_text(described.replace("q_proj", "gate_proj"))
    with refused(ADAPTER, "file", "gate_proj"):
        check(model, *given)
    (folder / "adapter_config.json").write_text(described)
    weights.unlink()
    with refused(ADAPTER, "file", weights.name):
        check(model, *given)


def test_an_adapter_of_another_kind_is_refused(model):
    folder = adapter(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    with refused(ADAPTER, "file", str(folder), "LORA"):
        check(model, f"{ADAPTER}={folder}", f"{RANK}=4")


def test_further_models_of_the_run_must_be_whole_too(model):
    backbone = shutil.copytree(model, model.with_name("backbone"))
    (backbone / WEIGHTS).write_bytes(b"")
    given = ("dots.selection.enable=True", f"dots.difficulty.backbone={backbone}")
    with refused("dots.difficulty.backbone", "file", str(backbone)):
        check(model, *given)
    check(model, *given, train=False)


def test_a_run_and_an_evaluation_look_at_the_folder_before_they_start(run_folder, tmp_path):
    model = shutil.copytree(run_folder / "model", tmp_path / "model")
    (model / WEIGHTS).write_bytes((model / WEIGHTS).read_bytes()[:-8])
    data = [f"data.{kind}_files={run_folder}/{kind}.parquet" for kind in ("train", "val")]
    sizes = ["data.train_batch_size=8", "actor_rollout_ref.actor.ppo_mini_batch_size=8"]
    config = changed(plain_config(), [f"{PATH}={model}", *data, *sizes])
    for train in (True, False):
        with refused(PATH, "file", str(model / WEIGHTS)):
            validate(config, train=train)
