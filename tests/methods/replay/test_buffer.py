import numpy as np
import pytest

from tests.methods.memory import carry_over
from tests.refusals import refused
from verl_dots.methods.replay.buffer import ReplayBuffer
from verl_dots.methods.replay.sampling import Nearest, fresh_count, freshest, uniform
from verl_dots.state import StateError
from verl_dots.stored import Response, groups_state, pack


def response(reward, length=3, **changes):
    tokens = np.arange(length)
    fields = {"tokens_T": tokens, "log_probs_T": np.full(length, -0.5), "reward": reward}
    return Response(**(fields | changes))


def group(question, rewards=(1.0, 0.0), step=1, lengths=(3, 2)):
    responses = [response(reward, length) for reward, length in zip(rewards, lengths, strict=True)]
    return pack(question, step, 0.7, np.array([7, 8]), responses)


def buffer(capacity=4, max_age=None, sampling=uniform, seed=0, newest_only=True):
    return ReplayBuffer(capacity, (0.0, 1.0), max_age, sampling, np.random.default_rng(seed), newest_only)


def test_what_goes_in_comes_out():
    mask = np.array([True, False, True, True])
    packed = pack("q", 3, 0.7, np.array([7, 8]), [response(1.0), response(0.25, 4, mask_T=mask, turns=5)])
    assert packed.tokens_N.tolist() == [0, 1, 2, 0, 1, 2, 3] and packed.tokens_N.dtype == np.int32
    assert (packed.step, packed.temperature, packed.prompt_N.tolist()) == (3, 0.7, [7, 8])
    first, second = packed.responses()
    assert second.tokens_T.tolist() == [0, 1, 2, 3] and second.log_probs_T.tolist() == [-0.5] * 4
    assert (first.reward, second.reward) == (1.0, 0.25) and packed.mean_reward == 0.625
    assert (first.turns, second.turns) == (2, 5)
    assert first.mask_T.tolist() == [True] * 3 and second.mask_T.tolist() == mask.tolist()
    assert group("q").responses()[0].mask_T is None


def test_a_response_token_takes_8_bytes_and_a_bit():
    def cost(length, **more):
        return pack("q", 1, 1.0, np.zeros(9), [response(1.0, length, **more)]).nbytes

    assert cost(1600) - cost(800) == 8 * 800
    masks = [{"mask_T": np.arange(length) > 0} for length in (800, 1600)]
    assert cost(1600, **masks[1]) - cost(800, **masks[0]) == 8 * 800 + 100


@pytest.mark.parametrize(
    "bad, key, reason, named",
    [
        ({"log_probs_T": np.zeros(2)}, "log_probs_T", "size", ["(2,)", "3 tokens"]),
        ({"mask_T": np.ones(4, bool)}, "mask_T", "size", ["(4,)", "3 tokens"]),
        ({"log_probs_T": np.array([-1, np.nan, -1])}, "log-prob", "range", ["nan of token 1"]),
        ({"log_probs_T": np.array([-1, -1, 0.1])}, "log-prob", "range", ["0.1 of token 2"]),
        ({"tokens_T": np.empty(0)}, "group of question q (step 5), response 1", "missing", []),
        ({"reward": float("inf")}, "reward", "range", ["inf"]),
    ],
)
def test_bad_responses_are_named(bad, key, reason, named):
    with refused(key, reason, "question q (step 5), response 1", *named):
        pack("q", 5, 1.0, np.zeros(1), [response(0.0), response(**({"reward": 1.0} | bad))])


def test_a_log_prob_just_above_0_is_rounding():
    packed = pack("q", 1, 1.0, np.zeros(1), [response(1.0, log_probs_T=np.array([-1.0, 1e-7, 0.0]))])
    assert packed.log_probs_N.tolist() == [-1.0, 0.0, 0.0]


def test_groups_without_responses_or_of_greedy_sampling():
    with refused("group of question q (step 1)", "missing"):
        pack("q", 1, 1.0, np.zeros(1), [])
    with refused("temperature", "range", "0.0"):
        pack("q", 1, 0.0, np.zeros(1), [response(1.0)])


def test_only_effective_groups_of_any_size_are_kept():
    kept = buffer()
    groups = [
        group("all right", (1.0, 1.0)), group("mixed"), group("all wrong", (0.0, 0.0)),
        group("one", (1.0,), lengths=(3,)), group("three", (1.0, 0.0, 0.0), lengths=(1, 2, 3)),
        # Their mean lies between, and they teach nothing.
        group("all half", (0.5, 0.5)), group("one half", (0.5,), lengths=(2,)),
    ]  # fmt: skip
    assert kept.put(groups) == 2
    assert len(kept) == 2 and "mixed" in kept and "three" in kept


