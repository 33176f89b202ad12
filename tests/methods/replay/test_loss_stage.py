"""What the loss reads of the behaviour policy, without Ray: forward passes give -0.25 a token, the engine gave -0.5."""

import math
from functools import partial

import pytest

from tests.methods.memory import MemoryTrainer, declared, make_run, put, together
from tests.refusals import refused
from verl_dots.bridge.queue.rows import Rows
from verl_dots.methods.dash.filter_stage import Filter
from verl_dots.methods.replay.loss_stage import GroupAdvantage, Loss
from verl_dots.step import Origin, Step

MODE = "actor_rollout_ref__actor__policy_loss__loss_mode"
WEIGHT = math.exp(0.25)  # proximal / behaviour of a token of which the trainer says -0.25 and the engine -0.5


def stage(mode="grpo_rr", behaviour="recomputed", truncation=None, ranks=1, **more):
    loss = {"behaviour": behaviour, "truncation": truncation}
    return Loss.make(make_run({"loss": loss}, ranks=ranks, **{MODE: mode}, **more))


def two_ages(fresh=2, stored=2, **more):
    """Step 5: rows of step 5 with 1, 2 ... tokens, those of step 3 with as many; the fresh ones are of two origins."""
    step = Step(5)
    parts = [put(step, "a", [0.0] * fresh)] if fresh else []
    if fresh > 1:
        parts = [put(step, "a", [0.0] * (fresh - 1)), put(step, "b", [0.0], origin=Origin.REFERENCE, lengths=[2])]
    parts += [put(step, "c", [0.0] * stored, origin=Origin.REPLAYED, sampled=3, **more)] if stored else []
    return step, together(*parts)


def forward(one, step, rows, metrics, field="old_log_probs"):
    """The uids that each forward pass takes."""
    trainer = MemoryTrainer()
    one.forward(step, field, lambda part, figures: trainer.forward(field, part, figures), rows, metrics)
    assert {name for name, _ in trainer.forwarded} <= {field}
    return ["".join(key[0] for key in keys) for _, keys in trainer.forwarded]


def written(rows, *names):
    """The value of each row's tokens, which are all the same."""
    found = []
    for column in rows.get(*names):
        assert [len(row) for row in column] == [tag["response_len"] for tag in rows.tags]
        found.append([pytest.approx(float(row[0])) for row in column if len(set(row.tolist())) == 1])
    return found


STORED = [-0.25, -0.25, -0.5, -0.5]  # the engine's log-probs of rows of an earlier step


@pytest.mark.parametrize(
    ("mode", "behaviour", "passes", "columns"),
    [
        ("grpo_rr", "recomputed", ["ab"], {"old_log_probs": STORED}),
        ("grpo_rr", "engine", [], {"old_log_probs": [-0.5] * 4}),
        ("grpo_rr_decoupled", "recomputed", ["ab", "cc"],
         {"old_log_probs": [-0.25] * 4, "behaviour_log_probs": STORED, "rollout_is_weights": [1, 1, WEIGHT, WEIGHT]}),
        ("grpo_rr_decoupled", "engine", ["ab", "cc"],
         {"old_log_probs": [-0.25] * 4, "behaviour_log_probs": [-0.5] * 4, "rollout_is_weights": [WEIGHT] * 4}),
    ],
)  # fmt: skip
def test_rows_that_are_computed_and_what_is_written_to_all(mode, behaviour, passes, columns):
    one, (step, rows), metrics = stage(mode, behaviour), two_ages(), {}
    assert forward(one, step, rows, metrics) == passes
    assert metrics == ({"actor/entropy": 0.5} if passes else {})
    assert written(rows, *columns) == list(columns.values()) and rows.get("replay_age")[0] == [0, 0, 2, 2]
    assert (one.metrics(step) == {}) == (mode == "grpo_rr")


