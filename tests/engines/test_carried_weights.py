"""Weights that Ray carries: bytes, types and shapes are what they were."""

import pickle

import numpy as np
import pytest
import torch

from verl_dots.engines.carried_weights import arrived, carried


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64])
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (0, 4), (2, 3, 4)])
def test_tensors_arrive_as_they_left(dtype, shape):
    weight = (torch.randn(shape) * 100).to(dtype)
    back = arrived(pickle.loads(pickle.dumps(carried([("weight", weight)]))))["weight"]
    assert back.dtype == dtype and back.shape == shape and torch.equal(back, weight)


def test_bits_that_are_no_numbers_arrive_too():
    weight = torch.tensor([float("nan"), float("inf"), -0.0]).to(torch.bfloat16)
    back = arrived(carried([("weight", weight)]))["weight"]
    assert torch.equal(back.view(torch.int16), weight.view(torch.int16))


def test_what_is_sent_is_a_copy_whatever_the_strides():
    weight = torch.arange(6.0).reshape(2, 3)
    sent = carried([("turned", weight.t())])
    weight.zero_()
    assert arrived(sent)["turned"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


def test_arrays_leave_the_pickle_so_that_ray_copies_them_once(recwarn):
    buffers = []
    weights = carried([("weight", torch.ones(1000, 1000, requires_grad=True))])
    pickled = pickle.dumps(weights, protocol=5, buffer_callback=buffers.append)
    assert len(pickled) < 1000 and sum(len(buffer.raw()) for buffer in buffers) == 4_000_000
    read_only = {name: one._replace(data=np.frombuffer(one.data.tobytes(), np.uint8)) for name, one in weights.items()}
    assert arrived(read_only)["weight"].sum() == 1_000_000 and not recwarn.list
