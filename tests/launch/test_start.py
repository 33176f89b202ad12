"""What the start of a run writes into its log: verl's own `run_ppo`, up to where it starts Ray."""

import sys

from tests.launches import attended, environment

# `ray.init` refuses a keyword that it does not know before it starts anything; the checks before it are left out.
SCRIPT = """
import sys
from verl_dots.processes.environment import prepare_environment
prepare_environment(True)
from verl_dots.launch.compose import compose
from verl_dots.launch.start import launch
launch(compose(sys.argv[1:]), checked=True)
"""
SECRETS = {"WANDB_API_KEY": "planted-1", "HF_TOKEN": "planted-2"}


def test_no_value_of_a_secret_is_in_the_log(folder):
    prefix = "+ray_kwargs.ray_init.runtime_env.env_vars"
    given = [
        "device=cpu",
        f"actor_rollout_ref.model.path={folder}/model",
        f"data.train_files={folder}/train.parquet",
        f"data.val_files={folder}/val.parquet",
        f"trainer.default_local_dir={folder}/run",
        "+ray_kwargs.ray_init.no_keyword_of_ray=1",
        f"{prefix}={{WANDB_API_KEY:{SECRETS['WANDB_API_KEY']},SHOWN:as-it-is}}",
        f"+{prefix}.HF_TOKEN={SECRETS['HF_TOKEN']}",
    ]
    done = attended([sys.executable, "-c", SCRIPT, *given], environment())
    log = (folder / "run" / "train.log").read_text()
    assert done.returncode == 1 and "no_keyword_of_ray" in done.stdout
    assert "ray init kwargs: " in log and "'WANDB_API_KEY': '***'" in log and "'HF_TOKEN': '***'" in log
    assert "'SHOWN': 'as-it-is'" in log
    assert "'address': 'local'" in log  # else it would join a Ray that anybody has started on the machine
    assert "planted" not in log and "planted" not in done.stdout
