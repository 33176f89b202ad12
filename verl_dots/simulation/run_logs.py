"""What the logs of real runs tell the simulator."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from verl_dots.reporting.runs import Run, read_run, with_metric
from verl_dots.settings import ConfigError

CHOOSING = (
    "dots.selection.enable", "dots.adarft.enable", "dots.mopps.enable", "dots.refill.enable",
    "algorithm.filter_groups.enable",
)  # fmt: skip
ALTERING = ("dots.replay.enable", "dots.budget.enable", "dots.temperature.enable", "dots.preemptive.enable")
EFFECTIVE, REWARD, ENTROPY = "training/effective_groups", "training/reward", "actor/entropy"
RHO = "selection/reference/rho"


@dataclass(frozen=True)
class RunLog:
    """One run.

    Attributes:
        path, name: of the run.
        batch_size, rollouts, temperature: B, n, and the temperature that it samples at.
        effective_S, reward_S, entropy_S: [S] by step from the first on, nan where not recorded.
        accuracy: step -> validation accuracy, a share.
        rho: mean correlation of predicted and measured difficulty over the later half of the rounds; nan for none.
        settings: of its config, by dotted key.
        uniform: whether it drew its questions uniformly, and trained on these alone.
    """

    path: Path
    name: str
    batch_size: int
    rollouts: int
    temperature: float
    effective_S: np.ndarray
    reward_S: np.ndarray
    entropy_S: np.ndarray
    accuracy: Mapping[int, float]
    rho: float
    settings: Mapping[str, Any]
    uniform: bool


def read_run_log(path: Path) -> RunLog:
    """Read a run folder.

    Raises:
        RunError: it is none.
        ConfigError: it has no config.yaml, or its log has none of what is needed.
    """
    run = with_metric(read_run(path))
    settings = run.settings
    keys = ("data.train_batch_size", "actor_rollout_ref.rollout.n", "actor_rollout_ref.rollout.temperature")
    if settings is None or any(key not in settings for key in keys):
        text = f"--runs {path}: no config.yaml with {', '.join(keys)}; name the folder of a run of verl_dots.main"
        raise ConfigError(text, key="--runs", reason="missing")
    batch_size, rollouts, temperature = (settings[key] for key in keys)
    steps = run.rows.set_index("step").reindex(range(1, run.last_step + 1))
    for key in (EFFECTIVE, REWARD):
        if key not in steps or not steps[key].notna().any():
            raise ConfigError(
                f"--runs {path}: it did not record {key}, which the fit needs", key="--runs", reason="missing"
            )
    found_R = steps[RHO].dropna().to_numpy() if RHO in steps else np.empty(0)
    return RunLog(
        path, run.name, int(batch_size), int(rollouts), float(temperature),
        *(steps[key].to_numpy(float) if key in steps else np.full(len(steps), np.nan)
          for key in (EFFECTIVE, REWARD, ENTROPY)),
        accuracies(run),
        float(found_R[len(found_R) // 2 :].mean()) if len(found_R) else float("nan"),
        settings,
        not any(settings.get(key) for key in (*CHOOSING, *ALTERING)),
    )  # fmt: skip


def accuracies(run: Run) -> dict[int, float]:
    """step -> mean of the run's metrics of accuracy."""
    rows = run.rows.dropna(subset=list(run.metric_keys))
    mean = rows[list(run.metric_keys)].mean(axis=1)
    return dict(zip(rows["step"].astype(int).tolist(), mean.tolist(), strict=True))
