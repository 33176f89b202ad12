"""A part of verl or of TransferQueue: names of one module or class that the package relies on."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Names of one module or class.

    Attributes:
        owner, used_in: dotted path; file of verl_dots.
        overridden: methods with all of their parameters, "name(parameter parameter) name()".
        called: functions or methods with the parameters that they are given; others have defaults.
        attributes: of an object of the class, or names of the module.
        written: keys of the dicts that the module writes.
    """

    owner: str
    used_in: str
    overridden: str = ""
    called: str = ""
    attributes: str = ""
    written: str = ""

    @property
    def names(self) -> list[str]:
        """Of all functions, methods and attributes."""
        return [name for name, _ in signatures(f"{self.overridden} {self.called}")] + self.attributes.split()


def signatures(text: str) -> list[tuple[str, str]]:
    """(name, parameters) of each "name(parameters)" in a text."""
    return re.findall(r"(\w+)\((.*?)\)", text)


V1, WORKERS = "verl.trainer.ppo.v1", "verl.workers.engine_workers"
TRAINER, BUFFER = f"{V1}.PPOTrainerSync", f"{V1}.replay_buffer.ReplayBuffer"
