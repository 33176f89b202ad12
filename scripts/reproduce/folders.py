"""What is taken out of the folders of runs: checkpoints, and whole runs that no longer count."""

from __future__ import annotations

import shutil
from pathlib import Path

from scripts.reproduce import plan

CUT = "cut"  # beside the folders of the combinations; no run lies in it directly, so it is not read as one of them


def remove_checkpoints(folder: Path) -> None:
    """Take verl's checkpoints out of the folder of a finished run; what an evaluation came to stays."""
    for checkpoint in folder.glob(plan.CHECKPOINTS):
        kept = checkpoint / plan.EVALUATION
        for path in [*checkpoint.iterdir(), *kept.parent.glob("*")]:
            if path.is_dir() and path != kept.parent:
                shutil.rmtree(path)
            elif path.is_file() and path != kept:
                path.unlink()
        if not kept.exists():
            shutil.rmtree(checkpoint)
    (folder / "latest_checkpointed_iteration.txt").unlink(missing_ok=True)


def set_aside(run: Path, root: Path, campaign: Path) -> Path:
    """Move a run below the folder `CUT` of its campaign, in place of one that is there; return where it is.

    Args:
        run, campaign: folders, from the root of the checkout.
    """
    place = campaign / CUT / run.relative_to(campaign)
    shutil.rmtree(root / place, ignore_errors=True)
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / run).rename(root / place)
    return place
