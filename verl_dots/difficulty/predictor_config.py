"""Shape of an attention predictor, and what its inputs are made of."""

import math
from dataclasses import dataclass, fields
from pathlib import Path

from verl_dots.difficulty import inputs
from verl_dots.files import read_json
from verl_dots.settings import ConfigError, Settings

CALIBRATIONS = ("group", "group_code", "none")
FORMAT = 1
ADDED = {"shared_adapter": False}  # fields that folders of this format may lack, as they were before them
AGAIN = "train the predictor again"


@dataclass(frozen=True)
class PredictorConfig(Settings):
    """Shape of an attention predictor; stored as JSON beside its weights."""

    embedding_width: int
    adapter_widths: tuple[int, ...] = (64,)  # layers of each adapter; the last is the projected width h
    activate_last: bool = True  # GELU and dropout follow the last of these layers, too; not as published
    shared_adapter: bool = False  # references are projected as queries are: the paper's text, not its code
    dropout: float = 0.1
    direct_head: bool = True  # a prior per question from labelled questions, corrected by the references
    memory_size: int = 0  # labelled questions that the direct head holds; set by training
    sharpness: float = 5.0  # of the direct head's kernel
    calibration: str = "none"  # sigmoid(w * logit + b) from the references' mean and std: "group" as in the paper's
    # text, "group_code" as in its code, with a line fitted to the references where it serves, see `calibration`
    backbone_id: str = ""
    embedding_layers: str = "last"
    embedding_reads: str = "question"
    surface: str = ""  # version of the columns behind the embedding (`inputs`); "": none

    def __post_init__(self):
        object.__setattr__(self, "adapter_widths", tuple(self.adapter_widths))
        if self.embedding_width < 1 or not self.adapter_widths or min(self.adapter_widths) < 1:
            raise ValueError(f"widths must be >= 1, got {self.embedding_width} and {self.adapter_widths}")
        if self.memory_size < 0 or not 0 <= self.sharpness < math.inf:
            raise ValueError(f"memory_size and sharpness must be >= 0, got {self.memory_size} and {self.sharpness}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.calibration not in CALIBRATIONS:
            raise ValueError(f"unknown calibration {self.calibration!r}; known: {list(CALIBRATIONS)}")
        if len(self.part_widths) > 1 and not self.direct_head:
            raise ValueError("surface columns are for the direct head; leave surface empty without it")

    @property
    def input_width(self) -> int:
        """d: of the embedding, and of the columns behind it."""
        return sum(self.part_widths)

    @property
    def part_widths(self) -> tuple[int, ...]:
        """Of the embedding, and of the columns behind it."""
        return inputs.widths(self.embedding_width, self.surface)

    @classmethod
    def load(cls, folder: Path) -> "PredictorConfig":
        """Read the config of a saved predictor.

        Raises:
            Refusal: there is none, or one of another format, with other fields, or a value that cannot be.
        """
        file = Path(folder) / "config.json"
        content = read_json(file, advice="give a folder that verl_dots.difficulty.train wrote")
        if content.pop("format", None) != FORMAT:
            raise ConfigError(f"{file} is not format {FORMAT}; {AGAIN}", key=str(file), reason="other run")
        content = ADDED | content
        known = {field.name for field in fields(cls)}
        if set(content) != known:
            differing = sorted(set(content) ^ known)
            text = f"{file} differs in the fields {differing}; {AGAIN}"
            raise ConfigError(text, key=str(file), reason="other run")
        try:
            return cls.from_mapping(content, "config")
        except ValueError as error:
            raise ConfigError(f"{file}: {error}; {AGAIN}", key=str(file), reason="damaged") from error

    @classmethod
    def paper(cls, embedding_width: int, **changes) -> "PredictorConfig":
        """The published model."""
        published = {"activate_last": False, "direct_head": False, "calibration": "group"}
        return cls(embedding_width, **({"adapter_widths": (896, 896, 896)} | published | changes))
