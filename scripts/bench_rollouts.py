"""What a rollout costs beside its generation: verl's agent loops and this project's, with the same servers.

    python -m scripts.bench_rollouts --model FOLDER --data FILE.parquet [--questions 512] [--rollouts 8] [--length 25]
        [--servers 1] [--workers 1] [--rounds 3] [--validate]

The servers answer at once with `--length` tokens. All else is as in a run: Ray, verl's load balancer, agent loop and
reward workers, the TransferQueue and verl's replay buffer, from which the trainer takes the finished groups. Sides
alternate, `--rounds` times after a first one that is not counted.

    last line:  overhead a rollout: verl X ms, verl_dots Y ms    (medians)
"""

import argparse
import statistics
import time
import uuid

import numpy as np
import ray
import transfer_queue as tq
from rich.table import Table

from verl_dots.terminal import output

POLL_SECONDS = 0.01
SIDES = ("verl", "verl_dots")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_rollouts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, help="folder of a model, for its tokenizer")
    parser.add_argument("--data", required=True, help="parquet file of questions")
    parser.add_argument("--questions", type=int, default=512, help="of a step (default: %(default)s)")
    parser.add_argument("--rollouts", type=int, default=8, help="of a question (default: %(default)s)")
    parser.add_argument("--length", type=int, default=25, help="tokens of a response (default: %(default)s)")
    parser.add_argument(
        "--servers", type=int, default=1, help="rollout servers that answer at once (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="agent loop workers and reward workers (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="that are counted (default: %(default)s)")
    parser.add_argument(
        "--sides",
        nargs="+",
        choices=SIDES,
        default=SIDES,
        help=f"one alone, to profile it (default: {' '.join(SIDES)})",
    )
    parser.add_argument("--validate", action="store_true", help="as validation does it: one rollout a question")
    return parser.parse_args(argv)


def composed(args: argparse.Namespace):
    """The config of a run with these inputs."""
    from verl_dots.launch.compose import compose
    from verl_dots.processes.environment import prepare_environment

    prepare_environment(cpu=True)
    return compose(
        [
            "device=cpu", f"actor_rollout_ref.model.path={args.model}", f"data.train_files={args.data}",
            f"data.val_files={args.data}", f"actor_rollout_ref.rollout.n={args.rollouts}",
            f"actor_rollout_ref.rollout.agent.num_workers={args.workers}", f"reward.num_workers={args.workers}",
            "data.max_prompt_length=512", "actor_rollout_ref.rollout.calculate_log_probs=true",
        ]
    )  # fmt: skip


def servers_of(count: int, length: int) -> dict:
    """Actors that answer at once, as verl names them."""
    from verl.workers.rollout.replica import TokenOutput

    from verl_dots.engines.many_requests import ServesMany

    class Server(ServesMany):
        """In place of an engine."""

        async def generate(self, request_id, prompt_ids, sampling_params, **kwargs) -> TokenOutput:
            """A response of one token again and again."""
            return TokenOutput(
                token_ids=[7] * length, log_probs=[-1.0] * length, num_preempted=0, extra_fields={"global_steps": 0}
            )

    server = ray.remote(Server)
    return {f"server{number}": server.options(num_cpus=0, max_concurrency=10_000).remote() for number in range(count)}


class Side:
    """One manager of agent loops with its workers.

    Args:
        manager: its class.
        config, servers, rewards: see above.
    """

    def __init__(self, manager: type, config, servers: dict, rewards: list):
        from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
        from verl.workers.rollout.llm_server import LLMServerClient
        from verl.workers.rollout.router import get_router_handle

        client = LLMServerClient(config, get_router_handle(servers))
        self.manager = manager.create(
            config=config, llm_client=client, teacher_client=None, reward_loop_worker_handles=rewards
        )
        self.buffer = ReplayBuffer("sync", config.trainer, None, "drop", {}, poll_interval=POLL_SECONDS)

    def seconds(self, rows: list[dict], validate: bool) -> float:
        """From the prompts to all groups in the trainer's hand."""
        from verl.utils import tensordict_utils as tu
        from verl.utils.dataset.rl_dataset import collate_fn

        columns = collate_fn(rows)
        columns["uid"] = np.array([str(uuid.uuid4()) for _ in rows], dtype=object)
        batch = tu.get_tensordict(columns)
        tu.assign_non_tensor_data(batch, "global_steps", 0)
        if validate:
            tu.assign_non_tensor_data(batch, "validate", True)
        uids, partition = list(batch["uid"]), "val" if validate else "train"
        began = time.perf_counter()
        tags = [{"is_prompt": True, "status": "pending", "global_steps": 0} for _ in uids]
        tq.kv_batch_put(keys=uids, partition_id=partition, tags=tags)
        self.manager.generate_sequences(batch)
        found, _ = self.buffer.sample(global_steps=0, partition_id=partition, batch_size=len(uids))
        seconds = time.perf_counter() - began
        tq.kv_clear(keys=found.keys, partition_id=partition)
        return seconds


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    config = composed(args)
    from omegaconf import OmegaConf
    from verl.experimental.reward_loop import RewardLoopManager
    from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ
    from verl.utils.dataset.rl_dataset import RLHFDataset
    from verl.utils.tokenizer import hf_tokenizer

    from verl_dots.bridge.agents.agent_loop import SeededAgentLoopManager

    ray.init(address="local", num_cpus=32, include_dashboard=False, log_to_driver=False)
    OmegaConf.resolve(config)
    config.transfer_queue.enable = True
    tq.init(config.transfer_queue)
    tokenizer = hf_tokenizer(args.model)
    questions = RLHFDataset(args.data, tokenizer, config.data)
    rows = [questions[number % len(questions)] for number in range(args.questions)]
    servers, rewards = servers_of(args.servers, args.length), RewardLoopManager(config).reward_loop_worker_handles
    managers = dict(zip(SIDES, (AgentLoopManagerTQ, SeededAgentLoopManager), strict=True))
    sides = {name: Side(manager, config, servers, rewards) for name, manager in managers.items() if name in args.sides}
    rollouts = len(rows) * (1 if args.validate else args.rollouts)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(args.rounds + 1):
        for name, side in sides.items():
            seconds = side.seconds(rows, args.validate)
            if number:
                taken[name].append(1e3 * seconds / rollouts)
    tq.close()
    ray.shutdown()
    table = Table("agent loops", "ms a rollout, median", "least", "most", title=f"{rollouts} rollouts a step")
    for name, each in taken.items():
        table.add_row(name, *(f"{value:.2f}" for value in (statistics.median(each), min(each), max(each))))
    medians = ", ".join(f"{name} {statistics.median(each):.2f} ms" for name, each in taken.items())
    console = output()
    console.print(table)
    console.print(f"overhead a rollout: {medians}")


if __name__ == "__main__":
    main()
