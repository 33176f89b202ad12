"""Which kills are planned, and when their moments come: seen in a folder and in the names of processes."""

import json
import os
import time
from collections import Counter

import pytest

from scripts.faults.moments import MOMENTS, WHEN, Clock, Kill, Moment, Sight, planned, seconds_of
from scripts.faults.tree import ROLES, Tree
from verl_dots.manifest import write_manifest

pytestmark = pytest.mark.usefixtures("orphans_left_again")


def test_every_moment_comes_once_a_round_in_an_order_of_the_seed():
    count = len(MOMENTS)
    first, second = ([planned(1, number) for number in range(start, start + count)] for start in (1, count + 1))
    assert Counter(kill.moment for kill in first) == Counter(kill.moment for kill in second) == Counter(MOMENTS)
    assert [kill.moment for kill in first] != [kill.moment for kill in second]
    assert first == [planned(1, number) for number in range(1, count + 1)]
    assert [kill.moment for kill in first] != [planned(2, number).moment for number in range(1, count + 1)]
    assert len({kill.share for kill in first}) == count and all(0 <= kill.share < 1 > kill.pause for kill in first)


def test_every_moment_has_a_beginning_and_every_target_is_known():
    assert {moment.during for moment in MOMENTS} <= set(WHEN)
    targets = {moment.target for moment in MOMENTS}
    assert targets >= {
        "driver",
        "task runner",
        "worker",
        "engine",
        "agent loop",
        "difficulty worker",
        "node",
        "requeue",
    }
    assert targets - {"command", "node", "requeue", "preemption"} == set(ROLES)


class Titles:
    """Names of processes, in place of a tree that reads them."""

    def __init__(self):
        self.of = {}
        self.seconds = 0.0

    def does(self, role):
        return self.of.get(role, "")

    def computed(self, role):
        return self.seconds

    def pids(self, role):
        return [1] if role in self.of else []


@pytest.fixture
def sight(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    saved = tmp_path / "global_step_1"
    (saved / "actor").mkdir(parents=True)
    write_manifest(saved, 1)
    return Sight(tmp_path, Titles())


def test_what_a_run_does_is_seen_by_the_names_of_its_processes(sight):
    titles = sight.tree.of
    assert not (sight.trains() or sight.resumes() or sight.selects() or sight.replays() or sight.updates())
    titles |= {"engine": "ray::EngineServer", "worker": "ray::WorkerDict", "difficulty worker": "ray::DifficultyWorker"}
    assert sight.resumes() and not sight.trains()
    titles["engine"] = "ray::EngineServer.generate_many"
    assert sight.generates() and sight.trains() and not sight.resumes() and not sight.replays()
    titles["engine"] = "ray::EngineServer"
    assert sight.replays() and sight.trains()
    titles["worker"] = "ray::WorkerDict.actor_rollout_update_actor"
    assert sight.updates() and not sight.replays()
    titles["difficulty worker"] = "ray::DifficultyWorker.predict"
    assert sight.selects()


def test_a_prediction_too_short_for_a_name_is_seen_by_what_its_process_computes(sight):
    sight.tree.of |= {"engine": "ray::EngineServer.generate_many", "difficulty worker": "ray::DifficultyWorker"}
    sight.tree.seconds = 2.0  # to embed the questions, before it trains
    assert not sight.selects()
    for computed, seen in ((0.0001, False), (0.02, True), (0.0001, False)):
        time.sleep(0.01)
        sight.tree.seconds += computed
        assert sight.selects() is seen


def test_what_a_process_computes_is_read_from_its_main_thread():
    tree = Tree(os.getpid())
    before, until = tree.computed("command"), time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert before > 0 and 0.03 < tree.computed("command") - before < 1
    assert Tree(2**22 + 1).computed("command") == 0.0


def test_a_save_lasts_from_its_first_file_to_the_list_of_all(sight):
    assert not sight.saves() and not sight.writes_model()
    folder = sight.run / "global_step_2"
    (folder / "actor").mkdir(parents=True)
    assert sight.saves() and not sight.writes_model()
    (folder / "actor" / "model_world_size_1_rank_0.pt").write_bytes(b"half")
    assert sight.writes_model()
    write_manifest(folder, 2)
    assert not sight.saves() and not sight.writes_model()


def test_what_an_earlier_kill_left_of_a_save_is_no_save_until_it_is_written_again(sight):
    half = sight.run / "global_step_2" / "actor"
    half.mkdir(parents=True)
    (half / "model_world_size_1_rank_0.pt").write_bytes(b"half")
    time.sleep(0.05)
    later = Sight(sight.run, Titles())
    assert sight.writes_model() and not later.saves() and not later.writes_model()
    (half.parent / "data.part").write_bytes(b"1")
    (half.parent / "data.part").rename(half.parent / "data.pt")
    assert later.saves() and not later.writes_model()
    (half / "model_world_size_1_rank_0.pt").write_bytes(b"whole")
    assert later.writes_model()


def test_the_moment_comes_after_the_rows_and_its_share_of_the_time(sight):
    clock = Clock(Kill(1, Moment("node", "save"), share=0.5, steps=1, pause=0.0), sight, {"save_checkpoint": 0.0})
    (sight.run / "global_step_2").mkdir()
    assert not clock.has_come()  # no row of this launch
    with (sight.run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2}\n')
    assert clock.has_come() and clock.holds()
    write_manifest(sight.run / "global_step_2", 2)
    assert clock.has_come() and not clock.holds()
    later = Clock(Kill(2, Moment("node", "start"), share=0.5, steps=1, pause=0.0), sight, {"start": 1000.0})
    assert not later.has_come()


def test_times_of_parts_are_means_of_the_undisturbed_run(tmp_path):
    rows = [{"step": 0}, *({"step": n, "timing_s/save_checkpoint": 2.0 * n, "timing_s/gen": 1.0} for n in (1, 3))]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert seconds_of(tmp_path, 40.0) == {
        "save_checkpoint": 4.0, "gen": 1.0, "start": 40.0, "resume": 10.0, "write": 1.0,
    }  # fmt: skip
