"""The attention predictor of adaptive difficulty: one definition for training and serving (DOTS, section 3).

    project_queries     [P, d] -> [P, h + 1]    once per checkpoint
    project_references  [K, d] -> [K, h + 1]    once per call
    forward / predict   [P, h + 1], [K, h + 1], difficulty_K -> difficulty_P in [0, 1]

The last column of a projection is the prior logit of the question's difficulty (0 without a direct head).
Without a direct head, as published: d_hat = sum_i a_i d_i with a = softmax(z_q . z_i / sqrt(h)). With it, the
references shift all priors to their own level, and the attention runs over what the shifted priors leave of them.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from verl_dots.difficulty import memory
from verl_dots.difficulty.backbone import same_backbone
from verl_dots.files import write_atomically

CALIBRATIONS = ("group", "none")
CHUNK = 2048  # questions x 256 references fit the cache of one core: three times as fast as 65,536
EPSILON, FORMAT = 1e-4, 1
ADDED = {"activate_last": True}  # fields that older configs lack, and what their predictors do


@dataclass(frozen=True)
class PredictorConfig:
    """Shape of an attention predictor; stored as JSON beside its weights."""

    embedding_width: int  # d
    adapter_widths: tuple[int, ...] = (64,)  # layers of each adapter; the last is the projected width h
    activate_last: bool = True  # GELU and dropout follow the last of these layers, too; not as published
    dropout: float = 0.1
    direct_head: bool = True  # a prior per question from labelled questions, corrected by the references
    memory_size: int = 0  # labelled questions that the direct head holds; set by training
    sharpness: float = 5.0  # of the direct head's kernel
    calibration: str = "none"  # "group": sigmoid(w * logit + b) from mean and std of the references, as published
    backbone_id: str = ""
    embedding_layers: str = "last"
    embedding_reads: str = "question"

    def __post_init__(self):
        object.__setattr__(self, "adapter_widths", tuple(self.adapter_widths))
        if self.embedding_width < 1 or not self.adapter_widths or min(self.adapter_widths) < 1:
            raise ValueError(f"widths must be >= 1, got {self.embedding_width} and {self.adapter_widths}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        if self.calibration not in CALIBRATIONS:
            raise ValueError(f"unknown calibration {self.calibration!r}; known: {list(CALIBRATIONS)}")

    @classmethod
    def load(cls, folder: Path) -> "PredictorConfig":
        """Read the config of a saved predictor. Raises ValueError for another format or other fields."""
        content = ADDED | json.loads((Path(folder) / "config.json").read_text())
        if content.pop("format", None) != FORMAT:
            raise ValueError(f"{folder}/config.json is not format {FORMAT}; train the predictor again")
        known = {field.name for field in fields(cls)}
        if set(content) != known:
            differing = sorted(set(content) ^ known)
            raise ValueError(f"{folder}/config.json differs in the fields {differing}; train the predictor again")
        return cls(**content)

    @classmethod
    def paper(cls, embedding_width: int, **changes) -> "PredictorConfig":
        """The published model."""
        published = {"activate_last": False, "direct_head": False, "calibration": "group"}
        return cls(embedding_width, **({"adapter_widths": (896, 896, 896)} | published | changes))


def attention(query_P: torch.Tensor, reference_K: torch.Tensor, value_K: torch.Tensor) -> torch.Tensor:
    """sum_i softmax_i(z_q . z_i / sqrt(h)) value_i [P], from [P, h], [K, h] and [K] (equation 2)."""
    weight_PK = (query_P @ reference_K.T / math.sqrt(query_P.shape[-1])).softmax(-1)
    return weight_PK @ value_K


class AttentionPredictor(nn.Module):
    """Predicts adaptive difficulty (1 - success rate) of questions from that of K reference questions."""

    def __init__(self, config: PredictorConfig):
        super().__init__()
        self.config = config
        d = config.embedding_width
        self.query_adapter, self.reference_adapter = self._adapter(), self._adapter()
        if config.calibration == "group":
            self.calibrator = nn.Sequential(nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 2))
        if config.direct_head:
            self.gate = nn.Parameter(torch.zeros(()))
            for name, shape in (("centre", (config.memory_size, d)), ("coefficient", (config.memory_size,))):
                self.register_buffer(name, torch.zeros(shape))
            self.register_buffer("prior_mean", torch.tensor(0.5))
            self.register_buffer("embedding_mean", torch.zeros(d))
            self.register_buffer("embedding_std", torch.ones(d))

    def _adapter(self) -> nn.Sequential:
        layers: list[nn.Module] = [nn.LayerNorm(self.config.embedding_width)]
        width_in = self.config.embedding_width
        for width in self.config.adapter_widths:
            layers += [nn.Linear(width_in, width), nn.GELU(), nn.Dropout(self.config.dropout)]
            width_in = width
        layers = layers if self.config.activate_last else layers[:-2]
        return nn.Sequential(*layers, nn.LayerNorm(width_in))

    @property
    def projected_width(self) -> int:
        """h + 1."""
        return self.config.adapter_widths[-1] + 1

    def prior_logit(self, embedding_P: torch.Tensor) -> torch.Tensor:
        """Prior logit of each question's difficulty [P]; zeros without a direct head."""
        if not self.config.direct_head:
            return embedding_P.new_zeros(len(embedding_P))
        unit_P = memory.unit_rows(embedding_P, self.embedding_mean, self.embedding_std)
        similarity_PM = memory.kernel(unit_P, self.centre, self.config.sharpness)
        return memory.as_logit(self.prior_mean + similarity_PM @ self.coefficient)

    def project_queries(self, embedding_P: torch.Tensor, prior_P: torch.Tensor | None = None) -> torch.Tensor:
        """[P, d] -> [P, h + 1]. ``prior_P``: prior logits known already (training: the left-out ones)."""
        return self._project(self.query_adapter, embedding_P, prior_P)

    def project_references(self, embedding_K: torch.Tensor, prior_K: torch.Tensor | None = None) -> torch.Tensor:
        """[K, d] -> [K, h + 1]; see `project_queries`."""
        return self._project(self.reference_adapter, embedding_K, prior_K)

    def _project(self, adapter: nn.Module, embedding: torch.Tensor, prior: torch.Tensor | None) -> torch.Tensor:
        if embedding.ndim != 2 or embedding.shape[1] != self.config.embedding_width:
            raise ValueError(
                f"embeddings must be [questions, {self.config.embedding_width}], got {list(embedding.shape)}; "
                f"use the backbone that the predictor was trained on ({self.config.backbone_id or 'unnamed'})"
            )
        finite = torch.isfinite(embedding).all(1)
        if not finite.all():
            bad = (~finite).nonzero()[:5, 0].tolist()
            raise ValueError(f"embeddings must be finite; rows {bad} are not: embed these questions again")
        prior = self.prior_logit(embedding) if prior is None else prior
        return torch.cat([adapter(embedding), prior[:, None]], 1)

    def forward(self, query_P: torch.Tensor, reference_K: torch.Tensor, difficulty_K: torch.Tensor) -> torch.Tensor:
        """Predicted difficulty [P] in [0, 1] from projections [P, h + 1], [K, h + 1] and measured difficulty [K].

        Raises ValueError for shapes that do not fit, no reference, or a difficulty that is not in [0, 1].
        """
        self._check(query_P, reference_K, difficulty_K)
        return self._answer(query_P, reference_K, difficulty_K, *self._levels(reference_K, difficulty_K))

    def _levels(
        self, reference_K: torch.Tensor, difficulty_K: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """What the references say to all questions alike: shift of the priors, and the values [K] attended to."""
        if not self.config.direct_head:
            return None, difficulty_K
        shift = memory.shift_to_mean(reference_K[:, -1], difficulty_K.mean())
        return shift, difficulty_K - torch.sigmoid(reference_K[:, -1] + shift)

    def _answer(self, query_P, reference_K, difficulty_K, shift, value_K) -> torch.Tensor:
        attended_P = attention(query_P[:, :-1], reference_K[:, :-1], value_K)
        if shift is not None:
            attended_P = (torch.sigmoid(query_P[:, -1] + shift) + self.gate * attended_P).clamp(0, 1)
        return self._calibrate(attended_P, difficulty_K)

    def _calibrate(self, difficulty_P: torch.Tensor, difficulty_K: torch.Tensor) -> torch.Tensor:
        """sigmoid(w * logit(d) + b), (w, b) = MLP([mean, std]), softplus and tanh (equation 3); or d itself."""
        if self.config.calibration == "none":
            return difficulty_P
        statistics = torch.stack([difficulty_K.mean(), difficulty_K.std(correction=0)])
        scale, offset = self.calibrator(statistics)
        logit_P = torch.logit(difficulty_P.clamp(EPSILON, 1 - EPSILON))
        return torch.sigmoid(nn.functional.softplus(scale) * logit_P + torch.tanh(offset))

    def _check(self, query_P: torch.Tensor, reference_K: torch.Tensor, difficulty_K: torch.Tensor) -> None:
        for name, projection in (("query", query_P), ("reference", reference_K)):
            if projection.ndim != 2 or projection.shape[1] != self.projected_width:
                raise ValueError(
                    f"{name} projections must be [n, {self.projected_width}], got {list(projection.shape)}"
                )
        if len(reference_K) == 0 or difficulty_K.shape != (len(reference_K),):
            raise ValueError(
                f"one difficulty for each of 1 or more references, got {list(difficulty_K.shape)} for "
                f"{len(reference_K)} references"
            )
        if not ((difficulty_K >= 0) & (difficulty_K <= 1)).all():
            raise ValueError("reference difficulties must be in [0, 1] (1 - success rate); some are outside or NaN")

    @torch.inference_mode()
    def predict(self, query_P, reference_K, difficulty_K, chunk: int = CHUNK) -> torch.Tensor:
        """`forward` in eval mode, ``chunk`` questions at a time: memory grows with P, never with P x K."""
        self._check(query_P, reference_K, difficulty_K)
        was_training = self.training
        self.eval()
        try:
            levels = self._levels(reference_K, difficulty_K)
            predicted_P = torch.empty(len(query_P), dtype=query_P.dtype, device=query_P.device)
            for part_P, query in zip(predicted_P.split(chunk), query_P.split(chunk), strict=True):
                part_P.copy_(self._answer(query, reference_K, difficulty_K, *levels))
            return predicted_P
        finally:
            self.train(was_training)

    @torch.inference_mode()
    def predict_left_out(self, query_K, reference_K, difficulty_K) -> torch.Tensor:
        """Each reference predicted from the other K - 1 [K], for honest logs. Needs 2 or more references."""
        if len(reference_K) < 2:
            raise ValueError(f"leaving one out needs 2 or more references, got {len(reference_K)}")
        keep = ~torch.eye(len(reference_K), dtype=torch.bool, device=reference_K.device)
        one = [
            self.predict(query_K[i : i + 1], reference_K[keep[i]], difficulty_K[keep[i]])
            for i in range(len(reference_K))
        ]
        return torch.cat(one)

    def save(self, folder: Path) -> None:
        """Write model.safetensors and config.json."""
        folder = Path(folder)
        tensors = {name: value.contiguous().cpu() for name, value in self.state_dict().items()}
        text = json.dumps({"format": FORMAT, **asdict(self.config)}, indent=2)
        # The config last: without it the folder holds no predictor.
        write_atomically(folder / "model.safetensors", lambda partial: save_file(tensors, partial))
        write_atomically(folder / "config.json", lambda partial: partial.write_text(text + "\n"))

    @classmethod
    def load(cls, folder: Path, backbone_id: str | None = None) -> "AttentionPredictor":
        """Read what `save` wrote, in eval mode. Raises ValueError for another format, field, tensor or backbone."""
        config = PredictorConfig.load(folder)
        if backbone_id is not None and not same_backbone(backbone_id, config.backbone_id):
            raise ValueError(
                f"predictor {folder} was trained on backbone {config.backbone_id!r}, not {backbone_id!r}; give that "
                "backbone (dots.difficulty.backbone)"
            )
        model = cls(config)
        try:
            stored = load_file(Path(folder) / "model.safetensors")
        except SafetensorError as error:
            raise ValueError(f"{folder}/model.safetensors is damaged ({error}); train the predictor again") from error
        broken = [name for name, value in stored.items() if not torch.isfinite(value).all()]
        if broken:
            raise ValueError(f"{folder}/model.safetensors holds values that are not finite: {broken}; train it again")
        found = {name: list(value.shape) for name, value in stored.items()}
        wanted = {name: list(value.shape) for name, value in model.state_dict().items()}
        if found != wanted:
            differing = sorted(name for name in set(found) | set(wanted) if found.get(name) != wanted.get(name))
            raise ValueError(f"{folder}/model.safetensors does not fit its config.json: {differing}")
        model.load_state_dict(stored)
        return model.eval()
