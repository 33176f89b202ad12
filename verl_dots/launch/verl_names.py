"""Names in verl's config, resolved where verl itself looks them up: in its registries, once it is imported."""

import difflib
import warnings
from collections.abc import Callable, Collection
from importlib import import_module
from importlib.util import find_spec

from omegaconf import DictConfig, ListConfig, OmegaConf

from verl_dots.launch.verl_values import ABSENT, shown
from verl_dots.methods.refusals import LOSS_MODE
from verl_dots.settings import ConfigError, require, unknown_key

# verl.trainer.ppo.core_algos.kl_penalty; a "+" behind a name takes the gradient of k2.
KL_TYPES = ("kl", "k1", "abs", "mse", "k2", "low_var_kl", "k3")
KL_NAMES = (*KL_TYPES, *(f"{name}+" for name in KL_TYPES))
# verl.trainer.ppo.core_algos.agg_loss
AGGREGATIONS = ("token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm")
# verl.trainer.ppo.rollout_corr_helper.compute_rollout_correction_weights
IMPORTANCE = ("token", "sequence")
REWEIGHTING = ("pow", "max_min", "max_random")
# Trackers of verl that are packages of their own.
TRACKERS = ("wandb", "mlflow", "swanlab", "tensorboard", "clearml", "trackio")


def check_names(config: DictConfig) -> None:
    """Refuse names that verl would look up in vain.

    Raises:
        ConfigError: the key, the name, and the nearest that there is.
    """
    with warnings.catch_warnings(action="ignore"):  # verl's import has one for each engine that is not installed
        for key, known in _known().items():
            value = OmegaConf.select(config, key, default=ABSENT)
            if value is not ABSENT and not (value is None and _may_be_null(config, key)):
                require_name(key, value, known())
        _check_estimator(config)
        _check_strategies(config)
        _check_rejection(config)
    _check_engine(config)
    _check_attention(config)
    _check_libraries(config)
    _check_precisions(config)
    _check_loggers(config)
    _check_optimizers(config)


def _may_be_null(config: DictConfig, key: str) -> bool:
    """Whether null stands for no name of a key; a key of what is switched off is not looked up."""
    if key == "algorithm.pf_ppo.reweight_method":
        return not config.algorithm.use_pf_ppo
    return key == "algorithm.rollout_correction.rollout_is"


def require_name(key: str, value: object, known: Collection[str]) -> None:
    """Raise ConfigError for a name that is not among the known ones."""
    if isinstance(value, str) and value in known:
        return
    near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    words = f"{key}={shown(value)}: must be one of {', '.join(sorted(known))}{hint}"
    raise ConfigError(words, key=key, reason="choice")


def _known() -> dict[str, Callable[[], Collection[str]]]:
    """Key -> what names there are for it."""
    return {
        "actor_rollout_ref.rollout.name": _engines,
        LOSS_MODE: _losses,
        "actor_rollout_ref.actor.loss_agg_mode": lambda: AGGREGATIONS,
        "critic.loss_agg_mode": lambda: AGGREGATIONS,
        "actor_rollout_ref.actor.kl_loss_type": lambda: KL_NAMES,
        "algorithm.kl_penalty": lambda: KL_NAMES,
        "algorithm.rollout_correction.rollout_is": lambda: IMPORTANCE,
        "algorithm.pf_ppo.reweight_method": lambda: REWEIGHTING,
        "actor_rollout_ref.rollout.multi_turn.format": _tool_parsers,
        "trainer.v1.trainer_mode": _trainers,
    }


def _engines() -> Collection[str]:
    """Rollout engines; verl has a registry of replicas for them."""
    from verl.workers.rollout.replica import RolloutReplicaRegistry

    import_module("verl_dots.engines.plugin")  # registers ours
    return [*RolloutReplicaRegistry._registry]


def _losses() -> Collection[str]:
    from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY

    import_module("verl_dots.methods.replay.losses")  # registers those of this project
    return {*POLICY_LOSS_REGISTRY}


def _tool_parsers() -> Collection[str]:
    from verl.experimental.agent_loop.tool_parser import ToolParser

    return [*ToolParser._registry]


def _trainers() -> Collection[str]:
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY

    import_module("verl.trainer.ppo.v1")
    import_module("verl_dots.training.modes")
    return [*TRAINER_REGISTRY]


def _check_estimator(config: DictConfig) -> None:
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, AdvantageEstimator

    import_module("verl_dots.methods.replay.losses")
    names = {str(getattr(name, "value", name)) for name in ADV_ESTIMATOR_REGISTRY}
    # In verl's enumeration, but made by its legacy trainer only.
    absent = {each.value for each in AdvantageEstimator} - names
    estimator = config.algorithm.adv_estimator
    key = "algorithm.adv_estimator"
    require(key, estimator, estimator not in absent, "verl's V1 trainer has none of that name", "choice")
    require_name(key, estimator, names)


