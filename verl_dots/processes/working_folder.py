"""Ray's workers work in the folder of the command, below which its settings name files.

A Ray that the command starts has its workers begin there. One that it joins has them begin where that Ray was started.
"""

import os
from pathlib import Path

FOLDER = "VERL_DOTS_FOLDER"  # variable of the workers
HOOK = "worker_process_setup_hook"  # of a runtime_env of Ray, which calls what it names in each worker, before all else
ENTER = f"{__name__}.enter"


def enter() -> None:
    """Go there, where the worker's machine has such a folder."""
    folder = os.environ[FOLDER]
    if Path(folder).is_dir():
        os.chdir(folder)
