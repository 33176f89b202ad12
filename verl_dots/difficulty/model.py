"""The attention predictor of adaptive difficulty: one definition for training and serving (DOTS, section 3).

    project_queries         [P, d] -> [P, h + 2]    once per checkpoint
    project_references      [K, d] -> [K, h + 2]    once per call
    forward / predict       [P, h + 2], [K, h + 2], difficulty_K -> difficulty_P in [0, 1]
    expected_effectiveness  [P, h + 2], difficulty_P -> expected share of effective groups [P]

The last columns of a projection are the prior logit of the question's difficulty and the log spread of its success
rate around it (see `effectiveness`); both are 0 without a direct head.
Without a direct head, as published: d_hat = sum_i a_i d_i with a = softmax(z_q . z_i / sqrt(h)). With it, the
references shift all priors to their own level, and the attention runs over what the shifted priors leave of them.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from verl_dots.difficulty import effectiveness
from verl_dots.difficulty.backbone import same_backbone
from verl_dots.difficulty.calibration import calibrated, regressed
from verl_dots.difficulty.kernel_regression import as_logit, kernel, shift_to_mean, unit_rows
from verl_dots.difficulty.predictor_config import AGAIN, FORMAT, PredictorConfig
from verl_dots.files import write_atomically
from verl_dots.settings import ConfigError

CHUNK = 2048  # questions x 256 references fit the cache of one core: three times as fast as 65,536
PRIORS = 2  # columns behind the projected width: prior logit and log spread


def as_prior(difficulty_P: torch.Tensor, effective_P: torch.Tensor) -> torch.Tensor:
    """[P, 2] logit of the difficulties and log spread, from predicted difficulty and effectiveness [P]."""
    logit_P = as_logit(difficulty_P)
    return torch.stack([logit_P, effectiveness.log_spread(torch.sigmoid(logit_P), effective_P)], 1)


def attention(query_P: torch.Tensor, reference_K: torch.Tensor, value_K: torch.Tensor) -> torch.Tensor:
    """sum_i softmax_i(z_q . z_i / sqrt(h)) value_i [P], from [P, h], [K, h] and [K] (equation 2)."""
    weight_PK = (query_P @ reference_K.T / math.sqrt(query_P.shape[-1])).softmax(-1)
    return weight_PK @ value_K


class AttentionPredictor(nn.Module):
    """Predicts adaptive difficulty (1 - success rate) of questions from that of K reference questions."""

    def __init__(self, config: PredictorConfig):
        super().__init__()
        self.config = config
        d = config.input_width
        self.query_adapter = self._adapter()
        if not config.shared_adapter:
            self.reference_adapter = self._adapter()
        if config.calibration != "none":
            self.calibrator = nn.Sequential(nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 2))
        if config.direct_head:
            self.gate = nn.Parameter(torch.zeros(()))
            for name, shape in (
                ("centre", (config.memory_size, d)), ("coefficient", (config.memory_size,)),
                ("effective_coefficient", (config.memory_size,)), ("prior_mean", ()), ("effective_mean", ()),
            ):  # fmt: skip
                self.register_buffer(name, torch.full(shape, 0.0 if shape else 0.5))
            self.register_buffer("embedding_mean", torch.zeros(d))
            self.register_buffer("embedding_std", torch.ones(d))

    def _adapter(self) -> nn.Sequential:
        layers: list[nn.Module] = [nn.LayerNorm(self.config.input_width)]
        width_in = self.config.input_width
        for width in self.config.adapter_widths:
            layers += [nn.Linear(width_in, width), nn.GELU(), nn.Dropout(self.config.dropout)]
            width_in = width
        layers = layers if self.config.activate_last else layers[:-2]
        return nn.Sequential(*layers, nn.LayerNorm(width_in))

    @property
    def projected_width(self) -> int:
        """h + 2."""
        return self.config.adapter_widths[-1] + PRIORS

    def prior(self, embedding_P: torch.Tensor) -> torch.Tensor:
        """Prior logit of each question's difficulty and log spread of its success rate [P, 2]; or zeros."""
        if not self.config.direct_head:
            return embedding_P.new_zeros(len(embedding_P), PRIORS)
        similarity_PM = kernel(self._unit(embedding_P), self.centre, self.config.sharpness)
        difficulty_P = self.prior_mean + similarity_PM @ self.coefficient
        return as_prior(difficulty_P, self.effective_mean + similarity_PM @ self.effective_coefficient)

    def _unit(self, embedding_P: torch.Tensor) -> torch.Tensor:
        return unit_rows(embedding_P, self.embedding_mean, self.embedding_std, self.config.part_widths)

    def project_queries(self, embedding_P: torch.Tensor, prior_P: torch.Tensor | None = None) -> torch.Tensor:
        """[P, d] -> [P, h + 2]. ``prior_P``: [P, 2] known already (training: the left-out ones)."""
        return self._project(self.query_adapter, embedding_P, prior_P)

    def project_references(self, embedding_K: torch.Tensor, prior_K: torch.Tensor | None = None) -> torch.Tensor:
        """[K, d] -> [K, h + 2]; see `project_queries`."""
        adapter = self.query_adapter if self.config.shared_adapter else self.reference_adapter
        return self._project(adapter, embedding_K, prior_K)

    def _project(self, adapter: nn.Module, embedding: torch.Tensor, prior: torch.Tensor | None) -> torch.Tensor:
        if embedding.ndim != 2 or embedding.shape[1] != self.config.input_width:
            raise ValueError(
                f"embeddings must be [questions, {self.config.input_width}], got {list(embedding.shape)}; "
                f"use the backbone that the predictor was trained on ({self.config.backbone_id or 'unnamed'})"
            )
        finite = torch.isfinite(embedding).all(1)
        if not finite.all():
            bad = (~finite).nonzero()[:5, 0].tolist()
            raise ValueError(f"embeddings must be finite; rows {bad} are not: embed these questions again")
        prior = self.prior(embedding) if prior is None else prior
        # Parts of different units: as the kernel sees them.
        seen = self._unit(embedding) if self.config.surface else embedding
        return torch.cat([adapter(seen), prior], 1)

    def forward(self, query_P: torch.Tensor, reference_K: torch.Tensor, difficulty_K: torch.Tensor) -> torch.Tensor:
        """Predicted difficulty [P] in [0, 1] from projections [P, h + 2], [K, h + 2] and measured difficulty [K].

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
        logit_K = reference_K[:, -PRIORS]
        shift = shift_to_mean(logit_K, difficulty_K.mean())
        return shift, difficulty_K - torch.sigmoid(logit_K + shift)

    def _answer(self, query_P, reference_K, difficulty_K, shift, value_K) -> torch.Tensor:
        attended_P = attention(query_P[:, :-PRIORS], reference_K[:, :-PRIORS], value_K)
        if shift is not None:
            attended_P = (torch.sigmoid(query_P[:, -PRIORS] + shift) + self.gate * attended_P).clamp(0, 1)
        return self._calibrate(attended_P, difficulty_K)

    def _calibrate(self, difficulty_P: torch.Tensor, difficulty_K: torch.Tensor) -> torch.Tensor:
        if self.config.calibration == "none":
            return difficulty_P
        return calibrated(difficulty_P, difficulty_K, self.calibrator, self.config.calibration == "group_code")

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
    def predict(self, query_P, reference_K, difficulty_K, own_K=None, chunk: int = CHUNK) -> torch.Tensor:
        """`forward` in eval mode, ``chunk`` questions at a time: memory grows with P, never with P x K.

        With the references as queries, own_K [K, h + 2], the calibration of the paper's code is whole: `regressed`.
        """
        self._check(query_P, reference_K, difficulty_K)
        was_training = self.training
        self.eval()
        try:
            levels = self._levels(reference_K, difficulty_K)
            predicted_P = torch.empty(len(query_P), dtype=query_P.dtype, device=query_P.device)
            for part_P, query in zip(predicted_P.split(chunk), query_P.split(chunk), strict=True):
                part_P.copy_(self._answer(query, reference_K, difficulty_K, *levels))
            if own_K is None or self.config.calibration != "group_code":
                return predicted_P
            return regressed(predicted_P, self._answer(own_K, reference_K, difficulty_K, *levels), difficulty_K)
        finally:
            self.train(was_training)

    @torch.inference_mode()
    def expected_effectiveness(self, query_P: torch.Tensor, difficulty_P: torch.Tensor, tries: int) -> torch.Tensor:
        """Expected share of effective groups of ``tries`` tries [P] at predicted difficulties [P], cut to 0..1.

        Raises ValueError without a direct head (``--preset paper``), which alone knows how sure a difficulty is.
        """
        if not self.config.direct_head:
            raise ValueError(
                "this predictor has no effectiveness output; train one without --preset paper, or select by difficulty"
            )
        return effectiveness.expected_effectiveness(difficulty_P.clamp(0, 1), query_P[:, -1], tries)

    @torch.inference_mode()
    def predict_left_out(self, query_K, reference_K, difficulty_K) -> torch.Tensor:
        """Each reference predicted from the other K - 1 [K], for honest logs; 0.5 of a single one."""
        if len(reference_K) < 2:
            return torch.full_like(difficulty_K, 0.5)
        keep = ~torch.eye(len(reference_K), dtype=torch.bool, device=reference_K.device)
        rest = ((reference_K[others], difficulty_K[others], query_K[others]) for others in keep)
        return torch.cat([self.predict(query_K[i : i + 1], *known) for i, known in enumerate(rest)])

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
        file = Path(folder) / "model.safetensors"
        try:
            stored = load_file(file)
        except (SafetensorError, OSError) as error:
            raise ConfigError(
                f"{file} is damaged or missing ({error}); {AGAIN}", key=str(file), reason="damaged"
            ) from error
        whole = {name: value.dtype == torch.float32 and torch.isfinite(value).all() for name, value in stored.items()}
        broken = [name for name in stored if not whole[name]]
        if broken:
            raise ValueError(f"{file} holds values that are not finite or no float32: {broken}; {AGAIN}")
        found = {name: list(value.shape) for name, value in stored.items()}
        wanted = _shapes(config)
        if found != wanted:
            differing = sorted(name for name in set(found) | set(wanted) if found.get(name) != wanted.get(name))
            raise ValueError(f"{file} does not fit its config.json: {differing}")
        model = cls(config)
        model.load_state_dict(stored)
        return model.eval()


def _shapes(config: PredictorConfig) -> dict[str, list[int]]:
    """Shapes of a predictor's tensors by name, without their memory: a config may say anything. {} for no shapes."""
    try:
        with torch.device("meta"):
            return {name: list(value.shape) for name, value in AttentionPredictor(config).state_dict().items()}
    except (RuntimeError, OverflowError):
        return {}
