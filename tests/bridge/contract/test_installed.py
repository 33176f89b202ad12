"""What the package relies on in verl and TransferQueue, against the installed ones."""

import pytest

from tests.test_layers import FILES, PACKAGE, private_uses
from verl_dots.bridge.contract import CONTRACT
from verl_dots.bridge.contract.installed import differences
from verl_dots.bridge.contract.part import TRAINER, V1, Part


def test_the_installed_packages_have_what_is_relied_on():
    assert differences() == []


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (Part("verl.no_module", "x.py"), "verl.no_module is not there"),
        (Part(f"{V1}.PPOTrainerGone", "x.py"), f"{V1}.PPOTrainerGone is not there"),
        (Part(TRAINER, "x.py", overridden="_gone()"), f"{TRAINER}._gone is not there"),
        (Part(TRAINER, "x.py", attributes="gone config"), f"{TRAINER}.gone is not there"),
        # Every parameter of what is overridden; of what is called those without a default.
        (
            Part(TRAINER, "x.py", overridden="_balance_batch(batch metrics)"),
            f"{TRAINER}._balance_batch takes (batch, metrics, logging_prefix, keep_minibatch) where (batch, metrics) "
            "is overridden",
        ),
        (
            Part(TRAINER, "x.py", called="_compute_values(batch)"),
            f"{TRAINER}._compute_values takes (batch, metrics) where (batch) is given",
        ),
        (
            Part("transfer_queue", "x.py", called="kv_clear(keys partition_id when)"),
            "transfer_queue.kv_clear takes (keys, partition_id) where (keys, partition_id, when) is given",
        ),
        (Part(f"{V1}.agent_loop_tq", "x.py", written="seq_len gone"), f"{V1}.agent_loop_tq does not write 'gone'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_difference_is_told_with_the_file_that_relies_on_it(part, problem):
    assert differences([part]) == [f"{problem}; verl_dots/x.py relies on it"]


@pytest.mark.parametrize("part", CONTRACT, ids=lambda part: f"{part.owner} {part.used_in}")
def test_a_name_is_used_in_the_file_that_the_table_names(part):
    text = (PACKAGE / part.used_in).read_text()
    assert [name for name in part.names if name not in text] == []


def test_every_private_method_of_verls_trainer_that_the_package_uses_is_in_the_table():
    told = {name for part in CONTRACT if part.owner == TRAINER for name in part.names}
    used = {name for file in FILES for name in private_uses(file)}
    assert used == {name for name in told if name.startswith("_") and not name.startswith("__")}
