"""Validation questions that are read and wrapped once, through verl's own data set and loader."""

from types import SimpleNamespace

import numpy as np
import pytest
from tensordict import NonTensorStack
from torchdata.stateful_dataloader import StatefulDataLoader
from transformers import AutoTokenizer

from tests.launches import plain_config, question_row, save_untrained, write_rows

pytestmark = pytest.mark.usefixtures("cpu_environment")


@pytest.fixture
def dataset(tmp_path):
    from verl.utils.dataset.rl_dataset import RLHFDataset

    save_untrained(tmp_path / "model")
    rows = [question_row(f"What is {i} plus 1?", str(i + 1), extra_info={"index": i}) for i in range(5)]
    write_rows(tmp_path / "val.parquet", rows)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    return RLHFDataset(str(tmp_path / "val.parquet"), tokenizer, plain_config().data)


class Counting:
    """A loader that counts what it was asked for."""

    def __init__(self, dataset):
        from verl.utils.dataset.rl_dataset import collate_fn

        self.loader, self.times = StatefulDataLoader(dataset, 2, collate_fn=collate_fn), 0

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        self.times += 1
        return iter(self.loader)


def as_verl_makes_it(batch):
    """verl's batch of a validation: with names of its own, which each validation draws anew."""
    from verl.utils import tensordict_utils as tu

    batch["uid"] = np.array([str(i) for i in range(len(batch["raw_prompt"]))], dtype=object)
    whole = tu.get_tensordict(batch)
    return [{name: whole[name][i] for name in sorted(whole.keys())} for i in range(len(whole))]


def test_each_validation_has_the_loaders_batches_and_reads_them_once(dataset):
    from verl_dots.bridge.trainer.validation_batches import ValidationBatches

    expected = [as_verl_makes_it(batch) for batch in Counting(dataset)]
    loader = Counting(dataset)
    kept = ValidationBatches(loader)
    assert len(kept) == 3
    for _ in range(3):
        found = [as_verl_makes_it(batch) for batch in kept]
        assert str(found) == str(expected)
    assert loader.times == 1
    (first, *_) = kept
    assert isinstance(first["raw_prompt"], NonTensorStack), "which verl does not wrap again"
    assert list(first["data_source"]) == ["arithmetic"] * 2, "verl reads these as they are"
    assert "uid" not in first


def test_a_validation_that_ends_early_keeps_nothing(dataset):
    from verl_dots.bridge.trainer.validation_batches import ValidationBatches

    loader = Counting(dataset)
    kept = ValidationBatches(loader)
    next(iter(kept))
    assert [len(batch["raw_prompt"]) for batch in kept] == [2, 2, 1] and loader.times == 2


def test_what_may_differ_from_validation_to_validation_is_read_each_time(dataset):
    from verl_dots.bridge.trainer.validation_batches import are_always_the_same

    class Mine(type(dataset)):
        """A user's data set, which may make its rows anew."""

    mine = Mine.__new__(Mine)
    assert are_always_the_same(dataset, None, shuffled=False)
    assert not are_always_the_same(dataset, None, shuffled=True)
    assert not are_always_the_same(dataset, SimpleNamespace(), shuffled=False)
    assert not are_always_the_same(mine, None, shuffled=False)
