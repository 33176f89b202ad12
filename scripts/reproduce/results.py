"""The results that are kept: `python -m scripts.reproduce.results [--keep RUNS] [--drop METHOD ROUND] [--write]`.

--keep reads run folders into recipes/evidence/results, as small tables. Runs that are kept there stay, but for those of
the same combination, method, seed and kind. --drop takes the timing runs of a method and round out of them, such as
those of a step that has changed since: all rounds count alike in a mean. --write makes recipes/RESULTS.md of these
tables, and the README's table and figure. Without it: exit 1 if a document is not theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scripts import soak_page
from scripts.driver import page
from scripts.reproduce import front
from scripts.reproduce.learnt import learnt_table
from scripts.reproduce.matrix import Matrix
from scripts.reproduce.matrix_file import read_matrix
from scripts.reproduce.pairs import pairs_table
from scripts.reproduce.provenance import made_table, timing_table
from scripts.sections import asked, settle, status_of, with_section
from verl_dots.evidence import claims, rendering, results, saved
from verl_dots.evidence.cells import Column, Section, Table, has_rows
from verl_dots.evidence.combinations import those_apart
from verl_dots.evidence.measuring import Measured, measure
from verl_dots.evidence.merging import merged, without_round
from verl_dots.evidence.read import read_evidence
from verl_dots.evidence.records import Evidence

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "recipes/evidence"
DRIVER, SOAK = "driver.json", soak_page.KEPT.name  # of scripts.bench_driver and scripts.soak
KEPT, DOCUMENT, MATRIX, CLAIMS = FOLDER / "results", ROOT / "recipes/RESULTS.md", "cpu.yaml", "claims.yaml"
TOLD = ("Runs", "Made")  # of `results.facts`; the others have a table
OF_SCALE = "Ours"  # begins the notes of `combinations.scale_notes`
FRONT, SCRIPT = ROOT / "README.md", "python -m scripts.reproduce.results"
# Tables of the document; those of the papers are on the page.
SHOWN = ("claims", "overview", "learnt", "shares", "parts", "pairs", "made", "timed", "seeds")
BEGIN = """<!-- made by python -m scripts.reproduce.results --write, of recipes/evidence/results; not to be edited -->
# Results

