"""The engine on a CUDA device; skipped where there is none."""

import copy

import pytest
import torch

from verl_dots.rollout import attention
from verl_dots.rollout.engine import Engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.settings import EngineConfig

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.fixture
def model(random_qwen2):
    moved = copy.deepcopy(random_qwen2).cuda()
    moved.set_attn_implementation(attention.NAME)
    return moved


def given(count=40):
    prompts = [tuple((7 * group + i) % 64 for i in range(1 + group * 3)) for group in range(count // 4)]
    return [
        Request(f"{i}", prompts[i // 4], SamplingParams(max_tokens=1 + i, rollout_index=i, ignore_eos=True))
        for i in range(count)
    ]


def run(model, requests, **limits):
    engine = Engine(model, EngineConfig(max_model_len=256, seed=5, **limits))
    for request in requests:
        engine.add(request)
    return {done.request_id: done for done in engine.run()}


def test_log_probs_are_those_of_a_plain_forward_pass(model):
    done = run(model, given())
    model.set_attn_implementation("sdpa")
    for request in given():
        completion = done[request.request_id]
        tokens = torch.tensor([[*request.prompt_ids, *completion.token_ids]], device="cuda")
        with torch.no_grad():
            logits = model(input_ids=tokens).logits[0, len(request.prompt_ids) - 1 : -1]
        plain = logits.log_softmax(-1).gather(-1, tokens[0, len(request.prompt_ids) :, None])[:, 0].cpu()
        assert torch.allclose(plain, torch.tensor(completion.log_probs), rtol=0, atol=1e-4)


def test_lengths_and_weight_update(model):
    done = run(model, given(), max_num_seqs=16)
    assert [len(done[str(i)].token_ids) for i in range(40)] == list(range(1, 41))
    engine = Engine(model, EngineConfig(max_model_len=256))
    weights = {name: tensor.cpu().flip(0) for name, tensor in model.state_dict().items()}
    engine.load_weights(weights, version=2)
    assert torch.equal(model.lm_head.weight.cpu(), weights["lm_head.weight"])
