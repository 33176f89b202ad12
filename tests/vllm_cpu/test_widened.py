"""The model of these tests is the tiny model, in a shape that vLLM's attention on a CPU has."""

import pytest
import torch
from transformers import Qwen2ForCausalLM

from tests.launches import ROOT, save_untrained
from tests.vllm_cpu.widened import save_widened

TINY = ROOT / "recipes" / "cpu" / "tiny_model"


def test_wider_heads_compute_the_same(tmp_path):
    save_widened(TINY, tmp_path)
    narrow, wide = (Qwen2ForCausalLM.from_pretrained(folder).eval() for folder in (TINY, tmp_path))
    assert wide.config.hidden_size // wide.config.num_attention_heads == 32
    ids = torch.randint(0, 256, (3, 90), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        # Logits spread by 2.4; a head whose halves are not set apart differs by more than 1.
        torch.testing.assert_close(wide(ids).logits, narrow(ids).logits, rtol=0, atol=1e-4)


def test_other_heads_are_refused(tmp_path):
    save_untrained(tmp_path / "model")
    with pytest.raises(ValueError, match="heads of 8 dimensions, not 24"):
        save_widened(tmp_path / "model", tmp_path / "wide")
