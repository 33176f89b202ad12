"""The difficulty worker: a process of its own that holds the questions' embeddings and the predictor.

With dots.difficulty.device=cuda, as runs on GPUs begin with, it takes a share of the trainer's first GPU.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ray
import torch
from verl.single_controller.base import Worker
from verl.single_controller.base.decorator import Dispatch, register
from verl.single_controller.ray import RayClassWithInitArgs, RayResourcePool, RayWorkerGroup
from verl.single_controller.ray.base import split_resource_pool

from verl_dots.difficulty.embeddings import embed_missing, load_embeddings, questions_left
from verl_dots.difficulty.predictors import DifficultyPredictor, backbone_of, inputs_of, make_predictor
from verl_dots.difficulty.settings import DifficultyConfig

logger = logging.getLogger(__name__)

BEFOREHAND = "`python -m verl_dots.difficulty.embed` does it before a run"
PART_SECONDS = 10.0  # of embedding, after which the worker tells how far it is


class DifficultyWorker(Worker):
    """Embeds the questions of a run once and predicts their difficulty in every round."""

    def __init__(self, config: DifficultyConfig, threads: int):
        super().__init__()
        self.config = config
        self.predictor: DifficultyPredictor | None = None
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        # Ray gives an actor without CPUs of its own a single thread.
        torch.set_num_threads(threads)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def begin(self, texts: tuple[str, ...], answers: tuple[str, ...], known_P: np.ndarray | None) -> None:
        """Take these questions and what is known of their difficulty; nothing is embedded yet."""
        self._questions = texts, answers, known_P
        backbone = backbone_of(self.config)
        self._inputs = backbone.inputs(texts, answers)
        self._embedding = embed_missing(
            self._inputs,
            backbone,
            self.config.cache,
            device=self.config.device,
            batch_tokens=self.config.batch_tokens,
        )

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def embed(self) -> int:
        """Embed for some seconds what the cache lacks; how many questions are left."""
        began = time.monotonic()
        for left in self._embedding:
            if left and time.monotonic() - began >= PART_SECONDS:
                logger.info(questions_left(left, len(self._inputs)))
                return left
        return 0

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def make(self) -> int:
        """Make the predictor of the questions, which are all embedded; returns the embeddings' width."""
        if self.config.device == "cuda":
            # The backbone has gone; without this torch would keep its memory from the engine.
            torch.cuda.empty_cache()
        embedding_P = load_embeddings(self._inputs, backbone_of(self.config).id, self.config.cache)
        self.predictor = make_predictor(self.config, inputs_of(self.config, embedding_P, *self._questions))
        del self._questions, self._inputs, self._embedding
        return embedding_P.shape[1]

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def observe(
        self, step: int, question_N: np.ndarray, difficulty_N: np.ndarray, rollouts_N: np.ndarray,
        effective_N: np.ndarray,
    ) -> None:  # fmt: skip
        """Tell the predictor what rollouts of `step` showed."""
        self.predictor.observe(step, question_N, difficulty_N, rollouts_N, effective_N)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def predict(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[P] predicted difficulties, and [K] the references' without their own outcome."""
        return self.predictor.predict(step, reference_K, difficulty_K)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def effectiveness(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray, tries: int) -> np.ndarray:
        """[P] expected share of effective groups."""
        return self.predictor.effectiveness(step, reference_K, difficulty_K, tries)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def state(self) -> dict[str, Any]:
        """The predictor's memory, for a checkpoint."""
        return self.predictor.state_dict()

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def restore(self, state: dict[str, Any]) -> None:
        """Take over a predictor's memory."""
        self.predictor.load_state_dict(state)


class DifficultyWorkerGroup:
    """The worker group of one DifficultyWorker, called as if it were a predictor.

    Args:
        config: of the predictor.
        trainer_pool: resources of the trainer, shared where the device is a GPU.
        device_name: verl's name of the trainer's device.
    """

    def __init__(self, config: DifficultyConfig, trainer_pool: RayResourcePool, device_name: str):
        if config.device == "cpu":
            pool = RayResourcePool([1], use_gpu=False, max_colocate_count=1, name_prefix="difficulty")
        else:
            rest = trainer_pool.world_size - 1
            pool = split_resource_pool(trainer_pool, [1, rest] if rest else [1])[0]
        worker = RayClassWithInitArgs(cls=ray.remote(DifficultyWorker), config=config, threads=_threads(device_name))
        self._group = RayWorkerGroup(resource_pool=pool, ray_cls_with_init=worker, device_name=device_name)

    def embed(
        self,
        texts: tuple[str, ...],
        answers: tuple[str, ...],
        news: Callable[[str], None],
        known_P: np.ndarray | None = None,
    ) -> int:
        """Embed the questions of the run and make the predictor; returns their width.

        Args:
            news: told what is left, every few seconds.
            known_P: [P] difficulties known beforehand, where dots.difficulty.field names them.
        """
        self._group.begin(texts, answers, known_P)
        left = len(texts)
        while left:
            news(f"{left} of {len(texts)} questions to be embedded; {BEFOREHAND}")
            left = self._group.embed()[0]
        return self._group.make()[0]

    def observe(
        self, step: int, question_N: np.ndarray, difficulty_N: np.ndarray, rollouts_N: np.ndarray,
        effective_N: np.ndarray,
    ) -> None:  # fmt: skip
        self._group.observe(step, question_N, difficulty_N, rollouts_N, effective_N)

    def predict(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._group.predict(step, reference_K, difficulty_K)[0]

    def effectiveness(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray, tries: int) -> np.ndarray:
        return self._group.effectiveness(step, reference_K, difficulty_K, tries)[0]

    def state_dict(self) -> dict[str, Any]:
        return self._group.state()[0]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._group.restore(state)


def _threads(trainer_device: str) -> int:
    """One where the trainer computes on the same cores; half of them where it has GPUs."""
    if trainer_device == "cpu":
        return int(os.environ.get("OMP_NUM_THREADS", "1"))
    return max(1, len(os.sched_getaffinity(0)) // 2)
