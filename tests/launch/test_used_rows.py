"""The rows of a run's files that are used: verl's sample of them, and in it the prompts that are short enough."""

import logging

import pytest
from omegaconf import OmegaConf

from data_prep.byte_tokenizer import build_tokenizer
from tests.launches import plain_config, question_row, write_rows
from tests.refusals import refused
from verl_dots.launch.data_checks import check_data
from verl_dots.launch.used_rows import TRAIN, VALIDATION, Sample, sample_of

pytestmark = pytest.mark.usefixtures("cpu_environment")
SHORT, LONG = ([question_row(f"{kind}{i}" + "x" * more) for i in range(10)] for kind, more in (("s", 0), ("l", 60)))


@pytest.fixture
def config_of(tmp_path):
    """Of a run on ten short prompts behind ten long ones, in two files, and on the same for validation."""
    (tmp_path / "model").mkdir()
    build_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("{}")
    files = [str(write_rows(tmp_path / f"{name}.parquet", rows)) for name, rows in (("a", LONG), ("b", SHORT))]

    def of(**data):
        config = plain_config().copy()
        given = {"train_files": files, "val_files": files, "train_batch_size": 4, "max_prompt_length": 64}
        given |= {"filter_overlong_prompts": True, "filter_overlong_prompts_workers": 1, "shuffle": False, "seed": 3}
        for key, value in (given | data).items():
            OmegaConf.update(config, f"data.{key}", value)
        OmegaConf.update(config, "actor_rollout_ref.model.path", str(tmp_path / "model"))
        return config

    return of


@pytest.fixture
def verls(tmp_path, monkeypatch):
    """verl's own data set of a config's training files."""
    from verl.utils.dataset.rl_dataset import RLHFDataset

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return lambda config: RLHFDataset(
        config.data.train_files, build_tokenizer(), config.data, max_samples=config.data.train_max_samples
    )


@pytest.mark.parametrize("shuffle, seed", [(True, 3), (True, 8), (False, 3), (False, None)])
def test_the_sample_is_that_of_verls_own_data_set(config_of, verls, shuffle, seed):
    config = config_of(shuffle=shuffle, seed=seed, train_max_samples=7, filter_overlong_prompts=False)
    texts = [row["content"] for row in LONG + SHORT for row in row["prompt"]]
    drawn = {texts.index(chat[0]["content"]) for chat in verls(config).dataframe["prompt"]}
    assert sample_of(config, TRAIN, config.data.train_files) == Sample(20, 7, frozenset(drawn)) and len(drawn) == 7


def test_all_rows_are_taken_where_there_is_no_limit_or_one_that_they_do_not_reach(config_of):
    for most in (-1, 20, 99):
        config = config_of(shuffle=True, train_max_samples=most)
        assert sample_of(config, TRAIN, config.data.train_files) == Sample(20, 20)
    config = config_of(val_max_samples=3)
    assert sample_of(config, VALIDATION, config.data.val_files) == Sample(20, 3, frozenset({0, 1, 2}))
    assert sample_of(config, VALIDATION, config.data.val_files, train=False) == Sample(20, 20)


@pytest.mark.parametrize("shuffle, seed", [(True, 3), (True, 8), (False, 3)])
def test_long_prompts_are_counted_in_the_sample_alone(config_of, verls, shuffle, seed):
    """Of the first 14 rows four are short; of a sample as many as verl's data set has, and no batch of one more."""
    config = config_of(shuffle=shuffle, seed=seed, train_max_samples=14)
    left = len(verls(config))
    assert 4 <= left < 10 and (shuffle or left == 4)
    check_data(config_of(shuffle=shuffle, seed=seed, train_max_samples=14, train_batch_size=left))
    more = config_of(shuffle=shuffle, seed=seed, train_max_samples=14, train_batch_size=left + 1)
    told = (f"{left} of 20 rows", f"leaves out {14 - left} prompts", "train_max_samples=14", "of this sample")
    with refused(TRAIN, "size", *told):
        check_data(more)


def test_a_sample_that_nobody_knows_is_taken_at_its_worst(config_of):
    """Without a seed all ten long prompts may be in it."""
    unknown = {"shuffle": True, "seed": None}
    check_data(config_of(**unknown, train_max_samples=14))
    with refused(TRAIN, "size", "as few as 3 of 20 rows", "10 prompts", "data.seed=null"):
        check_data(config_of(**unknown, train_max_samples=13))
    with refused(TRAIN, "size", "as few as 0 of 20 rows"):
        check_data(config_of(**unknown, train_max_samples=9))
    check_data(config_of(**unknown, train_max_samples=9, max_prompt_length=128))


def test_validation_questions_that_are_left_out_are_told_of_the_sample(config_of, caplog):
    caplog.set_level(logging.WARNING)
    check_data(config_of(val_max_samples=12))
    assert "data.val_files: 10 of 12 questions have prompts of more than data.max_prompt_length=64" in caplog.text
    with refused(VALIDATION, "size", "0 of 20 rows", "data.val_max_samples=10"):
        check_data(config_of(val_max_samples=10))
