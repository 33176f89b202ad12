"""Embed the questions of data sets into the cache: `python -m verl_dots.difficulty.embed DATA... --backbone MODEL`.

Training does this by itself at its start; done beforehand, on a GPU, it costs a run nothing.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("embed", "what is embedded is kept: the same command continues")

from verl_dots.data.questions import read_questions
from verl_dots.difficulty.embeddings import (
    BATCH_TOKENS,
    READS,
    Backbone,
    EmbeddingCache,
    cached_embeddings,
)
from verl_dots.difficulty.options import add, require_device, require_whole
from verl_dots.files import try_folder
from verl_dots.terminal import errors, output, sentence


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry; 2 for bad input."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    began = time.monotonic()
    try:
        require_whole("--batch-tokens", options.batch_tokens, 1)
        require_device("--device", options.device)
        try_folder(Path(options.cache).expanduser(), f"--cache {options.cache}")
        backbone = Backbone(options.backbone, options.layers, reads=options.reads)
        questions = read_questions(options.data, prompt_key=options.prompt_key)
        inputs = backbone.inputs(questions.texts, questions.answers)
        store = EmbeddingCache(options.cache, backbone.id)
        new = len(store.missing(inputs))
        found = cached_embeddings(
            inputs, backbone, options.cache, device=options.device, batch_tokens=options.batch_tokens
        )
    except (ValueError, OSError) as error:
        errors().print(f"error: {sentence(error)}")
        return 2
    output().print(
        f"{len(questions)} questions, {new} of them new, width {found.shape[1]}, {time.monotonic() - began:.1f} s: "
        f"{store.folder}"
    )
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.difficulty.embed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", nargs="+", metavar="DATA", help="parquet files in verl's schema")
    parser.add_argument("--backbone", required=True, help="frozen embedding model: a folder or hub id")
    add(parser, "--cache")
    parser.add_argument(
        "--layers",
        type=_layers,
        default="last",
        help="hidden states that are averaged: last, all, or 0,6,12 (default: %(default)s)",
    )
    parser.add_argument("--reads", choices=READS, default="question", help="what is embedded (default: %(default)s)")
    add(parser, "--device")
    parser.add_argument(
        "--batch-tokens", type=int, default=BATCH_TOKENS, help="tokens of a batch (default: %(default)s)"
    )
    parser.add_argument("--prompt-key", default="prompt", help="column of the prompt (default: %(default)s)")
    return parser.parse_args(arguments)


def _layers(text: str) -> str | tuple[int, ...]:
    words = text.split(",")
    return tuple(map(int, words)) if all(map(str.isdecimal, words)) else text


if __name__ == "__main__":
    sys.exit(main())
