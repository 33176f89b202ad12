"""What verl is told of rollout and training engines: its own for a CPU, and what it adds to verl's on GPUs.

On CPUs and GPUs:

    plugin.py           what verl imports in every Ray process; registers the rest
    many_requests.py     many requests of a rollout server in one call of Ray
    vllm_adapter.py     the worker's side of verl's vLLM engine, with the names of weight_sockets.py

The engine of `rollout`, as verl's `rollout.name=hf`:

    replica.py          the replica, and the workers' adapter
    server.py           the Ray actor that serves one engine
    carried_weights.py  weights on their way to it

Training on a CPU:

    cpu_platform.py     verl's platform for a machine without an accelerator
    training.py         verl's FSDP engine, with equal beginnings computed once, as prefixes.py lays them out
"""