def test_figures_of_the_weights_and_their_truncation():
    # Own rows have 1 + 2 tokens of weight 1, stored ones 1 + 2 of exp(0.25) = 1.284.
    one, (step, rows) = stage("grpo_rr_decoupled"), two_ages()
    forward(one, step, rows, {})
    size = (3 + 3 * WEIGHT) ** 2 / (6 * (3 + 3 * WEIGHT**2))
    assert one.metrics(step) == pytest.approx({
        "loss/weights/max": WEIGHT, "loss/weights/truncated_share": 0.0, "loss/weights/effective_sample_size": size,
    })  # fmt: skip
    one = stage("grpo_rr_decoupled", truncation=1.25)
    forward(one, step, rows, {})
    assert written(rows, "rollout_is_weights") == [[1.0, 1.0, 1.25, 1.25]]
    size = (3 + 3 * 1.25) ** 2 / (6 * (3 + 3 * 1.25**2))
    assert one.metrics(step) == pytest.approx({
        "loss/weights/max": 1.25, "loss/weights/truncated_share": 0.5, "loss/weights/effective_sample_size": size,
    })  # fmt: skip
    one.begin(Step(6))
    assert one.metrics(Step(6)) == {}


def test_verls_metrics_are_of_stored_rows_only_where_there_are_no_others():
    seen = []
    for fresh in (1, 0):
        step, rows = two_ages(fresh)
        metrics = {}

        def inner(part, figures):
            seen.append("".join(part.uids))
            part.put({"old_log_probs": part.get("rollout_log_probs")[0]})
            figures["of"] = seen[-1]

        stage("grpo_rr_decoupled").forward(step, "old_log_probs", inner, rows, metrics)
        assert metrics == {"of": "cc" if fresh == 0 else "a"}
    assert seen == ["a", "cc", "cc"]
    step, rows = two_ages(0)
    assert forward(stage(), step, rows, {}) == [] and written(rows, "old_log_probs") == [[-0.5, -0.5]]
    step, rows = two_ages(2, 0)
    assert forward(stage("grpo_rr_decoupled"), step, rows, {}) == ["ab"]


def test_the_reference_policy_takes_all_rows():
    one, (step, rows), metrics = stage(), two_ages(), {}
    assert forward(one, step, rows, metrics, "ref_log_prob") == ["abcc"] and metrics == {"actor/entropy": 0.5}
    with pytest.raises(KeyError):
        rows.get("replay_age")


@pytest.mark.parametrize(
    ("settings", "taken"),
    [
        ({"ranks": 2}, "aabc"),  # 3 own rows and one more, 2 a rank
        ({"actor_rollout_ref__rollout__log_prob_use_dynamic_bsz": False,
          "actor_rollout_ref__rollout__log_prob_micro_batch_size_per_gpu": 5}, "aabcc"),
    ],
)  # fmt: skip
def test_rows_that_fill_up_a_forward_pass_keep_what_the_engine_said(settings, taken):
    one, (step, rows) = stage(**settings), two_ages(3)
    (found,) = forward(one, step, rows, {})
    assert "".join(sorted(found)) == taken
    assert written(rows, "old_log_probs") == [[-0.25] * 3 + [-0.5] * 2]
    decoupled = stage("grpo_rr_decoupled", **settings)
    first, second = forward(decoupled, step, rows, {})
    assert "".join(sorted(first)) == taken and {"c"} <= set(second) and len(second) == (2 if "ranks" in settings else 5)
    assert written(rows, "rollout_is_weights") == [[1.0] * 3 + [WEIGHT] * 2]


def pinned(one, rows):
    """What the workers are told after verl has put the step's temperature there."""
    one.reduce(Step(5), rows)
    rows.meta.extra_info.update({"temperature": 1.0})
    return rows.meta.extra_info


@pytest.mark.parametrize(("fresh", "temperature"), [(2, 1.0), (0, 0.6)], ids=["the step's", "of an earlier run"])
def test_rows_of_one_temperature_have_that_one(fresh, temperature):
    one = stage(actor_rollout_ref__model__use_fused_kernels=True)
    step, rows = two_ages(fresh, temperature=temperature)
    forward(one, step, rows, {})
    assert pinned(one, rows) == {"temperature": temperature}
    with pytest.raises(KeyError):
        rows.get("temperature")


