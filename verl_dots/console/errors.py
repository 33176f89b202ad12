"""Errors in the log of a run: each once, with how often it came; and the first cause of a failure in one line."""

import re
from collections import Counter

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
# In front of what Ray's processes write: "(WorkerDict pid=12, ip=10.0.0.1) ".
_PREFIX = re.compile(r"^\([^()]*pid=\d+[^()]*\) ?")
# Behind a line that Ray shows once for several processes.
_REPEATED = re.compile(r" *\[repeated (\d+)x across cluster\].*$")
_ERROR = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*(?:[A-Z]\w*(?:Error|Exception)|TimeoutExpired|Exception)(?:\(\w+\))?(?:: .*)?$"
)
_PLACE = re.compile(r'File "(.+?)", line (\d+), in (\S+)')
MOST_LETTERS = 600


class ErrorTally:
    """Counts the lines that end a traceback; those that differ in numbers alone are one error."""

    def __init__(self):
        self.counts: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """Take in the next part of a log, and return the errors that were not there before."""
        *lines, self._rest = (self._rest + text).split("\n")
        new = []
        for line in lines:
            line, times = _COLOUR.sub("", line), 1
            line = _PREFIX.sub("", line)
            if repeated := _REPEATED.search(line):
                line, times = line[: repeated.start()], int(repeated[1])
            if not _ERROR.match(line) or line.startswith("ray.exceptions.RayTaskError"):  # which wraps another
                continue
            key = re.sub(r"\d+|0x[0-9a-f]+", "#", line)
            if key not in self._texts:
                self._texts[key] = shortened(line)
                new.append(self._texts[key])
            self.counts[self._texts[key]] += times
        return new

    def summary(self) -> list[str]:
        """A line for each error that came more than once."""
        return [f"{times} times: {text}" for text, times in self.counts.items() if times > 1]


def first_cause(error: BaseException) -> str:
    """What was raised first, in whichever process: its type, its message and its place.

    Ray's errors hold the remote exception as `cause`, and its traceback in their text.
    """
    text, cause = str(error), error
    while isinstance(inner := getattr(cause, "cause", None), BaseException):
        cause = inner
        if _PLACE.search(str(cause)):
            text = str(cause)
    name, message = type(cause).__name__, str(cause).strip()
    place = _place(text, name, message) or _own_place(cause)
    return shortened(f"{name}: {message}") + (f" ({place})" if place else "")


def shortened(text: str) -> str:
    """Without lines that are empty, and no longer than a screen bears."""
    text = "\n".join(line for line in text.splitlines() if line.strip())
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]} ..."


def _place(text: str, name: str, message: str) -> str:
    """Where a traceback that ends in this error says that it was raised."""
    head = f"{name}: {message.splitlines()[0] if message else ''}"
    end = text.find(head) if head in text else len(text)
    places = _PLACE.findall(text[:end])
    return "{}:{}, in {}".format(*places[-1]) if places else ""


def _own_place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}, in {trace.tb_frame.f_code.co_name}" if trace else ""
