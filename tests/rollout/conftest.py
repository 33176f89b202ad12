import pytest

from verl_dots.rollout import attention


@pytest.fixture
def model(random_qwen2):
    random_qwen2.set_attn_implementation(attention.NAME)
    return random_qwen2