def test_rows_of_several_temperatures_keep_theirs_whatever_verl_says():
    step, rows = two_ages(temperature=0.6)
    one = stage(actor_rollout_ref__rollout__temperature=0.8)
    forward(one, step, rows, {})
    assert rows.get("temperature")[0] == pytest.approx([0.8, 0.8, 0.6, 0.6])
    assert pinned(one, rows) == {} == pinned(one, two_ages(temperature=0.6)[1])
    fused = stage(actor_rollout_ref__model__use_fused_kernels=True)
    with pytest.raises(ValueError, match=r"rollouts of temperatures \[0.6, 1.0\] in one batch: .*use_fused_kernels"):
        fused.reduce(step, rows)


def test_the_workers_sums_become_figures():
    sums = {"tokens": 2.0, "ratio": 3.0, "ratio_squared": 5.0, "log_ratio": 0.5, "clipped": 1.0, "max": 2.0}
    ages = ("fresh", "age_1", "age_2-3", "age_4-7", "age_8+")
    step = Step(5, metrics={f"actor/off_policy/{age}/{name}": value for age in ages for name, value in sums.items()})
    one = stage("grpo_rr_decoupled")
    forward(one, *two_ages(), {})
    found = one.metrics(step)
    assert step.metrics == {} and set(found) == declared(Loss)
    assert found["loss/fresh/ratio/mean"] == 1.5 and found["loss/replayed/effective_sample_size"] == 12**2 / (8 * 20)


def test_which_runs_have_the_loss_and_the_advantage():
    def of(mode, estimator):
        run = make_run({}, algorithm__adv_estimator=estimator, **{MODE: mode})
        return Loss.enabled(run.dots, run.config), GroupAdvantage.enabled(run.dots, run.config)

    assert [of(*names) for names in (("vanilla", "grpo"), ("grpo_rr", "grpo"), ("grpo_rr_decoupled", "grpo_rr"))] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    run = make_run({}, **{MODE: "grpo_rr"})
    with refused("trainer.v1.trainer_mode"):  # without the trainer "dots"
        Loss.refuse(run.config, run.dots)
    assert Loss.own_loss and not GroupAdvantage.own_loss


def test_the_groups_advantage_compares_rollouts_of_one_output():
    one = GroupAdvantage.make(make_run({}))
    one.observe(Step(1), Rows.of(["a_0_0", "a_1_0"], [{}, {}]))
    with pytest.raises(ValueError, match="adv_estimator=grpo_rr compares rollouts of one output each"):
        one.observe(Step(1), Rows.of(["a_0_0", "a_0_1"], [{}, {}]))


def test_figures_of_the_weights_are_of_rows_whose_log_probs_were_computed(queue):
    dots = {"preemptive": {"enable": True, "prompts": 8}, "filter": {"enable": True}, "loss": {"behaviour": "engine"}}
    run = make_run(dots, questions=16, **{MODE: "grpo_rr_decoupled"})
    loss, spares = Loss.make(run), Filter.make(run)
    step = Step(2)
    # One group is effective: the filter spares the rows of the others the pass, and the engine's log-probs stand in.
    rewards = [(0.0, 1.0), (0.0, 0.0), (1.0, 1.0)]
    rows = together(*(put(step, str(i), of, origin=Origin.CACHED, sampled=1) for i, of in enumerate(rewards)))
    spares.complete(step, rows)
    inner = partial(spares.forward, step, "old_log_probs", partial(run.trainer.forward, "old_log_probs"))
    loss.forward(step, "old_log_probs", inner, rows, {})
    assert written(rows, "rollout_is_weights") == [[WEIGHT] * 2 + [1] * 4]
    figures = loss.metrics(step)
    assert figures["loss/weights/max"] == pytest.approx(WEIGHT)
    assert figures["loss/weights/effective_sample_size"] == pytest.approx(1.0)  # of two weights that are alike
