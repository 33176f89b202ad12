"""GPUs, the network between them, and the host's memory, cores and disk, beside what the run needs."""

import ctypes
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from verl_dots.doctor.context import Context
from verl_dots.doctor.footprint import CHECKPOINTS, Footprint, footprint_of
from verl_dots.doctor.rows import Row, judged, skipped, warned
from verl_dots.processes.control_groups import free_cores, free_memory
from verl_dots.processes.ray_start import counted_cpus
from verl_dots.sizes import GB, size_text
from verl_dots.training.disk_space import free_bytes
from verl_dots.training.shapes import shape_of

H100 = 85 * GB  # of an H100 with 80 GiB
FREE = 0.95  # share of a GPU's memory: the rest is of the driver
CPU_RUN = 6 * GB  # RAM of a run of the tiny model, measured on two cores
INFINIBAND = Path("/sys/class/infiniband")  # of the host, in a container, too
VERBS = Path("/dev/infiniband")  # a device for each adapter, by which a process uses it
LIBIBVERBS = "libibverbs.so.1"  # which NCCL loads
# Ray's store takes this share of the free RAM, and of /dev/shm as much as is there. Only where that is below this size
# the store may be larger than it, and is then on the disk (resolve_object_store_memory in ray/_private/utils.py,
# determine_plasma_store_config in services.py).
STORE_SHARE, LEAST_SHARED = 0.3, 10 * GB
REDUCED = {"nccl": 64 * 2**20, "gloo": 2**20}  # numbers of 4 bytes
SMI_SECONDS = 30  # that nvidia-smi may take
REDUCTIONS = 6  # of which the first is not timed: it connects the ranks and loads kernels


def gpus(context: Context) -> list[Row]:
    """Whether the GPUs are there, free, and large enough for the run."""
    if context.cpu:
        return [skipped("GPUs", "device=cpu")]
    import torch

    wanted, there = context.config.trainer.n_gpus_per_node, torch.cuda.device_count()
    fix = f"ask for them (sbatch --gpus-per-node={wanted}), or set GPUS={max(there, 1)}"
    names = sorted({torch.cuda.get_device_name(number) for number in range(there)})
    rows = [judged("GPUs", there >= wanted, f"{there} {', '.join(names)}".strip(), f"{wanted} or more", fix)]
    if not there:
        return rows
    memory = [torch.cuda.mem_get_info(number) for number in range(there)]
    total = min(total for _, total in memory)
    share = context.config.actor_rollout_ref.rollout.gpu_memory_utilization
    needs = footprint_of(context.config, shape_of(context.model), total)
    return [*rows, free_row(memory, wanted), *mode_rows(), *memory_rows(needs, total, share)]


def free_row(memory: Sequence[tuple[int, int]], wanted: int) -> Row:
    """Whether as many GPUs are free as a run takes, and which: Ray takes the first ones, whoever else has them.

    Args:
        memory: free bytes and all bytes of each GPU that this process sees.
        wanted: GPUs of a run on this node.
    """
    names = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(len(memory))))
    free = [name for name, (left, all_of_it) in zip(names.split(","), memory, strict=False) if left >= FREE * all_of_it]
    left, total = min(memory)
    check, value = "free memory of a GPU", f"{left / GB:.1f} of {total / GB:.1f} GB"
    fix = "nvidia-smi names the process that holds the rest; `ray stop` ends what an earlier run has left"
    if len(free) == len(memory):
        return judged(check, True, value, f"{FREE:.0%}", "")
    value += f" of the fullest; free: {', '.join(free) or 'none'}"
    if len(free) >= wanted:
        return warned(check, value, f"export CUDA_VISIBLE_DEVICES={','.join(free)}, or Ray may take another; {fix}")
    more = f"; or export CUDA_VISIBLE_DEVICES={','.join(free)} GPUS={len(free)}" if free else ""
    return judged(check, False, value, f"{FREE:.0%} of {wanted}", fix + more)


