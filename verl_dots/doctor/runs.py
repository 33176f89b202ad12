"""Short training runs of the tiny model: presets, a critic, a KL term, and what the engine says of new weights."""

import math
from pathlib import Path

from verl_dots.doctor.context import STEPS, Context
from verl_dots.doctor.engine import CLOSE, CLOSE_BF16
from verl_dots.doctor.launching import FIX, Run, tiny_run
from verl_dots.doctor.rows import Row, judged, warned
from verl_dots.files import parse_json
from verl_dots.launch.attention_checks import INSTALL, has_flash_attention
from verl_dots.launch.compose import preset_settings
from verl_dots.training.parts import has_critic

TEMPERATURE = "actor_rollout_ref.rollout.temperature"
OPTIMIZER, VALIDATION = "actor_rollout_ref.actor.optim", "actor_rollout_ref.rollout.val_kwargs"
AS_BEFORE = 0.9  # of greedy responses in bf16, whose rounding is another in another batch


def trained(check: str, run: Run, *keys: str, steps: int = STEPS) -> list[Row]:
    """Whether a run trained: as many steps, each with finite numbers under these keys; and its memory."""
    wanted = ("actor/pg_loss", "actor/grad_norm", *keys)
    found = {(step, key): run.rows.get(step, {}).get(key) for step in range(1, steps + 1) for key in wanted}
    bad = [f"{key} of step {step}" for (step, key), value in found.items() if value is None or not math.isfinite(value)]
    value = f"no finite {', '.join(bad[:3])}" if bad else f"{steps} steps"
    return [judged(check, not bad, value, f"{steps} steps, all finite", FIX), Row(f"{check}: peak memory", run.memory)]


def preset(context: Context, name: str) -> list[Row]:
    """Three steps of a preset, at the recipe's temperature where the preset does not set it itself."""
    changes = preset_settings(name).temperature.enable
    heat = context.config.actor_rollout_ref.rollout.temperature
    # These recipes take the engine's log-probs for the behaviour's: no forward pass gives the entropy that `all` holds.
    more = ["dots.temperature.entropy=engine"] if name == "all" else []
    if not changes:  # the trainer's own log-probs are those that the engine's are compared with
        more += [f"{TEMPERATURE}={heat}", "dots.loss.behaviour=recomputed"]
    run = tiny_run(context, f"preset_{name}", "grpo", f"dots.preset={name}", *more)
    return [*trained(f"preset {name}", run), *([] if changes else [_agrees(context, run, heat)])]


def critic(context: Context) -> list[Row]:
    """Three steps of PPO, at the papers' lowest temperature."""
    if not context.cpu and not has_flash_attention():
        why = "verl loads a critic with flash-attn alone, which is not installed"
        if has_critic(context.config):
            return [judged("critic", False, f"{why}; {context.recipe} has one", "flash-attn is installed", INSTALL)]
        return [warned("critic", f"{why}; {context.recipe} has none", INSTALL)]
    run = tiny_run(context, "critic", "ppo", f"{TEMPERATURE}=0.6")
    return [*trained("critic", run, "critic/vf_loss"), _agrees(context, run, 0.6)]


def penalty(context: Context) -> list[Row]:
    """Three steps with a reference policy, at a temperature above 1."""
    run = tiny_run(context, "kl", "dash_kl", f"{TEMPERATURE}=1.3")
    return [*trained("KL term", run, "actor/kl_loss"), _agrees(context, run, 1.3)]


def sync(context: Context) -> list[Row]:
    """Steps whose optimizer changes all weights and changes them back: probabilities and greedy responses follow."""
    said = Path(context.work) / "greedy"
    run = tiny_run(
        context, "sync", "grpo", f"{OPTIMIZER}.optimizer_impl=verl_dots.doctor.there_and_back",
        f"{OPTIMIZER}.optimizer=ThereAndBack", "trainer.val_before_train=True", "trainer.test_freq=1",
        f"trainer.validation_data_dir={said}", f"{VALIDATION}.do_sample=False", f"{VALIDATION}.temperature=0",
        f"{VALIDATION}.top_p=1.0", "trainer.save_freq=-1",
    )  # fmt: skip
    later = [_difference(context, run, step, f"weights reach the engine, step {step}") for step in range(2, STEPS + 1)]
    return [_agrees(context, run, 1.0), *later, *greedy_rows([_said(said, step) for step in range(3)], context.engine)]


def _said(folder: Path, step: int) -> dict[str, str]:
    """Question -> greedy response of a validation."""
    rows = [parse_json(line) for line in (folder / f"{step}.jsonl").read_text().splitlines()]
    return {row["input"]: row["output"] for row in rows}


def greedy_rows(said: list[dict[str, str]], engine: str) -> list[Row]:
    """Whether greedy responses changed with the weights, and are the first again with the first weights.

    Args:
        said: by question, with the first weights, others, and the first again.
    """
    first, other, again = said
    changed = sum(first[question] != other.get(question) for question in first)
    back = sum(first[question] == again.get(question) for question in first)
    least = len(first) if engine in CLOSE else math.ceil(AS_BEFORE * len(first))
    fix = "verl's update does not reach the engine, or not whole: compare versions with the lock"
    of = f"of {len(first)}"
    return [
        judged("other weights change greedy responses", changed > len(first) / 2, f"{changed} {of}", "most", fix),
        judged("the first weights bring them back", back >= least, f"{back} {of}", f"{least} or more", fix),
    ]


def _agrees(context: Context, run: Run, temperature: float) -> Row:
    """The first step is of the model as it was read: nothing had to be sent twice."""
    return _difference(context, run, 1, f"engine against the trainer, temperature {temperature}")


def _difference(context: Context, run: Run, step: int, check: str) -> Row:
    found = run.rows[step].get("training/rollout_probs_diff_mean")
    close = CLOSE.get(context.engine, CLOSE_BF16)
    fix = "the engine computes with other weights, or another temperature, than the trainer: compare versions"
    value = "not measured" if found is None else f"{found:.2g} on average"
    return judged(check, found is not None and found <= close, value, f"probabilities within {close:g}", fix)
