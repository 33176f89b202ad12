"""The engine on a CUDA device; skipped where there is none."""

import pytest
import torch

from tests.rollout.test_engine import make_engine, plain_log_probs, requests, run

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.fixture
def on_gpu(model):
    return model.cuda()


def test_log_probs_are_those_of_a_plain_forward_pass(on_gpu):
    given = requests(40, temperature=1.0)
    done = run(make_engine(on_gpu), given)
    for request in given:
        completion = done[request.request_id]
        plain = plain_log_probs(on_gpu, request, completion)
        assert torch.allclose(plain, torch.tensor(completion.log_probs), rtol=0, atol=1e-4)


def test_lengths_and_weight_update(on_gpu):
    given = requests(40, ignore_eos=True)
    engine = make_engine(on_gpu, max_num_seqs=16)
    done = run(engine, given)
    lengths = {request.request_id: request.params.max_tokens for request in given}
    assert {name: len(completion.token_ids) for name, completion in done.items()} == lengths
    weights = {name: tensor.cpu().flip(0) for name, tensor in on_gpu.state_dict().items()}
    engine.load_weights(weights, version=2)
    assert torch.equal(on_gpu.lm_head.weight.cpu(), weights["lm_head.weight"])
