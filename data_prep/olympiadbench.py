"""OlympiadBench: olympiad questions, of which the open-ended ones in text and English on mathematics are evaluated on.

    python -m data_prep.olympiadbench --source OE_TO_maths_en_COMP.json --out data/olympiadbench.parquet    # 675
    python -m data_prep.olympiadbench --out data/olympiadbench.parquet                                      # 674

The hub's copy lacks one of the 675 questions that are usually reported on. The JSON file of the authors' own release,
which the README of github.com/OpenBMB/OlympiadBench links, has all.

Rows of other kinds are left out where columns tell (question_type, modality, subject, language).
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import LeftOut, Problem, Unusable, flag_of, optional_text, text_of, value_of
from data_prep.sources import Hub

WANTED = {"question_type": "Open-ended", "modality": "Text-only", "subject": "Math", "language": "English"}


def convert(row: Mapping[str, Any], options: Namespace) -> Problem:
    """Columns question, context, final_answer (a list), subfield, answer_type, is_multiple_answer, unit, error, id."""
    for name, wanted in WANTED.items():
        found = optional_text(row, name)
        if found is not None and found.casefold() != wanted.casefold():
            raise LeftOut(f"{name} {found}")
    answers = value_of(row, "final_answer")
    answers = answers if isinstance(answers, list) else [answers]
    answer = tidy(", ".join(text_of({"answer": each}, "answer", "answer") for each in answers))
    if not answer:
        raise Unusable("no answer")
    question, context = text_of(row, "question", "question"), optional_text(row, "context")
    extra = {
        "source_id": optional_text(row, "id"),
        "subject": optional_text(row, "subfield"),
        "answer_type": optional_text(row, "answer_type"),
        "several_answers": flag_of(row, "is_multiple_answer"),
        "unit": optional_text(row, "unit"),
        "tolerance": optional_text(row, "error"),
    }
    return Problem(f"{context}\n\n{question}" if context else question, answer, extra)


def tidy(answer: str) -> str:
    """An answer as math-verify can read it: no full stop behind a formula, no dollar without its partner."""
    if answer.endswith("$."):
        answer = answer.removesuffix(".")
    return answer.replace("$", "") if answer.count("$") % 2 else answer


OLYMPIADBENCH = DataSet(
    module="olympiadbench",
    data_source="olympiadbench",
    hub=Hub("Hothan/OlympiadBench", "OE_TO_maths_en_COMP", {"test": "train"}),
    convert=convert,
    extra=("source_id", "subject", "answer_type", "unit", "tolerance", "several_answers"),
    evaluation=True,
    expected={"test": 675},
    other_count="the hub's copy has 674; for all give OE_TO_maths_en_COMP.json of the authors' release with --source",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(OLYMPIADBENCH, arguments, __doc__)


if __name__ == "__main__":
    main()
