"""What the console shows of a start that takes long."""

from verl_dots.console.progress import Progress
from verl_dots.difficulty.embeddings import questions_left


def test_a_long_start_is_shown_once_a_minute_by_its_last_line():
    now = [1000.0]
    progress = Progress(lambda: now[0])

    def told(*left: int) -> list[str]:
        lines = [f"(DifficultyWorker pid=7) {questions_left(many, 1000)}" for many in left]
        return progress.feed(chr(10).join(["noise", *lines, "more of it", ""]))

    assert told() == []
    assert told(900, 800) == ["800 of 1000 questions are left to embed"]
    now[0] += 59
    assert told(500) == []
    now[0] += 1
    assert told(400) == ["400 of 1000 questions are left to embed"]