def test_the_oldest_give_way_and_a_question_has_its_newest_group():
    kept = buffer(capacity=3)
    kept.put([group("a", step=1), group("b", step=1), group("c", step=1)])
    kept.put([group("a", step=2)])  # a is now the newest
    kept.put([group("d", step=3)])  # pushes b out
    assert sorted(name for name in "abcd" if name in kept) == ["a", "c", "d"]
    assert kept["a"].step == 2
    with refused("b", "missing", "3 others"):
        kept["b"]
    # Solved by now: what it was before teaches nothing any more.
    kept.put([group("a", (1.0, 1.0), step=4)])
    assert "a" not in kept and len(kept) == 2


def test_a_buffer_of_all_groups_is_first_in_first_out_whatever_their_questions():
    kept = buffer(capacity=3, newest_only=False)
    kept.put([group("a", step=1), group("b", step=1), group("a", step=2)])
    kept.put([group("a", (1.0, 1.0), step=3)])  # not kept, and nothing leaves for it
    assert sorted((each.question, each.step) for each in kept.sample(9)) == [("a", 1), ("a", 2), ("b", 1)]
    assert kept["a"].step == 2 and kept.sample(9, exclude="a")[0].question == "b"
    assert kept.put([group("c", step=4), group("c", step=5)]) == 2  # push out the first two
    assert sorted((each.question, each.step) for each in kept.sample(9)) == [("a", 2), ("c", 4), ("c", 5)]


def test_a_restored_buffer_of_all_groups_has_them_in_their_order(tmp_path):
    kept, restored = (buffer(capacity=3, newest_only=False, seed=seed) for seed in (1, 2))
    kept.put([group("a", step=1), group("b", step=1), group("a", step=2)])
    carry_over(kept, restored, tmp_path)
    for one in (kept, restored):
        one.put([group("b", step=3)])
    drawn = [[(each.question, each.step) for each in one.sample(9)] for one in (kept, restored)]
    assert drawn[0] == drawn[1] and sorted(drawn[0]) == [("a", 2), ("b", 1), ("b", 3)]


def test_groups_of_questions_that_are_given_up_go():
    one = buffer()
    one.put([group("a"), group("b")])
    one.forget(["b", "c"])
    assert "a" in one and "b" not in one and len(one) == 1
    of_all = buffer(newest_only=False)
    of_all.put([group("a")])
    of_all.forget(["a"])
    assert "a" in of_all


def test_groups_older_than_the_limit_go():
    kept = buffer(max_age=2)
    kept.put([group("a", step=1), group("b", step=3)])
    assert kept.expire(3) == 0
    assert kept.expire(4) == 1 and "a" not in kept and "b" in kept
    assert buffer().expire(1000) == 0


def test_rewards_outside_the_range_are_refused_whole():
    kept = buffer()
    with refused("dots.reward_range", "range", "question b (step 1)", "2.0", "[0.0, 1.0]"):
        kept.put([group("a"), group("b", (2.0, 0.0))])
    assert len(kept) == 0


def names(groups):
    return [group.question for group in groups]


def test_sampling_leaves_out_the_excluded_and_never_repeats():
    kept = buffer(capacity=10)
    kept.put(group(name) for name in "abcdef")
    for _ in range(50):
        drawn = names(kept.sample(3, exclude={"a", "b"}))
        assert len(set(drawn)) == 3 and set(drawn) <= set("cdef")
    assert sorted(names(kept.sample(9, exclude="ab"))) == list("cdef")
    assert buffer().sample(4) == []


def test_uniform_sampling_is_uniform_and_seeded():
    kept, same = buffer(seed=3), buffer(seed=3)
    for each in (kept, same):
        each.put(group(name) for name in "abcd")
    drawn = [names(kept.sample(2)) for _ in range(2000)]
    assert drawn == [names(same.sample(2)) for _ in range(2000)]
    counts = np.array([sum(name in pair for pair in drawn) for name in "abcd"])
    assert abs(counts - 1000).max() < 100  # standard deviation 22


def test_freshest_and_nearest():
    kept = buffer(sampling=freshest)
    kept.put(group(name, step=step) for name, step in (("a", 1), ("b", 5), ("c", 3)))
    assert names(kept.sample(2)) == ["b", "c"]
    kept = buffer(sampling=Nearest())
    rewards = {"a": (1.0, 0.0, 0.0, 0.0), "b": (1.0, 1.0, 1.0, 0.0), "c": (1.0, 1.0, 0.0, 0.0)}
    kept.put(group(name, values, lengths=(1, 1, 1, 1)) for name, values in rewards.items())
    assert names(kept.sample(3, target=0.25)) == ["b", "c", "a"]  # difficulties 0.75, 0.25, 0.5


def test_ties_are_broken_at_random():
    kept = buffer(sampling=freshest)
    kept.put(group(name) for name in "abcd")
    assert {names(kept.sample(1))[0] for _ in range(100)} == set("abcd")


