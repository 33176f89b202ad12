"""What is said of a run at its start, and the console that shows it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_dots.config import DotsConfig
from verl_dots.console.lines import differing, folded, start_lines
from verl_dots.console.run import LOG_FILE, RunConsole
from verl_dots.data.file_lists import file_list

# Of DotsConfig, what is shown elsewhere or is no matter of the method.
NO_METHOD = ("console", "preset", "seed")


def run_console(config: DictConfig, said: str = "") -> RunConsole:
    """The console of the run that `config` describes, see `dots.console`; `said` was written before."""
    dots = DotsConfig.from_mapping(OmegaConf.to_container(config.dots, resolve=True))
    folder, trainer = Path(config.trainer.default_local_dir), config.trainer
    lines = [f"verl_dots trains {trainer.experiment_name}", *start_lines(start_facts(config, dots))]
    lines.append("Ray and its workers start; the first step comes within a minute or so.")
    return RunConsole(
        folder,
        lines,
        lines=dots.console == "lines",
        validates_first=bool(trainer.get("val_before_train", True)),
        resumes=trainer.resume_mode == "auto",
        said=said,
    )


def start_facts(config: DictConfig, dots: DotsConfig) -> dict[str, str]:
    """Name and text of each line of the start screen."""
    parts, trainer, folder = config.actor_rollout_ref, config.trainer, Path(config.trainer.default_local_dir)
    rollout, data = parts.rollout, config.data
    devices = f"{trainer.nnodes} x {trainer.n_gpus_per_node} {'CPU workers' if trainer.device == 'cpu' else 'GPUs'}"
    every = f" every {trainer.test_freq} steps" if trainer.test_freq > 0 else " never"
    return {
        "model": f"{parts.model.path}, on {devices}, rollouts by {rollout.name}",
        "train data": ", ".join(file_list(data.train_files)),
        "validation": f"{', '.join(file_list(data.val_files))},{every}" if data.val_files else "",
        "batch": f"{data.train_batch_size} questions x {rollout.n} rollouts, mini-batches of "
        f"{parts.actor.ppo_mini_batch_size}, up to {data.max_prompt_length} + {data.max_response_length} tokens",
        "algorithm": f"{config.algorithm.adv_estimator}, loss {parts.actor.policy_loss.loss_mode}, "
        f"lr {parts.actor.optim.lr}, seed {dots.seed}",
        "method": folded([dots.preset, *changed_settings(dots)]),
        "steps": f"{trainer.total_training_steps or f'of {trainer.total_epochs} epochs'}, {_saving(config)}",
        "run folder": f"{folder}   (touch {folder / 'stop'}, or SIGTERM: it saves after its step and ends)",
        "full log": str(folder / LOG_FILE) if dots.console == "lines" else "",
    }


def changed_settings(dots: DotsConfig) -> list[str]:
    """The settings of the method that are not at their defaults."""
    given, default = asdict(dots), asdict(DotsConfig())
    off = {name for name, value in given.items() if isinstance(value, Mapping) and value.get("enable") is False}
    if "selection" in off:
        off.add("difficulty")
    return differing({name: value for name, value in given.items() if name not in off | set(NO_METHOD)}, default)


def _saving(config: DictConfig) -> str:
    often = config.trainer.save_freq
    saved = f"saved every {often} steps" if often > 0 else "never saved (trainer.save_freq)"
    return f"{saved}; resume_mode={config.trainer.resume_mode}"
