"""The names of verl and TransferQueue that the package relies on, beyond documented settings.

`installed.differences` compares them with what is installed: another version is told apart by name, not by a run.
"""

from verl_dots.bridge.contract import of_agents, of_engines, of_queue, of_trainer

CONTRACT = of_trainer.PARTS + of_queue.PARTS + of_agents.PARTS + of_engines.PARTS
