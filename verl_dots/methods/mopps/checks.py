"""What MoPPS does not go with, checked before anything starts."""

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.data.questions import Questions
from verl_dots.methods.mopps.rule import LEAST_GAP
from verl_dots.methods.refusals import CHOSEN_QUESTIONS, excluded, numbers_in_data, require_fixed
from verl_dots.settings import ConfigError

ON, REFERENCE = "dots.mopps.enable=True", "dots.mopps.reference"


def refuse_mopps(config: DictConfig, dots: DotsConfig) -> None:
    """Refuse a second source of questions, and rollouts of several steps that are sampled at once.

    Raises:
        ConfigError: which setting, and what to do.
    """
    if not dots.mopps.enable:
        return
    require_fixed(config, ON, *CHOSEN_QUESTIONS)
    for enabled, key in (
        (dots.selection.enable, "dots.selection.enable"),
        (dots.adarft.enable, "dots.adarft.enable"),
    ):
        if enabled:
            raise excluded(key, True, ON, "each of them chooses the questions; turn one of them off")
    batch_size = config.data.train_batch_size
    if dots.preemptive.off_policy(batch_size):
        why = (
            "the posterior must see the rollouts of every step, once, before the next; set prompts and updates to "
            f"null, which is data.train_batch_size={batch_size} questions for one step"
        )
        raise excluded("dots.preemptive.prompts", dots.preemptive.prompts, ON, why)


def refuse_mopps_questions(config: DictConfig, dots: DotsConfig, questions: Questions, usable: int) -> None:
    """Refuse data without the success rates that `reference` names, of a weaker and then of a stronger model."""
    if not dots.mopps.enable:
        return
    means = []
    for field in dots.mopps.reference or ():
        rate_N = numbers_in_data(config, field, REFERENCE)
        if bad := int(((rate_N < 0) | (rate_N > 1)).sum()):
            raise ConfigError(
                f"{REFERENCE}: {bad} of {len(rate_N)} numbers in {field!r} are outside [0, 1], where success rates "
                "are; name other fields",
                key=REFERENCE,
                reason="data",
            )
        means.append(float(questions.means(rate_N).mean()))
    if means and means[1] - means[0] < LEAST_GAP:
        raise ConfigError(
            f"{REFERENCE}={list(dots.mopps.reference)}: mean success rates are {means[0]:.3g} and {means[1]:.3g}, and "
            f"the second must be the stronger by {LEAST_GAP:g} or more to tell where the policy stands; "
            f"{'swap them' if means[0] - means[1] >= LEAST_GAP else 'name models that differ more'}",
            key=REFERENCE,
            reason="data",
        )
