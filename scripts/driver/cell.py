"""One size in a process of its own: `python -m scripts.driver.cell ROWS TOKENS REPEATS SEED`; its last line is JSON."""

import argparse
import gc
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from scripts.driver.meters import Meters, held_bytes
from scripts.processes import role_of, with_all_below
from verl_dots.processes.environment import prepare_environment
from verl_dots.processes.ray_start import with_patience

OBJECT_STORE = 200_000_000  # bytes; rows do not travel through it


def measure(rows: int, tokens: int, repeats: int, seed: int, folder: Path) -> dict[str, Any]:
    """Parts of the measured steps, after one that fills the replay buffer.

    Args:
        rows: rollouts of a step's batch; half of them are replayed.
        tokens: of the longest responses.
        repeats: steps that are measured.
        seed: of lengths, tokens and rewards.
        folder: for the run.
    """
    import ray
    import transfer_queue as tq

    from scripts.driver.trainer import DriverTrainer, config_of, rows_metered
    from scripts.driver.workers import Writer

    config = config_of(rows, tokens, folder / "run", repeats + 2)
    tq.init(config.transfer_queue)
    writer = ray.remote(Writer).options(num_cpus=0).remote(tokens, seed)
    apart = {os.getpid(), ray.get(writer.pid.remote(), timeout=120.0)}
    queue = queue_pids(apart)
    with Meters(os.getpid(), queue) as meters, rows_metered(meters):
        trainer = DriverTrainer(config, writer, meters)
        gc.collect()
        gc.freeze()  # as the trainer does before its first step
        idle = {"driver": held_bytes(os.getpid()), "queue": sum(map(held_bytes, queue))}
        trainer.one_step()
        meters.take()
        steps = []
        for place in range(repeats):
            trainer.one_step()
            trainer.save_and_load(folder / f"state{place}")
            steps.append({name: asdict(part) for name, part in meters.take().items()})
        buffer = next(stage.buffer for stage in trainer.pipeline.stages if stage.name == "replay")
        return {
            "rows": rows, "tokens": tokens, "idle": idle, "steps": steps, "replay_bytes": buffer.nbytes,
            "replay_groups": len(buffer), "after": held_bytes(os.getpid()),
        }  # fmt: skip


def queue_pids(apart: set[int]) -> list[int]:
    """Processes of the TransferQueue that this process's Ray has started."""
    below = [process for process in with_all_below(psutil.Process()) if process.pid not in apart]
    return [process.pid for process in below if role_of(" ".join(process.cmdline())) == "transfer queue"]


ARGUMENTS = {
    "rows": "rollouts of a step",
    "tokens": "of the longest response",
    "repeats": "steps that are measured",
    "seed": "of the synthetic rollouts",
}


def main() -> int:
    """Measure one size."""
    parser = argparse.ArgumentParser(prog="python -m scripts.driver.cell", description=__doc__)
    for name, meaning in ARGUMENTS.items():
        parser.add_argument(name, type=int, help=meaning)
    options = parser.parse_args()
    prepare_environment(cpu=True)
    import ray

    with_patience(
        lambda: ray.init(
            address="local", num_cpus=8, include_dashboard=False, log_to_driver=False, object_store_memory=OBJECT_STORE
        ),
        ray.is_initialized,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="driver-") as folder:
            found = measure(options.rows, options.tokens, options.repeats, options.seed, Path(folder))
    finally:
        ray.shutdown()
    os.write(1, f"\n{json.dumps(found)}\n".encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
