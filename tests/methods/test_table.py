"""Which stages a run has, by its settings."""

import pytest

from tests.methods.memory import make_run
from verl_dots.methods import table
from verl_dots.methods.hooks import Source, Store

ON = {"enable": True}
AHEAD = {"enable": True, "prompts": 8}  # two batches of 4
RR = {
    "actor_rollout_ref__actor__policy_loss__loss_mode": "grpo_rr", "algorithm__adv_estimator": "grpo_rr",
}  # fmt: skip
DECOUPLED = {"actor_rollout_ref__actor__policy_loss__loss_mode": "grpo_rr_decoupled"}


@pytest.mark.parametrize(
    ("dots", "config", "stages", "one_by_one", "states"),
    [
        ([], {}, "DataLoader", False, ""),
        (["selection"], {}, "Selection", False, "selection"),
        (["adarft"], {}, "AdaRFT", False, "adarft"),
        (["selection", "adarft"], {}, "Selection AdaRFTTarget", False, "selection adarft"),
        (["budget", "temperature", "length_penalty"], {}, "DataLoader Budget Temperature LengthPenalty", True,
         "budget temperature length_penalty"),
        (["temperature"], {}, "DataLoader Temperature", False, "temperature"),
        (["entropy_coefficient", "filter"], {}, "DataLoader EntropyCoefficient Filter", False, "entropy_coefficient"),
        (["filter"], {}, "DataLoader Filter", False, ""),
        (["refill"], {}, "DataLoader Refill", True, ""),
        (["selection", "refill"], {}, "Selection Refill", False, "selection"),
        (["balanced"], {}, "DataLoader BalancedFilter", False, "filter"),
        (["preemptive"], {}, "DataLoader Preemptive", True, "preemptive"),
        (["replay"], RR, "DataLoader Replay GroupAdvantage Loss", True, "replay"),
        (["selection", "replay", "filter"], DECOUPLED, "Selection Replay Loss Filter", False, "selection replay"),
    ],
)  # fmt: skip
def test_stages_by_settings(dots, config, stages, one_by_one, states):
    settings = {"preemptive": AHEAD, "balanced": ON | {"balanced": True}}
    run = make_run({"filter" if name == "balanced" else name: settings.get(name, ON) for name in dots}, **config)
    found = table.enabled(run.dots, run.config)
    assert " ".join(stage.__name__ for stage in found) == stages
    assert table.source_of(found) is found[0] and issubclass(found[0], Source)
    assert table.store_of(found) is next((stage for stage in found if issubclass(stage, Store)), None)
    assert table.one_by_one(found) is one_by_one
    assert " ".join(kind.name for kind in table.state_kinds(run.dots, run.config)) == states


def test_two_stores_or_two_sources_are_refused_by_name(monkeypatch):
    run = make_run({"replay": ON, "preemptive": AHEAD})
    with pytest.raises(ValueError, match="preemptive and replay"):
        table.enabled(run.dots, run.config)

    class Other(table.AdaRFT):
        name = "other"

        @classmethod
        def enabled(cls, dots, config):
            return True

    monkeypatch.setattr(table, "METHODS", (Other, *table.METHODS))
    run = make_run({"adarft": ON})
    with pytest.raises(ValueError, match="other and adarft"):
        table.enabled(run.dots, run.config)


def test_the_filter_is_within_the_loss():
    """The loss asks for parts of the rows, from which the filter leaves some out; not the other way round."""
    names = [stage.__name__ for stage in table.METHODS]
    assert names.index("Loss") < names.index("Filter")
