"""The direct head of a predictor: a prior for each question, by kernel regression on the labelled ones."""

import logging
from dataclasses import replace

import numpy as np
import torch

from verl_dots.difficulty.agreement import pearson
from verl_dots.difficulty.effectiveness import TRIES
from verl_dots.difficulty.kernel_regression import kernel, solve, unit_rows
from verl_dots.difficulty.model import PRIORS, AttentionPredictor, PredictorConfig, as_prior
from verl_dots.step import effective_share

log = logging.getLogger(__name__)
SHARPNESS = (2.0, 5.0, 10.0)  # of the direct head, chosen on held-out questions
SHARPNESS_OF_PARTS = (2.0, 3.5)  # where there is more than the embedding
RIDGE = (0.3, 1.0)
MEMORY_LIMIT = 12_288
RARE = 0.05  # least deviation of a column behind the embedding: a mark of 1 in 400 questions weighs no more


def initial_model(
    embedding: torch.Tensor,
    difficulty: torch.Tensor,
    fit: torch.Tensor,
    dev: torch.Tensor,
    config: PredictorConfig,
    generator: torch.Generator,
) -> tuple[AttentionPredictor, torch.Tensor, float]:
    """A new model with its direct head fitted, the prior of every question [P, 2], and the ridge that was chosen.

    Args:
        embedding: [P, d].
        difficulty: [P].
        fit, dev: positions of the questions that it is fitted on, and of those that choose its kernel.
        generator: draws the questions that are remembered, where there are too many.
    """
    if not config.direct_head:
        model = AttentionPredictor(config).to(embedding.device)
        return model, difficulty.new_zeros(len(difficulty), PRIORS), 0.0
    mean = embedding[fit].mean(0)
    std = embedding[fit].std(0, correction=0).clamp_min(1e-3)
    std[config.embedding_width :].clamp_min_(RARE)
    centre = _remembered(fit, generator)
    unit = unit_rows(embedding, mean, std, config.part_widths)
    tried = SHARPNESS_OF_PARTS if config.surface else SHARPNESS
    sharpness, ridge = _choose(unit, difficulty, centre, dev, tried)
    head, left_out = _head(unit, difficulty, centre, sharpness, ridge, leave_one_out=True)
    model = AttentionPredictor(replace(config, memory_size=len(centre), sharpness=sharpness)).to(embedding.device)
    for name, value in (head | {"embedding_mean": mean, "embedding_std": std}).items():
        getattr(model, name).copy_(value)
    others = torch.ones_like(difficulty, dtype=torch.bool)
    others[centre] = False
    prior = difficulty.new_zeros(len(difficulty), PRIORS)
    with torch.no_grad():
        prior[others] = torch.cat([model.prior(chunk) for chunk in embedding[others].split(2048)])
    prior[centre] = as_prior(*left_out.T)
    return model, prior, ridge


def _head(unit, difficulty, centre, sharpness, ridge, leave_one_out=False) -> tuple[dict, torch.Tensor | None]:
    """Buffers of the direct head with these centres, and the predictions without a centre's own label [M, 2]."""
    target = torch.stack([difficulty, effective_share(difficulty, TRIES)], 1)[centre]
    coefficient, left_out = solve(unit[centre], target, sharpness, ridge, leave_one_out)
    head = {
        "centre": unit[centre], "coefficient": coefficient[:, 0], "effective_coefficient": coefficient[:, 1],
        "prior_mean": target[:, 0].mean(), "effective_mean": target[:, 1].mean(),
    }  # fmt: skip
    return head, left_out


def remembering(
    model: AttentionPredictor,
    embedding: torch.Tensor,
    difficulty: torch.Tensor,
    known: torch.Tensor,
    ridge: float,
    generator: torch.Generator,
) -> AttentionPredictor:
    """The same model whose direct head remembers the questions at `known`: the held-out too, once they have chosen."""
    centre = _remembered(known, generator)
    unit = unit_rows(embedding, model.embedding_mean, model.embedding_std, model.config.part_widths)
    head, _ = _head(unit, difficulty, centre, model.config.sharpness, ridge)
    again = AttentionPredictor(replace(model.config, memory_size=len(centre))).to(embedding.device)
    again.load_state_dict(model.state_dict() | head)
    return again.eval()


def _remembered(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Positions that the direct head remembers: all, or as many as it can."""
    if len(rows) <= MEMORY_LIMIT:
        return rows
    log.warning("the direct head remembers %d of %d training questions", MEMORY_LIMIT, len(rows))
    return rows[torch.randperm(len(rows), generator=generator)[:MEMORY_LIMIT].to(rows.device)]


def _choose(unit, difficulty, centre, dev, tried) -> tuple[float, float]:
    """Sharpness and ridge with the best rho on the held-out questions."""
    best = (-2.0, tried[0], RIDGE[0])
    for sharpness in tried:
        similarity = kernel(unit[dev], unit[centre], sharpness)
        for ridge in RIDGE:
            coefficient, _ = solve(unit[centre], difficulty[centre], sharpness, ridge)
            rho = np.nan_to_num(pearson((similarity @ coefficient).cpu().numpy(), difficulty[dev].cpu().numpy()))
            log.info("direct head: sharpness %g, ridge %g: held-out rho %.3f", sharpness, ridge, rho)
            if rho > best[0]:
                best = (rho, sharpness, ridge)
    return best[1:]
