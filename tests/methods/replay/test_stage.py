"""Replay in a step, without Ray; rows through verl are in test_end_to_end.py."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from tests.methods.memory import declared, make_run, put, together
from tests.refusals import refused
from verl_dots.bridge.queue.advantages import advantages_of_rewards
from verl_dots.bridge.queue.row_tags import place_of
from verl_dots.bridge.queue.rows import Rows
from verl_dots.methods.loader import DataLoader
from verl_dots.methods.replay.stage import Replay
from verl_dots.step import Group, Origin, Step
from verl_dots.stored import ReplayError, Response, pack


def stage(questions=6, loss=None, **changes):
    dots = {"replay": {"enable": True, "capacity": 8, **changes}, "loss": loss or {}}
    run = make_run(dots, questions, fresh=2)
    return Replay.make(run), DataLoader.make(run)


def group(one, question, step=1, rewards=(0.0, 1.0)):
    responses = [Response(np.arange(3), np.full(3, -0.5), reward) for reward in rewards]
    return pack(one.run.questions.known.ids[question], step, 1.0, np.array([7]), responses)


def asked(one, source, step):
    return [questions.tolist() for questions in one.fill(step, source)]


def held(one, *questions):
    ids = one.run.questions.known.ids
    return [question for question in questions or range(len(ids)) if ids[question] in one.buffer]


def observe(one, step, *groups):
    """Let the stage see groups (question, what `put` takes), whose recomputed log-probs are -0.25."""
    parts = []
    for place, (question, more) in enumerate(groups):
        step.question_of[f"group{place}"] = question
        parts.append(put(step, f"group{place}", **({"rewards": (0.0, 1.0)} | more)))
    rows = together(*parts)
    rows.put({"old_log_probs": [torch.full((tag["response_len"],), -0.25) for tag in rows.tags]})
    one.observe(step, rows)


@pytest.mark.parametrize(
    ("kept", "references", "rolled_out", "topped_up"),
    [([], [], [0, 1, 2, 3], 2), ([], [5], [0, 1, 2], 1), ([3], [], [0, 1, 2], 1)],
)
def test_what_is_not_there_is_topped_up_with_other_fresh_questions(kept, references, rolled_out, topped_up):
    """Two of four questions are planned; references and kept groups are part of the batch."""
    one, source = stage()
    one.buffer.put([group(one, question) for question in kept])
    step = Step(2, question_of={f"reference{question}": question for question in references})
    assert asked(one, source, step) == [rolled_out] and list(step.question_of.values()) == references + kept
    figures = one.metrics(step)
    assert (figures["replay/share"], figures["replay/topped_up_groups"]) == (len(kept) / 4, topped_up)


@pytest.mark.parametrize(
    ("overlap", "replayed", "rolled_out", "overlapping"),
    [
        # Questions 0 and 1 are planned; question 0 was kept at two steps.
        ("none", [], [0, 1, 2, 3], 0), ("batch", [(0, 2)], [0, 1, 2], 1), ("buffer", [(0, 1), (0, 2)], [0, 1], 2),
    ],
)  # fmt: skip
def test_where_a_question_may_be_twice(queue, overlap, replayed, rolled_out, overlapping):
    one, source = stage(overlap=overlap)
    one.buffer.put([group(one, 0, step=1), group(one, 0, step=2)])
    assert asked(one, source, step := Step(3)) == [rolled_out]
    tags = {key: tag for key, tag in queue.tags["train"].items() if not tag.get("is_prompt")}
    found = {(step.question_of[place_of(key)[0]], tag["global_steps"]) for key, tag in tags.items()}
    assert sorted(found) == replayed and len(step.question_of) == len(replayed)
    origins = {uid: Origin.REPLAYED for uid in step.question_of} | {f"fresh{each}": Origin.FRESH for each in rolled_out}
    question_of = step.question_of | {f"fresh{each}": each for each in rolled_out}
    step.groups = {uid: Group(uid, (0.0, 1.0), origin, 1, question_of[uid]) for uid, origin in origins.items()}
    figures = one.metrics(step)
    assert figures["replay/share"] == len(replayed) / 4 and figures["replay/overlapping_groups"] == overlapping


@pytest.mark.parametrize(("overlap", "replayed"), [("none", [5]), ("batch", [4, 5])])
def test_a_question_of_which_rollouts_are_in_flight_is_not_replayed_unless_it_may_be_twice(overlap, replayed):
    """The step may train on these: questions 0 and 1 are planned, 4 was asked for by an earlier step."""
    one, source = stage(overlap=overlap)
    one.buffer.put([group(one, 4), group(one, 5)])
    asked(one, source, step := Step(3, in_flight={4}))
    assert sorted(step.question_of.values()) == replayed


def test_two_groups_of_a_question_are_compared_each_within_itself(queue):
    one, source = stage(overlap="buffer")
    one.buffer.put([group(one, 0, step=1), group(one, 0, step=2, rewards=(0.0, 0.0, 0.0, 1.0))])
    assert asked(one, source, step := Step(3)) == [[0, 1]]
    fresh = put(step, "fresh0", (1.0, 1.0, 0.0, 1.0))
    step.question_of["fresh0"] = 0
    stored = {key: tag for key, tag in queue.tags["train"].items() if tag.get("origin") == "replayed"}
    rows = together(Rows.of(list(stored), list(stored.values())), fresh)
    groups = rows.groups(step.question_of)
    assert sorted((each.question, each.sampled, each.mean_reward) for each in groups.values()) == [
        (0, 1, 0.5), (0, 2, 0.25), (0, 3, 0.75),
    ]  # fmt: skip
    step.groups = groups
    assert [each.uid for each in step.new] == ["fresh0"]
    # Rewards less the mean of their own group, not of the question's ten rollouts (0.5).
    config = OmegaConf.merge(one.run.config, {"algorithm": {"norm_adv_by_std_in_grpo": False}})
    advantages, _ = advantages_of_rewards(rows, config)
    by_uid = {}
    for uid, advantage_T in zip(rows.uids, advantages, strict=True):
        by_uid.setdefault(groups[uid].sampled, []).append(float(advantage_T.sum() / (advantage_T != 0).sum()))
    assert by_uid == {1: [-0.5, 0.5], 2: [-0.25, -0.25, -0.25, 0.75], 3: [0.25, 0.25, -0.75, 0.25]}
    # What is kept is this step's, beside the earlier ones.
    fresh.put({"old_log_probs": [torch.full((tag["response_len"],), -0.25) for tag in fresh.tags]})
    one.observe(step, rows.own)
    assert sorted(each.step for each in one.buffer.sample(9)) == [1, 2, 3]


def test_nothing_is_replayed_in_the_first_steps():
    one, source = stage(fresh_steps=2, questions=12)
    one.buffer.put([group(one, question) for question in range(8, 12)])
    rolled_out = [len(asked(one, source, Step(number))[0]) for number in (1, 2, 3)]
    assert rolled_out == [4, 4, 2]  # of a batch of 4, whole, whole, and delta * B


def test_an_overlap_gives_a_batch_all_that_it_asks_for():
    """Two of eight questions a step, of which every other group teaches nothing, and a buffer of three groups."""
    shares = {}
    for overlap in ("none", "batch", "buffer"):
        one, _ = stage(questions=8, capacity=3, overlap=overlap)
        rng, found = np.random.default_rng(1), []
        planned = SimpleNamespace(
            plan=lambda step, rng=rng: rng.permutation(8)[:2],
            top_up=lambda step, count, exclude: np.setdiff1d(np.arange(8), list(exclude))[:count],
        )
        for number in range(1, 80):
            fresh = asked(one, planned, step := Step(number))[0]
            found.append(one.metrics(step)["replay/share"])
            groups = [group(one, question, number, (0.0, float(place % 2))) for place, question in enumerate(fresh)]
            one.buffer.put(groups)
        shares[overlap] = np.mean(found[5:])
    assert shares["none"] < 0.48 and shares["batch"] == shares["buffer"] == 0.5


def test_the_seconds_of_a_plan_are_not_replays(monkeypatch):
    one, source = stage()
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def plan(step):
        clock[0] += 60  # reference rollouts
        return np.array([0, 1])

    def top_up(step, count, exclude):
        clock[0] += 1
        return np.array([2, 3])

    monkeypatch.setattr(source, "plan", plan)
    monkeypatch.setattr(source, "top_up", top_up)
    assert asked(one, source, step := Step(1)) == [[0, 1, 2, 3]]
    assert step.timing == {"replay": 1.0}


def test_kept_groups_come_back_as_replayed_rows_of_the_step(queue):
    one, source = stage()
    one.buffer.put([group(one, 4, step=2), group(one, 5), group(one, 0)])
    assert asked(one, source, step := Step(3)) == [[0, 1]]
    assert sorted(step.question_of.values()) == [4, 5]
    tags = [tag for tag in queue.tags["train"].values() if not tag.get("is_prompt")]
    found = {(tag["origin"], tag["global_steps"], tag["temperature"]) for tag in tags}
    assert found == {("replayed", 1, 1.0), ("replayed", 2, 1.0)}
    # 2 of 4 groups, 1 and 2 steps old, of 2 responses of 3 tokens; of the 3 groups kept each has a prompt of 1 token
    # and 2 lengths, 2 rewards, 2 turns, 6 tokens and 6 log-probs: 4 * (1 + 2 + 2 + 6 + 6) + 8 * 2 bytes.
    assert one.metrics(step) == {
        "replay/share": 0.5, "replay/tokens_not_generated": 12.0, "replay/topped_up_groups": 0.0,
        "replay/overlapping_groups": 0.0, "replay/age/mean": 1.5, "replay/age/max": 2.0,
        "replay/buffer/groups": 3.0, "replay/buffer/fill": 3 / 8, "replay/buffer/bytes": 3 * 84.0,
    }  # fmt: skip
    assert set(one.metrics(step)) == declared(Replay)


def test_a_batch_that_cannot_be_filled_is_an_error_not_a_short_batch():
    one, source = stage(questions=3)
    with pytest.raises(ReplayError, match="step 2: a batch of 4 different questions cannot be filled from 3"):
        asked(one, source, Step(2))


def test_what_this_step_has_sampled_is_kept_and_nothing_else():
    one, _ = stage()
    step = Step(3, temperature=0.7)
    stored = [{"origin": origin, "sampled": 1} for origin in (Origin.CACHED, Origin.REPLAYED)]
    reference, padding = {"origin": Origin.REFERENCE}, {"padding": True}
    observe(one, step, (0, {}), (1, reference), (2, stored[0]), (3, stored[1]), (4, padding), (5, {"rewards": (1, 1)}))
    assert held(one) == [0, 1]
    kept = one.buffer[one.run.questions.known.ids[1]]
    assert (kept.step, kept.temperature, kept.prompt_N.tolist()) == (3, 0.7, [1, 2])
    assert kept.rewards_G.tolist() == [0, 1] and kept.tokens_N.tolist() == [0, 0, 1]


@pytest.mark.parametrize(("behaviour", "log_prob"), [("recomputed", -0.25), ("engine", -0.5)])
def test_log_probs_that_are_kept_are_those_of_the_behaviour_policy(behaviour, log_prob):
    one, _ = stage(loss={"behaviour": behaviour})
    observe(one, Step(1), (2, {}))
    assert one.buffer[one.run.questions.known.ids[2]].log_probs_N.tolist() == [log_prob] * 3


def test_an_earlier_group_goes_where_the_step_has_given_up_a_newer_one():
    one, _ = stage()
    one.buffer.put([group(one, 4), group(one, 5)])
    observe(one, Step(2, dropped=[Group("a", (1.0, 1.0), question=4)]), (0, {}))
    assert held(one) == [0, 5]


def test_a_group_above_the_greatest_age_is_not_replayed():
    one, source = stage(max_age=2)
    one.buffer.put([group(one, 4, step=1), group(one, 5, step=2)])
    asked(one, source, step := Step(4))  # 3 and 2 steps old
    assert list(step.question_of.values()) == [5] and held(one) == [5]


def test_the_nearest_groups_are_those_at_the_target_of_the_step():
    one, source = stage(sampling="nearest", questions=8)
    one.buffer.put([group(one, 6, rewards=(0, 0, 0, 1)), group(one, 7, rewards=(0, 1, 1, 1))])
    for target, nearest in ((0.75, 6), (0.25, 7)):
        step = Step(2, target=target, question_of={"reference": 5})
        asked(one, source, step)
        assert list(step.question_of.values()) == [5, nearest]


def test_a_restored_buffer_draws_what_the_saved_one_draws():
    (one, source), (other, same) = stage(questions=12), stage(questions=12)
    one.buffer.put([group(one, question) for question in range(4, 12)])
    one.buffer.sample(3)  # the generator moves on
    other.load_state_dict(one.state_dict())
    assert held(other) == list(range(4, 12))
    drawn = []
    for which, questions in ((one, source), (other, same)):
        asked(which, questions, step := Step(2))
        drawn.append(list(step.question_of.values()))
    assert drawn[0] == drawn[1]


def test_draws_are_of_the_runs_seed_and_a_stream_of_their_own():
    one, source = stage()
    one.buffer.put([group(one, question) for question in (2, 3, 4, 5)])
    asked(one, source, step := Step(2))
    order = np.random.default_rng([one.run.dots.seed, 4]).permutation(4)
    assert list(step.question_of.values()) == [2 + place for place in order[:2]]


def test_what_replay_asks_of_a_run():
    one, _ = stage(delta=0.25)
    assert Replay.fresh(one.run.dots, 8) == 2  # delta * B
    assert Replay.unequal_groups and Replay.knows_questions
    with refused("trainer.v1.trainer_mode"):  # without the trainer "dots"
        Replay.refuse(one.run.config, one.run.dots)
    run = make_run({"replay": {"enable": True}}, text_only=False)
    with pytest.raises(ValueError, match="dots.replay.enable=True keeps text alone"):
        Replay.make(run)