def mode_rows() -> list[Row]:
    """Whether several processes may use one GPU, as worker and engine do; nothing where nvidia-smi does not tell."""
    asked = ["nvidia-smi", "--query-gpu=compute_mode", "--format=csv,noheader"]
    try:
        told = subprocess.run(asked, text=True, capture_output=True, timeout=SMI_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    modes = sorted({line.strip() for line in told.stdout.splitlines() if line.strip()})
    if told.returncode or not modes:
        return []
    fix = "worker and engine share each GPU: ask for `nvidia-smi --compute-mode=DEFAULT`, or the site's option for it"
    return [judged("compute mode of the GPUs", modes == ["Default"], ", ".join(modes), "Default", fix)]


def memory_rows(needs: Footprint, total: int, share: float) -> list[Row]:
    """Of a GPU of `total` bytes: what the update and the rollouts need of it, by formula."""
    return [
        judged(
            "memory of the update, by formula", needs.update <= total, f"{needs.update / GB:.1f} GB",
            f"{total / GB:.1f} GB", "lower TOKENS (ppo_max_token_len_per_gpu): it halves logits and activations",
        ),
        judged(
            "memory of the rollouts, by formula", needs.rollouts <= total, f"{needs.rollouts / GB:.1f} GB",
            f"{total / GB:.1f} GB", f"lower actor_rollout_ref.rollout.gpu_memory_utilization={share}",
        ),
        judged(
            "longest responses in the engine's cache, by formula", needs.sequences >= 1, str(needs.sequences),
            "1 or more", "raise actor_rollout_ref.rollout.gpu_memory_utilization, or TP",
        ),
        judged(
            f"sequences of {needs.longest:,} tokens in the engine's cache, by formula", needs.whole >= 1,
            str(needs.whole), "1 or more",
            "an engine starts only where one has room: set actor_rollout_ref.rollout.max_model_len to the tokens of "
            "prompt and response",
        ),
    ]  # fmt: skip


def network(context: Context) -> list[Row]:
    """A sum over all GPUs of this node, and InfiniBand where there are several nodes."""
    ranks, backend = (2, "gloo") if context.cpu else (context.gpus, "nccl")
    if ranks < 2:
        return [skipped("all-reduce by nccl", f"{ranks} GPU"), _infiniband(context)]
    import torch.multiprocessing as processes

    with tempfile.TemporaryDirectory() as folder:  # torch locks the file, which not every shared disk allows
        meeting, found = Path(folder) / "all_reduce", Path(folder) / "all_reduce.txt"
        processes.spawn(_reduce, args=(ranks, backend, str(meeting), str(found)), nprocs=ranks)
        total, rate = map(float, found.read_text().split())
    right = ranks * (ranks - 1) / 2
    return [
        judged(
            f"all-reduce by {backend}, {ranks} ranks", total == right, f"{total:g}, {rate:.1f} GB/s", f"sum: {right:g}",
            "set NCCL_DEBUG=INFO and start it again; NCCL_P2P_DISABLE=1 tells whether peer access is at fault",
        ),
        _infiniband(context),
    ]  # fmt: skip


def _reduce(rank: int, ranks: int, backend: str, meeting: str, found: str) -> None:
    import torch
    import torch.distributed as distributed

    distributed.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    device = torch.device("cpu") if backend == "gloo" else torch.device("cuda", rank)
    if backend == "nccl":
        torch.cuda.set_device(device)
    finish = torch.cuda.synchronize if backend == "nccl" else lambda: None
    numbers, seconds = torch.empty(REDUCED[backend], device=device), []
    for _ in range(REDUCTIONS):
        numbers.fill_(float(rank))
        finish()
        distributed.barrier()
        began = time.monotonic()
        distributed.all_reduce(numbers)
        finish()
        seconds.append(time.monotonic() - began)
    if rank == 0:
        least, most = (each.item() for each in numbers.aminmax())
        summed = least if least == most else float("nan")
        Path(found).write_text(f"{summed} {numbers.nbytes / min(seconds[1:]) / GB}")
    distributed.destroy_process_group()


def _infiniband(context: Context) -> Row:
    check, nodes = "InfiniBand", context.config.trainer.nnodes
    if nodes == 1:
        return skipped(check, "one node")
    states = {str(file.parent): file.read_text().strip() for file in INFINIBAND.glob("*/ports/*/state")}
    active = sum(state.endswith("ACTIVE") for state in states.values())
    usable = sum(os.access(file, os.R_OK | os.W_OK) for file in VERBS.glob("uverbs*"))
    loads = _loads(LIBIBVERBS)
    found = f"{active} of {len(states)} ports are active, {usable} devices can be opened, "
    found += f"{LIBIBVERBS} {'loads' if loads else 'does not load'}"
    if not active:
        advice = "ask the administrator, or train on one node"
    elif not usable:
        advice = f"start the container with --device={VERBS} --ulimit memlock=-1 --cap-add=IPC_LOCK"
    else:
        advice = "install libibverbs1 and ibverbs-providers, or use an image of recipes/containers"
    fix = f"without it NCCL talks over TCP, many times slower: {advice}"
    return judged(check, bool(active and usable and loads), found, "a port, a device, the library", fix)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def least_shared(free: int) -> int:
    """Bytes of /dev/shm with which Ray's store of objects is in it, by the free RAM."""
    return min(LEAST_SHARED, int(STORE_SHARE * free))


def host(context: Context) -> list[Row]:
    """RAM, shared memory, cores and disk of this node."""
    config, trainer = context.config, context.config.trainer
    needs = footprint_of(config, shape_of(context.model), H100)
    least = CPU_RUN if context.cpu else needs.host
    room = free_memory()
    rows = [
        judged(
            "RAM", room >= least, f"{room / GB:.1f} GB are free", f"{least / GB:.1f} GB",
            "ask for more (sbatch --mem=0 takes all of a node), or end what else runs here",
        )
    ]  # fmt: skip
    asked = config.ray_kwargs.ray_init.get("object_store_memory")
    store = asked or least_shared(room)
    shared = free_bytes(Path("/dev/shm"))
    fix = "start the container with --shm-size, or set +ray_kwargs.ray_init.object_store_memory=BYTES"
    rows.append(judged("/dev/shm", shared >= store, f"{shared / GB:.1f} GB are free", f"{store / GB:.1f} GB", fix))
    rows.append(Row("load", f"{os.getloadavg()[0]:.1f} processes compute, on {free_cores():g} CPUs"))
    rows.append(_cpus(context, free_cores()))
    folder = Path(trainer.default_local_dir)
    there = free_bytes(folder.absolute())
    limit = f"{size_text(needs.disk)}: {CHECKPOINTS} checkpoints of {size_text(needs.checkpoint)}"
    fix = f"make room at {folder}, or set RUN to a folder on another disk"
    found = f"{size_text(there)} are free; a quota is not seen"
    return [*rows, judged("disk", there >= needs.disk, found, limit, fix)]


def _cpus(context: Context, cores: float) -> Row:
    """Whether Ray counts the CPUs that a run asks it for, and whether there are as many cores.

    A job of SLURM is told that there are (recipes/slurm/node.sh), and trains on the cores that it has.
    """
    check, gpus = "CPUs", context.config.trainer.n_gpus_per_node
    if context.cpu:
        return Row(check, f"{cores:g}; Ray counts logical ones with device=cpu")
    wanted = 3 * gpus + 10
    limit, told = f"{wanted}: 3 a GPU, and 10", "SLURM_JOB_ID" in os.environ
    counted = context.config.ray_kwargs.ray_init.num_cpus or counted_cpus()
    if counted < wanted and not told:
        fix = f"add ray_kwargs.ray_init.num_cpus={wanted}; else a run waits for CPUs until dots.patience_seconds end it"
        return judged(check, False, f"Ray counts {counted}", limit, fix)
    if cores < wanted:
        value = f"{cores:g}, fewer than the {wanted} that a run asks Ray for: its processes wait for each other"
        return warned(check, value, f"sbatch --cpus-per-task={8 * gpus}")
    return judged(check, True, f"{cores:g}", limit, "")