def _check_strategies(config: DictConfig) -> None:
    from verl.workers.engine import EngineRegistry

    for key, kind in (("actor_rollout_ref.actor", "language_model"), ("critic", "value_model")):
        strategy = OmegaConf.select(config, f"{key}.strategy")
        typed = str(OmegaConf.select(config, f"{key}._target_"))
        known = {*EngineRegistry._engines.get(kind, {})}
        require_name(f"{key}.strategy", strategy, known | {"megatron", "torchtitan", "veomni", "fsdp", "fsdp2"})
        of_fsdp = strategy.startswith("fsdp")
        if of_fsdp != ("FSDP" in typed):
            raise ConfigError(
                f"{key}.strategy={strategy!r} does not go with the settings of the engine that are there; choose the "
                "engine by model_engine=dp, megatron, veomni or torchtitan",
                key=f"{key}.strategy",
                reason="excluded",
            )
        if config.trainer.device == "cpu" and strategy != "fsdp2":
            words = f"{key}.strategy={strategy!r} needs a GPU; on a CPU it must be 'fsdp2'"
            raise ConfigError(words, key=f"{key}.strategy", reason="excluded")


def _check_rejection(config: DictConfig) -> None:
    """Names of rejection sampling, several between commas, and the threshold that they need."""
    from verl.trainer.ppo.rollout_corr_helper import SUPPORTED_ROLLOUT_RS_OPTIONS

    group = "algorithm.rollout_correction"
    given = OmegaConf.select(config, f"{group}.rollout_rs")
    if given is None:
        return
    for name in str(given).split(","):
        require_name(f"{group}.rollout_rs", name.strip(), SUPPORTED_ROLLOUT_RS_OPTIONS)
    threshold = OmegaConf.select(config, f"{group}.rollout_rs_threshold")
    rule = f"{group}.rollout_rs={given} needs it: one number for all of its names, or one for each between commas"
    require(f"{group}.rollout_rs_threshold", "null", threshold is not None, rule, "missing")


def _check_engine(config: DictConfig) -> None:
    """The engine's own settings, which it would refuse in its process."""
    from verl_dots.engines.server import ENGINE_KWARGS

    key, rollout = "actor_rollout_ref.rollout.engine_kwargs.hf", config.actor_rollout_ref.rollout
    given = OmegaConf.select(config, key) if rollout.name == "hf" else None
    for name in given or ():
        if name not in ENGINE_KWARGS:
            raise unknown_key(f"{key}.{name}", [f"{key}.{known}" for known in ENGINE_KWARGS])


def _check_attention(config: DictConfig) -> None:
    """On a CPU: what transformers has there."""
    if config.trainer.device != "cpu":
        return
    for group in ("actor_rollout_ref.model", "critic.model"):
        key = f"{group}.override_config.attn_implementation"
        require_name(key, OmegaConf.select(config, key, default="sdpa"), ("sdpa", "eager"))


def _check_libraries(config: DictConfig) -> None:
    for group in ("actor_rollout_ref.model", "critic.model"):
        for name in str(OmegaConf.select(config, f"{group}.external_lib") or "").split(","):
            if name and not _is_module(name.strip()):
                words = (
                    f"{group}.external_lib={name}: must be a module that Python finds; install it, or set PYTHONPATH"
                )
                raise ConfigError(words, key=f"{group}.external_lib", reason="file")


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # of a package that is not there, or no name at all
        return False


def _check_precisions(config: DictConfig) -> None:
    from verl.utils.torch_dtypes import PrecisionType

    for group in ("actor_rollout_ref.actor.fsdp_config", "actor_rollout_ref.ref.fsdp_config", "critic.fsdp"):
        names = ("model_dtype", "dtype", "mixed_precision.param_dtype", "mixed_precision.reduce_dtype")
        for name in (*names, "mixed_precision.buffer_dtype"):
            _check_precision(f"{group}.{name}", OmegaConf.select(config, f"{group}.{name}"), PrecisionType)
    key = "actor_rollout_ref.rollout.dtype"
    value = OmegaConf.select(config, key)
    require_name(key, value, ("auto", "half", "float16", "bfloat16", "float", "float32"))


def _check_precision(key: str, value: object, kinds: type) -> None:
    if value is None:
        return
    try:
        kinds.to_dtype(value)
    except (RuntimeError, TypeError) as error:
        words = f"{key}={shown(value)}: must be one of fp32, fp16, bf16"
        raise ConfigError(words, key=key, reason="choice") from error


def _check_loggers(config: DictConfig) -> None:
    from verl.utils.tracking import Tracking

    given = config.trainer.logger
    rule = "must be a name or a list of names; [] for none beside the run folder"
    require("trainer.logger", given, isinstance(given, str | ListConfig), rule, "type")
    names = [given] if isinstance(given, str) else list(given)
    for name in names:
        require_name("trainer.logger", name, Tracking.supported_backend)
        there = name not in TRACKERS or find_spec(name) is not None
        rule = f"the package {name} is not installed; `pip install {name}`, or leave it out"
        require("trainer.logger", name, there, rule, "machine")


def _check_optimizers(config: DictConfig) -> None:
    for key in ("actor_rollout_ref.actor.optim", "critic.optim"):
        module = OmegaConf.select(config, f"{key}.optimizer_impl", default=ABSENT)
        if module is ABSENT:
            continue  # of an engine that has its own
        try:
            found = import_module(str(module))
        except ImportError as error:
            words = f"{key}.optimizer_impl={module}: cannot be imported: {error}"
            raise ConfigError(words, key=f"{key}.optimizer_impl", reason="file") from error
        names = [name for name, kind in vars(found).items() if isinstance(kind, type)]
        require_name(f"{key}.optimizer", OmegaConf.select(config, f"{key}.optimizer"), names)