Every accuracy was measured by the runs that "Every seed" lists, and every time of a step by those of "Timing runs".
A method and its GRPO may be of different commits and machines; "Machines and commits" lists them.
Of 20 runs that were made on both machines, 19 [generated the same tokens](evidence/README.md#the-combinations).
A claim that failed is shown as missed. Nothing was measured on a GPU.
Of [what ran on one](slurm/README.md#what-ran-on-a-gpu) no figure was kept.
A claim is met if its whole interval is at or above the target, and missed if all of it is below.
It is unclear where the interval holds the target, or where there is none.
A run that never reaches the accuracy counts with the most that it may save. Such a mean is "at most", and its claim is
missed if the whole interval of this bound is below the target, and otherwise unclear.
A final accuracy is the mean of a run's last three validations.
Brackets are 95 % intervals. Of means of combinations, and of times of a step, they are Student's t.
Of one combination they are a bootstrap over seeds.
Of three seeds the bootstrap's is their range; it shows how far they lie apart and is no test.
The time of a step is of timing runs, each alone on the machine, beside GRPO's of the same round.
Both are of one commit and one sitting: runs one after the other, with at most 15 idle minutes between two.
Each combination and round gives such a pair of runs, and the table of parts counts them.
The interval of a mean time of a step is of all its pairs; that of a total is of seeds and pairs together.
A single pair tells no spread: one combination with one round has neither interval.
All methods of timing runs recompute the log-probs of fresh rollouts, as verl does.
Effective groups are of those that are trained on for the first time. Replayed ones, all effective, are left out.
MoPPS and E3 learn a question's difficulty from its own rollouts: they train on 80 questions of a pool.
The others draw from all of it: 727 questions in `ladder1_skewed`, 4,096 in the ladder's other pools, 1,024 stories.
AdaRFT and "levels known" are given each question's true level. Real data tell it less exactly.
The rivals in two papers' tables ran where these need them, and no mean has them. The entropy bonus and E3's
temperature ran on `ladder1_skewed`, filter by level and fixed curriculum on `ladder1_easy`, `_even` and `_hard`.
DASH leaves out rows without advantage, so its updates and its accuracy are GRPO's.

```bash
bash scripts/reproduce.sh --scale cpu --check              # make all runs, and compare their fingerprints with these
python -m verl_dots.evidence recipes/evidence/results --out report/kept \\
    --about recipes/evidence/cpu.yaml --claims recipes/evidence/claims.yaml    # the page of these figures, without runs
ls report/kept/tables        # it has the papers' tables with these figures, each as markdown, LaTeX and CSV
python -m scripts.reproduce.results --keep runs/reproduce-cpu --write         # your own runs take their place
```
"""


def _causes() -> str:
    """Links to where it is told why targets are missed, from the document."""
    file = Path(claims.CAUSES).relative_to(DOCUMENT.parent.relative_to(ROOT))
    links = [f"[{name}]({file}#{name.lower().replace(' ', '-')})" for name in claims.SECTIONS]
    return f"\nWhy targets are missed: {'; '.join(links)}.\n"


# What stands below a table, in place of its notes.
BELOW = {
    "claims": _causes(),
    "combinations": "\n[The combinations](evidence/README.md#the-combinations) says what ladder and warm-up are.\n",
}


def without_root(evidence: Evidence, root: Path) -> Evidence:
    """Paths of runs from their common folder on: where that lies is a matter of the machine."""
    prefix = f"{root}/"
    runs = evidence.runs.assign(path=[path.removeprefix(prefix) for path in evidence.runs.path])
    return replace(evidence, runs=runs, notes=tuple(note.replace(prefix, "") for note in evidence.notes))


def update(folder: Path, new: Evidence | None, drop: tuple[str, int] | None) -> None:
    """Add runs to those that a folder keeps, then take the timing runs of a method and round out.

    Raises:
        EvidenceError: it has none of that method and round.
    """
    if new is not None:
        saved.save(merged(saved.load(folder), new) if saved.is_saved(folder) else new, folder)
    if drop is not None:
        saved.save(without_round(saved.load(folder), *drop), folder)


def combinations_table(matrix: Matrix, there: set[str]) -> Table:
    """What was trained on what, with which settings, and why."""
    rows = tuple(
        (name, of.title, of.model, of.learning_rate, str(of.batch), str(of.steps), of.chosen, _rows(of.stands_for))
        for name, of in matrix.combinations.items() if name in there
    )  # fmt: skip
    heads = ("combination", "what it is", "model", "learning rate", "questions a step", "steps", "chosen", "stands for")
    return Table("combinations", "Combinations", tuple(map(Column, heads)), (Section("", rows),))


def _rows(of: str | tuple[str, ...]) -> str:
    return of if isinstance(of, str) else "; ".join(of)


def tables_of(evidence: Evidence, measured: Measured, about: results.About) -> dict[str, Table]:
    """All tables of an evidence by their names."""
    counted = (table[~table.combination.isin(measured.apart)] for table in (measured.by_seed, measured.rounds))
    made = [*results.result_tables(evidence, measured, about), pairs_table(*counted), made_table(evidence.runs)]
    made += [timing_table(evidence, measured.rounds, about.combinations), learnt_table(evidence, measured)]
    return {table.name: table for table in made}


def text_of(evidence: Evidence, measured: Measured, made: Mapping[str, Table], folder: Path) -> str:
    """The document of an evidence, its measures and its tables.

    Args:
        folder: holds the matrix, and what other scripts have measured.
    """
    shown = [made[name] for name in SHOWN if name in made and has_rows(made[name])]
    shown.insert(1, combinations_table(read_matrix(folder / MATRIX), set(evidence.runs.combination)))
    told = "".join(f"- {name}: {text}\n" for name, text in results.facts(evidence).items() if name in TOLD)
    parts = [
        rendering.markdown(replace(table, notes=_notes_of(table))).replace("### ", "## ", 1) + BELOW.get(table.name, "")
        for table in shown
    ]
    driver = [page.section(folder / DRIVER)] if (folder / DRIVER).exists() else []
    soak = [soak_page.section(folder / SOAK)] if (folder / SOAK).exists() else []
    return "\n".join([BEGIN, told, *parts, *driver, *soak, *_notes((*evidence.notes, *measured.notes))])


def _notes_of(table: Table) -> tuple[str, ...]:
    """What its columns are. What combinations ran on has tables of its own here."""
    return () if table.name in BELOW else tuple(note for note in table.notes if not note.startswith(OF_SCALE))


def _notes(notes: Sequence[str]) -> list[str]:
    return ["## Left out, and what a mean is of", "", "```text", *notes, "```", ""] if notes else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep, write, or compare. Without kept results there is no document."""
    options = asked(__doc__, arguments, keep=("RUNS", "add these runs to recipes/evidence/results"), drop=True)
    new = without_root(read_evidence(options.keep), options.keep) if options.keep else None
    update(KEPT, new, options.drop)
    if not saved.is_saved(KEPT):
        return int(DOCUMENT.exists())
    if not DOCUMENT.exists() and not options.write:
        return 1
    evidence = saved.load(KEPT)
    about = results.read_about(FOLDER / MATRIX, FOLDER / CLAIMS)
    measured = measure(evidence, stand_in=False, apart=those_apart(about.combinations))
    made = tables_of(evidence, measured, about)
    differs = settle(DOCUMENT, text_of(evidence, measured, made, FOLDER), options.write)
    if options.write:
        front.draw_curves(evidence, KEPT, measured.apart)
    table = front.table_of(made["overview"])
    return differs | settle(FRONT, with_section(FRONT, front.SECTION, SCRIPT, table), options.write)


if __name__ == "__main__":
    raise SystemExit(status_of(main))
