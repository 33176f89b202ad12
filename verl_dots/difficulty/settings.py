"""Settings of the predictors of difficulty."""

from dataclasses import dataclass

from verl_dots.settings import ConfigError, Settings, require, require_choice

PREDICTORS = ("online", "attention")
DEVICES = ("cpu", "cuda")
LAYERS = ("last", "all")
READS = ("question", "answer_and_question")


@dataclass(frozen=True)
class DifficultyConfig(Settings):
    """How the difficulty of questions that were not rolled out is predicted.

    Attributes:
        predictor: "online" learns from this run alone; "attention" is the paper's model, trained beforehand with
            `python -m verl_dots.difficulty.train`.
        checkpoint: folder of the attention predictor.
        backbone: model whose frozen embeddings of the questions are the input: a folder or hub id. Any transformers
            model will do; the policy that training starts from is the default.
        layers: whose hidden states are averaged: of the "last" layer, or of "all" side by side (small models). A
            trained predictor knows its own; this is the online one's, as is `reads`.
        reads: what is embedded: the "question", or "answer_and_question".
        surface: whether the online predictor sees, beside the embedding, what question and ground truth look like:
            lengths, LaTeX, key words, the answer's kind and magnitude. A trained predictor knows for itself.
        field: field of the data that holds a difficulty known beforehand, which the online predictor sees as well: a
            column, or a field of one ("extra_info.difficulty"), in any unit, greater is harder; null for none.
        cache: folder in which embeddings are kept for later runs.
        device: where embeddings and predictor live: "cpu", or "cuda", a share of the trainer's first GPU, which is what
            runs on GPUs begin with.
        batch_tokens: tokens that the backbone takes at once.
        half_life: age, in train steps, at which an observation counts half for the online predictor.
    """

    predictor: str = "online"
    checkpoint: str | None = None
    backbone: str | None = None
    layers: str = "last"
    reads: str = "question"
    surface: bool = True
    field: str | None = None
    cache: str = "~/.cache/verl_dots/embeddings"
    device: str = "cpu"
    batch_tokens: int = 16384
    half_life: float = 8.0

    def __post_init__(self):
        require_choice("dots.difficulty.predictor", self.predictor, PREDICTORS)
        require_choice("dots.difficulty.layers", self.layers, LAYERS)
        require_choice("dots.difficulty.reads", self.reads, READS)
        require_choice("dots.difficulty.device", self.device, DEVICES)
        require("dots.difficulty.cache", repr(self.cache), bool(self.cache.strip()), "must be a folder")
        require("dots.difficulty.batch_tokens", self.batch_tokens, self.batch_tokens >= 1, "must be 1 or more")
        require("dots.difficulty.half_life", self.half_life, self.half_life > 0, "must be above 0 steps")
        named = self.field is None or bool(self.field.strip())
        require("dots.difficulty.field", repr(self.field), named, "must name a field of the data, or be null")
        if self.predictor == "attention" and self.field is not None:
            raise ConfigError(
                f"dots.difficulty.field={self.field} does not go with dots.difficulty.predictor=attention: it was "
                "trained without that field; set dots.difficulty.predictor=online, or leave the field at null",
                key="dots.difficulty.field",
                reason="excluded",
            )
        if self.predictor == "attention" and self.checkpoint is None:
            raise ConfigError(
                "dots.difficulty.predictor=attention needs dots.difficulty.checkpoint=FOLDER, a predictor trained with "
                "`python -m verl_dots.difficulty.train`; dots.difficulty.predictor=online needs none",
                key="dots.difficulty.predictor",
                reason="missing",
            )
