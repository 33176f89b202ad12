"""What a worker of vLLM for CPUs lacks, named to it by `rollout.engine_kwargs.vllm.worker_extension_cls`.

After loading, vLLM packs the weights of linear layers for oneDNN and drops the parameters that new ones would go to. It
has no switch for that. Where it finds no oneDNN it keeps them and calls torch.

With `rollout.full_determinism` verl turns on vLLM's kernels whose results do not depend on the batch. vLLM takes those
of GPUs on a CPU, too, and fails. The requests' seeds need none of them. The rest of verl's server works as it is.
"""

from typing import Any

import vllm._custom_ops
import vllm.model_executor.layers.batch_invariant
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension


class TrainableWorker(vLLMColocateWorkerExtension):
    """verl's extension of a vLLM worker, which then computes with the parameters that it loads, by torch."""

    def __new__(cls, **kwargs: Any) -> "TrainableWorker":
        vllm._custom_ops._supports_onednn = False
        vllm.model_executor.layers.batch_invariant.init_batch_invariance = lambda: None
        return super().__new__(cls, **kwargs)
