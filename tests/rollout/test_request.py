import pytest

from verl_dots.rollout.request import BadRequest, SamplingParams, SeedBook


@pytest.mark.parametrize(
    "params, words",
    [
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_p": 0}, r"\(0, 1\]"),
        ({"top_k": -2}, "top_k=-2"),
        ({"top_k": 2**63}, r"top_k=9223372036854775808: .*1\.\.2\^63-1"),
        ({"temperature": 10**400}, "temperature=1000"),
        ({"seed": 2**63}, "seed=9223372036854775808"),
        ({"max_tokens": 0}, "at least 1"),
        ({"seed": -1}, "seed=-1"),
        ({"repetition_penalty": 1.1}, "must be 1"),
        ({"temprature": 1.0}, "did you mean 'temperature'"),
        ({"stop_token_ids": ["a"]}, "token ids"),
    ],
)
def test_a_bad_parameter_is_named_with_what_is_allowed(params, words):
    with pytest.raises(BadRequest, match=words):
        SamplingParams.from_mapping(params, default_max_tokens=8)


def test_verl_style_parameters():
    params = SamplingParams.from_mapping(
        {"temperature": 0.6, "top_p": 0.95, "top_k": -1, "repetition_penalty": 1.0, "logprobs": True}, 48
    )
    assert (params.max_tokens, params.temperature, params.logprobs) == (48, 0.6, True)
    assert SamplingParams.from_mapping({"max_new_tokens": 7}, 48).max_tokens == 7
    assert SamplingParams.from_mapping({"logprobs": None}, 48).logprobs is False


def seeds(book, *requests, version=1):
    return [
        book.seed_of(prompt, SamplingParams(max_tokens=1, rollout_index=index), version) for prompt, index in requests
    ]


def test_seeds_depend_on_prompt_index_version_and_engine_seed_alone():
    first = seeds(SeedBook(1), ((5, 6), 0), ((5, 6), 1), ((7,), 0))
    assert len(set(first)) == 3
    assert seeds(SeedBook(1), ((7,), 0), ((5, 6), 1), ((5, 6), 0)) == first[::-1]
    assert set(seeds(SeedBook(1), ((5, 6), 0), version=2)).isdisjoint(first)
    assert set(seeds(SeedBook(2), ((5, 6), 0))).isdisjoint(first)


def test_without_an_index_the_responses_to_a_prompt_are_counted():
    book = SeedBook(1)
    assert seeds(book, ((5, 6), None), ((7,), None), ((5, 6), None)) == seeds(
        SeedBook(1), ((5, 6), 0), ((7,), 0), ((5, 6), 1)
    )
    book.new_version()
    assert seeds(book, ((5, 6), None)) == seeds(SeedBook(1), ((5, 6), 0))


def test_a_given_seed_is_taken():
    assert SeedBook(1).seed_of((5,), SamplingParams(max_tokens=1, seed=42), 0) == 42
