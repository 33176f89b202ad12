"""Training the attention predictor on labelled questions: pure functions on arrays.

A batch, its references and each draw of the validation are of one labeller, as they are of one policy when a run is
served; so the references tell which labeller it is (DOTS, section 3).
"""

import copy
import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from tqdm.auto import tqdm

from verl_dots.difficulty.agreement import pearson
from verl_dots.difficulty.direct_head import initial_model, remembering
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.difficulty.relative_difficulty import relative_difficulty

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training run; the defaults are the paper's."""

    epochs: int = 20
    learning_rate: float = 1e-3
    batch_size: int = 256
    references: int = 256
    weight_decay: float = 0.0
    early_stopping: bool = True  # keep the best epoch on held-out questions; else the last

    def __post_init__(self):
        for name in ("epochs", "batch_size", "references"):
            if getattr(self, name) < (0 if name == "epochs" else 1):
                raise ValueError(f"{name} is too small: {getattr(self, name)}")


@dataclass(frozen=True)
class Trained:
    """A predictor, rho on the held-out questions after each epoch (0: before the first), and the epoch kept.

    The predictor's direct head remembers the held-out questions, too; those correlations are from before it did.
    """

    model: AttentionPredictor
    rho_by_epoch: tuple[float, ...]
    epoch: int


def train(
    embedding_P: np.ndarray,
    success_rate_LP: np.ndarray,
    held_out_P: np.ndarray,
    config: PredictorConfig,
    settings: TrainingConfig = TrainingConfig(),  # noqa: B008 (frozen)
    seed: int = 1,
    device: str = "cpu",
    progress: bool = False,
) -> Trained:
    """Fit a predictor on the questions where ``held_out_P`` [P] is false; the others choose the epoch.

    embedding_P [P, d]; success_rate_LP [L, P] in [0, 1], a row for each labeller, nan where it was not asked, or [P] of
    one labeller; no two questions may be the same. An epoch takes each labeller's labels in whole batches, in an
    order of its own; what does not fill one waits for another epoch. The same arguments give the same weights bit for
    bit on a CPU. Raises ValueError for shapes, values or too few questions on either side.
    """
    success_rate_LP = np.atleast_2d(success_rate_LP)
    _check(embedding_P, success_rate_LP, held_out_P)
    torch_generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        embedding = torch.as_tensor(np.array(embedding_P, dtype=np.float32), device=device)
        difficulty_LP = np.array(1 - success_rate_LP, dtype=np.float32)
        pooled = torch.as_tensor(np.array(relative_difficulty(difficulty_LP), dtype=np.float32), device=device)
        held_out = torch.as_tensor(np.array(held_out_P), device=device)
        fit, dev = (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]
        model, prior, ridge = initial_model(embedding, pooled, fit, dev, config, torch_generator)
        labellers = [_Labeller.of(row_P, fit, dev, settings) for row_P in torch.as_tensor(difficulty_LP, device=device)]
        data = _Data(embedding, prior, labellers, torch_generator)
        done = _epochs(model, data, settings, progress)
        if not config.direct_head:
            return done
        known = torch.cat([fit, dev])
        return replace(done, model=remembering(done.model, embedding, pooled, known, ridge, torch_generator))


