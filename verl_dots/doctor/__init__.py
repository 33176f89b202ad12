"""Everything that a first run needs, found out in minutes: `python -m verl_dots.doctor`.

How it runs:

    checks.py          all checks in their order, with their time limits
    running.py         each check in a process of its own, which is process.py
    context.py         what the doctor was asked about, as each process reads it
    rows.py            what a check finds: rows of the table

The machine:

    software.py        packages, driver, compilers
    hardware.py        GPUs, network, host, beside what the run needs by footprint.py

Parts of a run:

    model.py           the recipe's config, its model, attention
    difficulty.py      embeddings and predictions on a GPU, beside those of a CPU
    engine.py          what the rollout engine samples, and what it says of it

Training runs:

    runs.py            presets, a critic, a KL term; there_and_back.py: an optimizer that takes its first step back
    life.py            a run from its checkpoint to its evaluation, and the stages of the recipe itself
    launching.py       starts them by the recipes
    stage_memory.py    memory by stage; step_seconds.py: a step on a paper's own GPUs
"""
