"""The worker's side of verl's vLLM engine; a module of its own, because verl's needs vLLM to be imported."""

from typing import Any

from verl.workers.rollout.vllm_rollout import ServerAdapter

from verl_dots.engines.weight_sockets import own_socket


class VLLMAdapter(ServerAdapter):
    """verl's, with a socket that no other run on the node has."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.zmq_handle = own_socket(self.zmq_handle)
