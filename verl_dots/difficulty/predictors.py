"""One interface for predictors of adaptive difficulty, and the choice between them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from verl_dots.difficulty import inputs, surface
from verl_dots.difficulty.embeddings import Backbone
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.difficulty.online import OnlinePredictor
from verl_dots.difficulty.settings import DifficultyConfig
from verl_dots.settings import ConfigError
from verl_dots.state import require_equal, require_keys

PROJECTED_AT_ONCE = 16384


class DifficultyPredictor(Protocol):
    """Predicts the difficulty of every question from that of a few that were just rolled out."""

    kind: str

    def observe(
        self, step: int, question_N: np.ndarray, difficulty_N: np.ndarray, rollouts_N: np.ndarray,
        effective_N: np.ndarray,
    ) -> None:  # fmt: skip
        """Take in groups rolled out in `step`.

        Args:
            question_N, difficulty_N, rollouts_N: question, measured difficulty in [0, 1] and rollouts of each.
            effective_N: bool, whether the rewards of each differ.
        """

    def predict(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[P] float32 predicted difficulties, and [K] the references' as predicted without their own new outcome."""

    def effectiveness(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray, tries: int) -> np.ndarray:
        """[P] float32 expected share of effective groups of `tries` tries; arguments as of `predict`, after it."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class TrainedPredictor:
    """The attention predictor over the questions of one run: everything is projected once, when it is made.

    Args:
        model: as trained.
        embedding_P: [P, d] embeddings of its backbone, or what `trained_inputs` makes of them if it was trained so.
        device: where the projections live.
    """

    kind = "attention"

    def __init__(self, model: AttentionPredictor, embedding_P: np.ndarray, device: str = "cpu"):
        self.model, self.device = model.to(device).eval(), device
        self.query_P = self._project(self.model.project_queries, embedding_P)
        self.embedding_P = embedding_P

    @torch.inference_mode()
    def _project(self, projection, embedding_P: np.ndarray) -> torch.Tensor:
        chunks = torch.from_numpy(np.ascontiguousarray(embedding_P)).split(PROJECTED_AT_ONCE)
        return torch.cat([projection(chunk.to(self.device)) for chunk in chunks])

    def observe(
        self, step: int, question_N: np.ndarray, difficulty_N: np.ndarray, rollouts_N: np.ndarray,
        effective_N: np.ndarray,
    ) -> None:  # fmt: skip
        """Nothing: this predictor was trained beforehand and looks at this round's references only."""

    def predict(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reference, difficulty, own = self._known(reference_K, difficulty_K)
        # The line of the paper's code may leave 0..1.
        predicted_P = self.model.predict(self.query_P, reference, difficulty, own).clamp(0, 1)
        held_out_K = self.model.predict_left_out(own, reference, difficulty).clamp(0, 1)
        return predicted_P.cpu().numpy(), held_out_K.cpu().numpy().astype(np.float64)

    def effectiveness(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray, tries: int) -> np.ndarray:
        """See `AttentionPredictor.expected_effectiveness`."""
        predicted_P = self.model.predict(self.query_P, *self._known(reference_K, difficulty_K))
        return self.model.expected_effectiveness(self.query_P, predicted_P, tries).cpu().numpy()

    def _known(self, reference_K: np.ndarray, difficulty_K: np.ndarray) -> tuple[torch.Tensor, ...]:
        """The references' projections, difficulties, and projections as queries."""
        reference = self._project(self.model.project_references, self.embedding_P[reference_K])
        # Indices from NumPy: the projections may lie on a GPU.
        own = self.query_P[torch.as_tensor(reference_K, device=self.device)]
        return reference, torch.as_tensor(difficulty_K, dtype=torch.float32, device=self.device), own

    def state_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "backbone": self.model.config.backbone_id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        require_keys("attention predictor", state, {"kind", "backbone"})
        require_equal("dots.difficulty.predictor", state["kind"], self.kind)
        require_equal("backbone of the predictor", state["backbone"], self.model.config.backbone_id)


def backbone_of(config: DifficultyConfig) -> Backbone:
    """The embedding model that the settings name; a trained predictor knows itself how its embeddings are made.

    Raises:
        ConfigError: none is named, or there is no predictor in the checkpoint's folder.
    """
    if config.backbone is None:
        text = "dots.difficulty.backbone is not set; give a model folder or hub id"
        raise ConfigError(text, key="dots.difficulty.backbone", reason="missing")
    if config.predictor == "online":
        return Backbone(config.backbone, config.layers, reads=config.reads)
    with _named_errors(config):
        trained = PredictorConfig.load(_checkpoint(config))
    return Backbone(config.backbone, trained.embedding_layers, reads=trained.embedding_reads)


def load_attention(config: DifficultyConfig) -> AttentionPredictor:
    """The trained predictor of the settings, checked against the backbone whose embeddings it will get.

    Raises:
        ConfigError: there is none in that folder, it is damaged, or it was trained on another backbone.
    """
    backbone = backbone_of(config)
    with _named_errors(config):
        return AttentionPredictor.load(_checkpoint(config), backbone.id)


def inputs_of(
    config: DifficultyConfig,
    embedding_P: np.ndarray,
    texts: Sequence[str],
    answers: Sequence[str],
    known_P: np.ndarray | None = None,
) -> np.ndarray:
    """What the predictor of the settings sees: embeddings [P, d], and the columns behind them where it takes them.

    Args:
        known_P: [P] difficulties known beforehand, where dots.difficulty.field names them.

    Raises:
        ValueError: such difficulties and no field, or the other way round.
    """
    if (known_P is None) != (config.field is None):
        given = "no difficulties" if known_P is None else "difficulties"
        raise ValueError(f"dots.difficulty.field={config.field} and {given} of it; give both or neither")
    if config.predictor == "online":
        read = (texts, answers) if config.surface else (None, None)
        return inputs.online_inputs(embedding_P, *read, known_P)
    return inputs.trained_inputs(embedding_P, texts, answers) if surface_of(config) else embedding_P


def surface_of(config: DifficultyConfig) -> str:
    """Version of the columns that the predictor of the settings sees behind the embedding; "" for none."""
    if config.predictor == "online":
        return inputs.VERSION if config.surface else ""
    with _named_errors(config):
        return PredictorConfig.load(_checkpoint(config)).surface


def _checkpoint(config: DifficultyConfig) -> Path:
    return Path(config.checkpoint).expanduser()


@contextmanager
def _named_errors(config: DifficultyConfig) -> Iterator[None]:
    """Errors of reading the checkpoint as errors of the setting."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(
            f"dots.difficulty.checkpoint: {error}", key="dots.difficulty.checkpoint", reason="file"
        ) from error


def identity_of(config: DifficultyConfig) -> dict[str, str]:
    """What a run's predictions depend on besides its own observations, for its checkpoints."""
    identity = {"predictor": config.predictor, "embeddings": backbone_of(config).id, "weights": ""}
    identity["surface"] = surface_of(config)
    if config.field is not None:
        identity["field"] = config.field
    if config.predictor == "attention":
        weights = _checkpoint(config) / "model.safetensors"
        identity["weights"] = hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
    return identity


def make_predictor(config: DifficultyConfig, input_P: np.ndarray) -> DifficultyPredictor:
    """The predictor of the settings over what `inputs_of` gives [P, d]."""
    if config.predictor == "online":
        behind = [len(surface.COLUMNS)] if config.surface else []
        behind += [len(inputs.KNOWN)] if config.field is not None else []
        return OnlinePredictor(input_P, config.half_life, behind)
    return TrainedPredictor(load_attention(config), input_P, config.device)
