"""Kills one after the other, in chains: a run is killed some times, comes to its end, and is compared.

OUT/plain/run       the undisturbed run
OUT/chain-3/run     a run that is killed; console.log beside it, and difference.txt or hang-TIME.txt where something
                    is wrong. Of a chain that is identical the checkpoints are removed
OUT/kills.jsonl     a line for each kill that is done, OUT/chains.jsonl for each chain that is compared
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.faults.compare import differences
from scripts.faults.launch import Launch, Launched, command, prepare
from scripts.faults.moments import Kill, planned, seconds_of
from scripts.faults.tree import leave_alone
from verl_dots.journal import Journal

IDENTICAL = "identical"
SELDOM = "trainer.save_freq=2"  # of every second chain: what a death loses there is not saved by habit
MOST_STARTS = 3  # of a run that is to come to its end and does not


class Lines(Journal[int, dict[str, Any]]):
    """Of kills or chains, by their numbers."""

    def line_of(self, key: int, value: dict[str, Any]) -> dict[str, Any]:
        return {"number": key, **value}

    def read_line(self, line: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        return int(line["number"]), {key: value for key, value in line.items() if key != "number"}


@dataclass
class Campaign:
    """Kills of a seed in a folder.

    Args:
        out: the folder.
        seed: of the choice of moments.
        steps: of a run.
        length: kills of a chain, at most.
        limit: seconds, see `Launch`.
        overrides: of the recipe, more.
        commit: of the code; kills of others are not mixed with these.
        say: is told of each kill as it is done.
    """

    out: Path
    seed: int
    steps: int
    length: int
    limit: float
    overrides: Sequence[str]
    commit: str | None
    say: Callable[[str], None]
    kills: Lines = field(init=False)
    chains: Lines = field(init=False)
    seconds: dict[str, float] = field(init=False)

    def __post_init__(self):
        settings = {"seed": self.seed, "steps": self.steps, "length": self.length, "commit": self.commit}
        settings["overrides"] = list(self.overrides)
        self.kills = Lines(self.out / "kills.jsonl", settings)
        self.chains = Lines(self.out / "chains.jsonl", settings)

    def go(self, wanted: int) -> None:
        """Kill until so many kills are done and their chains compared."""
        prepare(self.out)
        leave_alone()
        self._plain()
        with self.kills, self.chains:
            while self.counted() < wanted or self._open_chain() in self._chains_of_kills():
                self._chain(self._open_chain(), wanted)

    def counted(self) -> int:
        """Kills that came at their moment."""
        return sum(kill["came"] for kill in self.kills.done.values())

    def _open_chain(self) -> int:
        return len(self.chains.done) + 1

    def _chains_of_kills(self) -> set[int]:
        return {kill["chain"] for kill in self.kills.done.values()}

    # --- runs ------------------------------------------------------------------------------------------------

    def _plain(self) -> None:
        run, marker = self.out / "plain" / "run", self.out / "plain" / "seconds_to_first_row"
        for starts in range(1, MOST_STARTS + 1):
            if marker.exists():
                break
            shutil.rmtree(run.parent, ignore_errors=True)
            self.say("the undisturbed run")
            found, first = Launch(self._words(run), run, self.limit).run_through()
            found.survivors.wait()
            if not found.fault:
                marker.write_text(str(first))
            elif starts == MOST_STARTS or first:
                raise RuntimeError(f"{found.fault}: {found.said}; see {run.parent / 'console.log'}")
        self.seconds = seconds_of(run, float(marker.read_text()))

    def _words(self, run: Path, chain: int = 1) -> list[str]:
        seldom = [SELDOM] if chain % 2 == 0 else []
        return command(self.out, run, self.steps, [*seldom, *self.overrides])

    def _chain(self, chain: int, wanted: int) -> None:
        """Kill a run until it is complete, or has been killed often enough and completes undisturbed."""
        run = self.out / f"chain-{chain}" / "run"
        words, before, starts = self._words(run, chain), None, 0
        while True:
            unnoted = int(before is not None)
            here = sum(kill["chain"] == chain and kill["came"] for kill in self.kills.done.values()) + unnoted
            kill = None
            if here < self.length and self.counted() + unnoted < wanted:
                kill = planned(self.seed, len(self.kills.done) + 1 + unnoted)
            launch = Launch(words, run, self.limit)
            found = launch.run_through()[0] if kill is None else launch.kill(kill, self.seconds)
            if before is not None:
                self._note(chain, *before)
            before = None
            if kill is not None and (found.came or found.completed):
                before = (kill, found)
                if found.came:
                    time.sleep(kill.pause)
            elif found.fault and (starts := starts + 1) >= MOST_STARTS:
                if chain not in self._chains_of_kills():
                    raise RuntimeError(f"a run does not start: {found.said}; see {run.parent / 'console.log'}")
                return self._compared(chain, [f"{found.fault}: {found.said}"])
            if found.completed:
                break
        wrong = []
        if before is not None:
            self._note(chain, *before)
        elif left := found.survivors.wait():
            wrong = [f"left over at its end: {', '.join(left)}"]
        self._compared(chain, differences(run, self.out / "plain" / "run") + wrong)

    def _note(self, chain: int, kill: Kill, found: Launched) -> None:
        """Keep a kill, once all that it left behind has ended or been ended."""
        left = found.survivors.wait()
        moment = kill.moment
        line = {
            "chain": chain, "target": moment.target, "during": moment.during, "came": found.came, "held": found.held,
            "step": found.step, "killed": found.killed, "seconds": round(found.seconds, 1), "status": found.status,
            "said": found.said[:300], "pause": round(kill.pause, 2), "fault": found.fault, "left": left,
            "survived": {"names": found.survivors.first[:20], "seconds": round(found.survivors.seconds, 1)},
        }  # fmt: skip
        self.kills.add(kill.number, line)
        if not found.came:
            self.say(f"kill {kill.number}: no {moment.during} came for the {moment.target}")
            return
        fault = found.fault or (f"left over: {', '.join(left)}" if left else "ended as it should")
        where = f"{moment.target} in {moment.during}, after step {found.step}"
        self.say(f"kill {kill.number} (chain {chain}): {where}: {fault}, {found.seconds:.1f} s; {found.said[:120]}")

    def _compared(self, chain: int, found: list[str]) -> None:
        run = self.out / f"chain-{chain}" / "run"
        self.chains.add(chain, {"differences": len(found), "first": found[:3]})
        if found:
            (run.parent / "difference.txt").write_text("\n".join(found) + "\n")
            self.say(f"chain {chain} DIFFERS ({len(found)}): {found[0]}; all in {run.parent / 'difference.txt'}")
            return
        for checkpoint in run.glob("global_step_*"):
            shutil.rmtree(checkpoint, ignore_errors=True)
        self.say(f"chain {chain} is identical")


def outcomes_in(out: Path) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Of each kill in a folder that came at its moment: its number, its line, and IDENTICAL or what is wrong."""
    kills, chains = ({line["number"]: line for line in _done(out / name)} for name in ("kills.jsonl", "chains.jsonl"))
    for number, kill in sorted(kills.items()):
        if not kill["came"]:
            continue
        chain = chains.get(kill["chain"])
        if kill["fault"]:
            outcome = kill["fault"]
        elif kill["left"]:
            outcome = f"left over: {', '.join(kill['left'])}"
        elif chain is None:
            outcome = "not compared yet"
        else:
            outcome = IDENTICAL if not chain["differences"] else f"differs: {chain['first'][0]}"
        yield number, kill, outcome


def _done(journal: Path) -> list[dict[str, Any]]:
    """Lines behind the settings of a journal; none of one that has not begun."""
    return [json.loads(line) for line in journal.read_text().splitlines()[1:]] if journal.exists() else []
