"""From a command line to a running trainer: config, checks, start.

The config:

    compose.py            verl's config with the group `dots` and its presets, for some overrides
    recipes.py            what a recipe would start
    generation_config.py  the config of a command that generates and trains nothing
    help.py               what `--help` shows

Settings of verl:

    verl_values.py        types and ranges: of verl_table.py, by the rules of value_rules.py
    verl_names.py         names that verl looks up in its registries; verl_choices.py: those that it takes for none
    arguments.py          names that a call of Ray's or of the chat template would take twice, or not at all
    combinations.py       values that are right alone and wrong together
    objective_checks.py   advantages and losses that verl would make others of
    batch_checks.py       whether batches divide into mini-batches, among devices and into micro-batches
    trials.py             an optimizer, advantages and corrections, made of a few numbers first
    loaded.py             classes, tools and agent loops that verl loads in a worker, loaded here first
    reward_checks.py      the reward function, loaded and called

The methods:

    method_checks.py      what each method of a run needs; its room says what that is

The model:

    model_checks.py       a model's folder: what verl's workers would find a minute later
    weights_checks.py     files of weights, by their headers and sizes
    adapter_checks.py     a LoRA adapter, new or saved
    override_checks.py    overrides of the model's config that nothing would read
    attention_checks.py   a run on GPUs without flash-attn
    remote_code.py        code that comes with a model

The data:

    data_checks.py        the data sets, row by row
    used_rows.py          which rows of its files a run uses
    cell_checks.py        what reward, agent loop and model ask of single cells

The machine:

    machine_checks.py     devices, packages for them, folders to write
    memory_checks.py      the memory of a node
    variables.py          environment variables that would end a run in a worker
    claim.py              a run takes its folder

The start:

    start.py              checks, environment of Ray's processes, verl's `run_ppo`
    start_screen.py       what is said of a run at its start
"""