def test_a_restored_buffer_goes_on_as_the_old_one(tmp_path):
    kept = buffer(capacity=5, seed=1)
    masked = pack("m", 2, 0.9, np.array([1]), [response(1.0, 9, mask_T=np.arange(9) != 4), response(0.0, 1)])
    kept.put([group("a"), masked, group("b", (1.0, 0.0, 0.5), 3, (4, 5, 6))])
    kept.sample(2)
    carry_over(kept, restored := buffer(capacity=5, seed=99), tmp_path)
    for name in "amb":
        assert vars(restored[name]).keys() == vars(kept[name]).keys()
        for field, value in vars(kept[name]).items():
            np.testing.assert_array_equal(getattr(restored[name], field), value)
            assert np.asarray(getattr(restored[name], field)).dtype == np.asarray(value).dtype
    for one in (kept, restored):
        one.put([group("d", step=9), group("e", step=9), group("f", step=9)])
    assert [names(kept.sample(3)) for _ in range(20)] == [names(restored.sample(3)) for _ in range(20)]


def test_an_empty_buffer_is_restored_empty(tmp_path):
    restored = buffer()
    restored.put([group("a")])
    carry_over(buffer(), restored, tmp_path)
    assert len(restored) == 0


def test_a_state_of_another_capacity_is_refused():
    with refused("dots.replay.capacity", "other run", "has 4", "has 5"):
        buffer(capacity=5).load_state_dict(buffer(capacity=4).state_dict())


@pytest.mark.parametrize(
    ("groups", "key", "told"),
    [
        ([group(name) for name in "abcde"], "questions", "at most 4 groups, each once"),
        ([group("a"), group("b"), group("a", step=2)], "questions", "each once"),
        ([group("a"), group("b", (7.0, 0.0))], "rewards_G", "rewards in [0.0, 1.0] that differ (question b)"),
        ([group("a", (-0.1, 1.0))], "rewards_G", "question a"),
        ([group("a"), group("b", (0.5, 0.5))], "rewards_G", "question b"),
        ([group("a", (1.0,), lengths=(3,))], "rewards_G", "question a"),
    ],
    ids=range(6),
)
def test_a_buffer_that_no_run_can_have_saved_is_refused(groups, key, told):
    """More groups than its capacity, two of a question, rewards out of range, and such as teach nothing."""
    restored = buffer()
    restored.put([group("z")])
    with refused(key, "damaged", "replay buffer", told, kind=StateError):
        restored.load_state_dict(buffer().state_dict() | groups_state(groups))
    assert "z" in restored and len(restored) == 1


def test_of_all_groups_a_buffer_has_two_of_a_question():
    restored = buffer(newest_only=False)
    restored.load_state_dict(buffer().state_dict() | groups_state([group("a"), group("a", step=2)]))
    assert len(restored) == 2
    with refused("questions", "damaged", "at most 4 groups."):
        restored.load_state_dict(buffer().state_dict() | groups_state([group("a")] * 5))


def test_rewards_that_were_kept_by_rounding_are_taken_over():
    settings = (4, (0.1, 1.1), None, uniform, np.random.default_rng(0))
    one, restored = ReplayBuffer(*settings), ReplayBuffer(*settings)
    one.put([group("a", (float(np.float32(0.1)), float(np.float32(1.1))))])
    restored.load_state_dict(one.state_dict())
    assert "a" in restored


@pytest.mark.parametrize("capacity, max_age", [(0, None), (4, 0)])
def test_bad_settings(capacity, max_age):
    with pytest.raises(ValueError, match="must be 1 or more"):
        buffer(capacity, max_age)


def test_rewards_in_float32_are_within_their_range_and_extremes_stay_ineffective():
    one = ReplayBuffer(4, (0.1, 1.1), None, uniform, np.random.default_rng(0))
    lowest, greatest = float(np.float32(0.1)), float(np.float32(1.1))
    assert greatest > 1.1 and lowest > 0.1
    assert (
        one.put([group("a", (lowest, lowest)), group("b", (greatest, greatest)), group("c", (lowest, greatest))]) == 1
    )
    with refused("dots.reward_range", "range", "1.2", "[0.1, 1.1]"):
        one.put([group("d", (0.5, 1.2))])


@pytest.mark.parametrize("delta, fresh", [(1.0, 8), (0.5, 4), (0.55, 4), (0.1, 1)])
def test_fresh_share(delta, fresh):
    assert fresh_count(8, delta) == fresh


@pytest.mark.parametrize("delta", [0.0, -0.5, 1.01, np.nan, 0.01])
def test_bad_fresh_share(delta):
    with pytest.raises(ValueError, match="delta="):
        fresh_count(8, delta)


@pytest.mark.parametrize("newest_only", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_groups_that_come_together_are_kept_as_one_after_another(newest_only, seed):
    rng = np.random.default_rng(seed)

    def some(count, step):
        rewards = [(1.0, float(rng.integers(2))) for _ in range(count)]
        return [group(f"q{rng.integers(4)}", of, step) for of in rewards]

    together, alone = (buffer(capacity=5, newest_only=newest_only) for _ in range(2))
    for step in range(1, 4):
        groups = some(4, step)
        assert together.put(groups) == sum(alone.put([each]) for each in groups)
        held = [[id(each) for each in one._groups] for one in (together, alone)]
        assert held[0] == held[1] and len(held[0]) <= 5