@dataclass(frozen=True)
class _Labeller:
    """The questions that one labeller was asked."""

    difficulty: torch.Tensor  # [P], nan where it was not asked
    fit: torch.Tensor  # positions of the training questions
    dev: torch.Tensor
    references: int  # in a batch
    batches: int  # in an epoch

    @classmethod
    def of(cls, difficulty_P: torch.Tensor, fit: torch.Tensor, dev: torch.Tensor, settings: TrainingConfig):
        fit, dev = (positions[~difficulty_P[positions].isnan()] for positions in (fit, dev))
        references = min(settings.references, len(fit) // 2, len(dev) // 2)
        if references < settings.references:
            logger.warning(
                "%d references a batch, not the %d asked for: a labeller has labels of %d questions to train on and %d "
                "held out, and half of either at most are references",
                references, settings.references, len(fit), len(dev),
            )  # fmt: skip
        return cls(difficulty_P, fit, dev, references, max(1, len(fit) // settings.batch_size))


@dataclass(frozen=True)
class _Data:
    embedding: torch.Tensor
    prior: torch.Tensor  # prior of each question [P, 2], its own labels left out
    labellers: list[_Labeller]
    generator: torch.Generator

    def shuffled(self, positions: torch.Tensor) -> torch.Tensor:
        return positions[torch.randperm(len(positions), generator=self.generator).to(positions.device)]

    def batches(self) -> list[tuple[int, int]]:
        """(labeller, number of its batch) of an epoch; those of several labellers in random order."""
        found = [(place, step) for place, one in enumerate(self.labellers) for step in range(one.batches)]
        if len(self.labellers) == 1:
            return found
        return [found[place] for place in torch.randperm(len(found), generator=self.generator)]


def _check(embedding_P: np.ndarray, success_rate_LP: np.ndarray, held_out_P: np.ndarray) -> None:
    P = len(embedding_P)
    if embedding_P.ndim != 2 or success_rate_LP.shape[1:] != (P,) or held_out_P.shape != (P,):
        raise ValueError(
            f"want embeddings [P, d], success rates [L, P] and held-out flags [P], got {embedding_P.shape}, "
            f"{success_rate_LP.shape} and {held_out_P.shape}"
        )
    if held_out_P.dtype != bool or not np.isfinite(embedding_P).all():
        raise ValueError("held-out flags must be bool and embeddings finite; embed the questions again")
    if not ((success_rate_LP >= 0) & (success_rate_LP <= 1) | np.isnan(success_rate_LP)).all():
        raise ValueError("success rates must be in [0, 1]; some are outside")
    for place, asked_P in enumerate(~np.isnan(success_rate_LP)):
        train_count, held_out = int((asked_P & ~held_out_P).sum()), int((asked_P & held_out_P).sum())
        if held_out < 4 or train_count < 4:
            raise ValueError(
                f"need 4 or more questions on either side, got {train_count} to train and {held_out} held out with "
                f"labels of labeller {place + 1} of {len(success_rate_LP)}"
            )


def _epochs(model: AttentionPredictor, data: _Data, settings: TrainingConfig, progress: bool) -> Trained:
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    total = settings.epochs * sum(one.batches for one in data.labellers)
    warm_up = max(1, min(100, total // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, max(0.0, (total - step) / max(1, total - warm_up)))
    )
    rho = [_held_out_rho(model, data)]
    kept, best = 0, copy.deepcopy(model.state_dict())
    for epoch in tqdm(range(1, settings.epochs + 1), desc="predictor", unit="epoch", disable=not progress):
        model.train()
        orders = [data.shuffled(one.fit) for one in data.labellers]
        for place, step in data.batches():
            _step(model, data, data.labellers[place], orders[place], step, settings, optimizer)
            schedule.step()
        rho.append(_held_out_rho(model, data))
        if not settings.early_stopping or rho[-1] > rho[kept]:
            kept, best = epoch, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return Trained(model.eval(), tuple(rho), kept)


def _step(model, data: _Data, labeller: _Labeller, order, step: int, settings: TrainingConfig, optimizer) -> None:
    """One batch of questions against references drawn from the labeller's other training questions."""
    batch = order[step * settings.batch_size : (step + 1) * settings.batch_size]
    batch = batch[: len(labeller.fit) - labeller.references]
    others = torch.cat([order[: step * settings.batch_size], order[step * settings.batch_size + len(batch) :]])
    reference = data.shuffled(others)[: labeller.references]
    predicted = model(
        model.project_queries(data.embedding[batch], data.prior[batch]),
        model.project_references(data.embedding[reference], data.prior[reference]),
        labeller.difficulty[reference],
    )
    loss = torch.nn.functional.binary_cross_entropy(predicted.clamp(1e-4, 1 - 1e-4), labeller.difficulty[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _held_out_rho(model, data: _Data) -> float:
    """Mean over labellers of rho over 3 fixed draws of references among the held-out questions."""
    model.eval()
    with torch.inference_mode():
        return float(np.mean([_rho_of(model, data, one) for one in data.labellers]))


def _rho_of(model, data: _Data, labeller: _Labeller) -> float:
    fixed = torch.Generator().manual_seed(0)
    dev = labeller.dev
    query = model.project_queries(data.embedding[dev], data.prior[dev])
    reference = model.project_references(data.embedding[dev], data.prior[dev])
    difficulty = labeller.difficulty[dev]
    found = []
    for _ in range(3):
        order = torch.randperm(len(dev), generator=fixed).to(difficulty.device)
        known, asked = order[: labeller.references], order[labeller.references :]
        predicted = model.predict(query[asked], reference[known], difficulty[known])
        found.append(np.nan_to_num(pearson(predicted.cpu().numpy(), difficulty[asked].cpu().numpy())))
    return float(np.mean(found))
