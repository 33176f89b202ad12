"""The training loop: the trainer, what a run leaves behind, and how it resumes.

Trainers, each over the one above:

    recorded_trainer.py  a run folder, and checkpoints that are whole
    rescued_trainer.py   saves what it has learnt where an error ends the run
    tolerant_trainer.py  failed rollouts leave the step; failures.py: how many may
    trainer.py           a step in which the methods of pipeline.py take part
    async_trainer.py     rollouts go on while it trains; in_flight.py: what it has asked for
    modes.py             verl's modes with these; task_runner.py makes one of them
    parts.py             which models a run has beside the policy

What a run leaves behind:

    run_folder.py        its folder; run_lock.py: one run at a time in it
    run_record.py        what a checkpoint says about its run
    origin.py            the commit and the machine; fingerprints.py: what files and models stood for
    secret_settings.py   settings that are named like secrets

Saving and resuming:

    saving.py            a checkpoint, whole or not at all; disk_space.py, shapes.py: room for it
    stage_files.py       what the stages have learnt; loader_state.py: the place in the data
    resume.py            from which checkpoint, and whether it may; resume_settings.py: what may differ
"""
