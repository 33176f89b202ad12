"""A small size through Ray, verl's queue and the real trainer; the command keeps it and judges."""

import json
import subprocess
import sys

import pytest

from scripts import bench_driver
from scripts.driver.meters import AWAY

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_a_small_size_passes_through_all_stages(tmp_path):
    kept = tmp_path / "driver.json"
    options = ["--rows", "32", "--tokens", "64", "--repeats", "1", "--keep", str(kept)]
    assert bench_driver.main(options) == 0
    (cell,) = json.loads(kept.read_text())["cells"]
    assert (cell["rows"], cell["tokens"]) == (32, 64) and 0 < cell["replay_groups"] <= 4 and cell["replay_bytes"] > 0
    (step,) = cell["steps"]
    assert {
        AWAY, "arrival", "scores", "balance", "budgets", "advantages", "metrics", "DASH filter", "replay: store",
        "DASH filter, before the passes", "replay: draw", "length penalty", "entropy, controlled", "entropy, logged",
        "ages, behaviour, pinned entries", "forward pass, driver's part", "rollout log", "clear", "order", "plan",
        "state: keep", "state: write", "state: read", "rest of the step",
    } == set(step)  # fmt: skip
    assert all(part["wall"] >= 0 and part["driver_peak"] > 10**8 for part in step.values())
    assert sum(part["queue_cpu"] for part in step.values()) > 0
    # What is kept is not measured again, and more of it than --most allows neither.
    assert bench_driver.main([*options[:1], "32", "1024", *options[2:], "--most", "4096"]) == 0
    assert len(json.loads(kept.read_text())["cells"]) == 1


def test_batches_that_are_computed_in_pieces_pass_through_all_stages():
    """What happens at 33 million padded tokens, and at 4 million stored ones, with the bounds set to a few."""
    program = (
        "import sys\n"
        "from verl_dots.bridge.queue import lean, stored_rows\n"
        "from verl_dots.bridge.trainer import bridge_trainer\n"
        "from functools import partial\n"
        "bridge_trainer.in_parts = partial(lean.in_parts, most=256)\n"
        "stored_rows.PIECE_TOKENS = 128\n"
        "from scripts.driver import cell\n"
        "sys.argv[1:] = ['64', '64', '2', '1']\n"
        "raise SystemExit(cell.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(json.loads(done.stdout.splitlines()[-1])["steps"]) == 2
