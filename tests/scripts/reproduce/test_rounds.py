"""What of a cut round of timing runs counts no more."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scripts.reproduce import rounds
from scripts.reproduce.plan import Planned

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


def planned(method: str, kind: str = "time", combination: str = "one", seed: int = 1) -> Planned:
    folder = Path(f"{combination}/{kind}/{method}-seed{seed}")
    return Planned(combination, method, seed, kind, folder, (), {})


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Methods whose runs count no more, where others are of these minutes before now and of this commit."""
    monkeypatch.setattr(rounds.origin, "commit", lambda root: "new")
    run = planned("mine")

    def of(infos: dict[Planned, dict]) -> list[str]:
        for one, info in infos.items():
            (tmp_path / one.folder).mkdir(parents=True)
            (tmp_path / one.folder / "run.json").write_text(json.dumps(info))
        return [one.method for one in rounds.of_another_sitting(run, [run, *infos], tmp_path, NOW)]

    return of


def info(start: int, end: int, commit: str = "new") -> dict:
    times = [datetime.fromtimestamp(NOW - 60 * ago, UTC).isoformat() for ago in (start, end)]
    return dict(zip(("started", "finished"), times, strict=True)) | {"commit": commit}


def test_runs_that_follow_each_other_until_now_count(found):
    # "late" ended 15 minutes ago, and began 10 minutes after "grpo" ended.
    assert found({planned("late"): info(20, 15), planned("grpo"): info(60, 30)}) == []


def test_a_chain_of_runs_ends_at_the_first_long_pause(found):
    runs = {planned("late"): info(20, 15), planned("grpo"): info(60, 36), planned("early"): info(70, 61)}
    assert found(runs) == ["grpo", "early"]


def test_runs_of_another_commit_count_no_more(found):
    assert found({planned("old"): info(5, 4, "old"), planned("grpo"): info(3, 2)}) == ["old"]


def test_other_rounds_combinations_and_kinds_are_no_matter(found):
    others = [planned("grpo", seed=2), planned("grpo", combination="two"), planned("grpo", "accuracy")]
    assert found({one: info(600, 500, "old") for one in others}) == []


def test_a_run_that_does_not_tell_its_times_counts_no_more(found):
    assert found({planned("grpo"): {"finished": True, "commit": "new"}}) == ["grpo"]
