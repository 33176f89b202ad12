"""Memory and disk by formula, beside numbers that were computed by hand."""

import pytest

from verl_dots import sizes
from verl_dots.sizes import GB, ModelShape

# 1,000 parameters: an embedding of 10 x 20, and two blocks of 400.
SMALL = ModelShape(
    parameters=1000, layers=2, hidden=20, intermediate=30, queries=16, keys=8, vocabulary=10, tied=True, positions=40
)  # fmt: skip
QWEN_WORDS = 151_936


def test_a_rank_has_its_share_of_weights_gradients_and_moments():
    assert sizes.training_state(1000, ranks=1) == 16_000  # 4 + 4 + 8 bytes
    assert sizes.training_state(1000, ranks=8) == 2_000
    assert sizes.resting_state(1000, ranks=1) == 12_000  # no gradients
    assert sizes.training_state(1000, ranks=1, stored=2, moments=0) == 4_000


def test_what_is_gathered_is_the_embedding_two_blocks_and_one_gradient():
    # In bf16 200 + 2 x 400 weights; the gradient of a block in bf16 and fp32: 6 x 400.
    assert sizes.gathered(SMALL) == 2 * 1000 + 2400
    untied = ModelShape(**vars(SMALL) | {"tied": False})  # 400 of embeddings, blocks of 300
    assert sizes.gathered(untied) == 2 * (400 + 600) + 6 * 400


def test_activations_are_the_inputs_of_all_blocks_and_the_whole_of_one():
    # A token in a block: 16 x 20 + 4 x 16 + 4 x 8 + 12 x 30 = 776 bytes; its inputs of both blocks: 2 x 20 x 2 = 80.
    assert sizes.activations(SMALL, tokens=3) == 3 * 80 + 3 * 776
    assert sizes.activations(SMALL, tokens=3, checkpointing=False) == 2 * 3 * 776


@pytest.mark.parametrize(
    ("given", "copies"),
    [
        ({}, 1),
        ({"unit_temperature": False}, 3),
        ({"flash_attention": False}, 3),
        ({"entropy": True}, 3),
        ({"unit_temperature": False, "flash_attention": False, "entropy": True}, 7),
    ],
)
def test_each_copy_of_the_logits_is_two_bytes_a_token_and_word(given, copies):
    assert sizes.logits(10, 3, **given) == 60 * copies


def test_without_flash_attention_a_micro_batch_of_16k_tokens_takes_ten_gb_more():
    # 2 copies x 2 bytes x 16,384 x 151,936
    assert sizes.without_flash_attention(QWEN_WORDS, 16_384) == 9_957_277_696
    assert round(sizes.without_flash_attention(QWEN_WORDS, 8_192) / GB, 1) == 5.0


def test_a_cache_holds_as_many_responses_as_have_room():
    assert sizes.cache_of_a_token(SMALL) == 2 * 2 * 8 * 2  # keys and values, layers, width, bytes
    # 10 GB, a half: 5 GB without 2,000 bytes of weights and 2 GB of extras.
    room = sizes.cache_room(SMALL, 10 * GB, 0.5)
    assert room == 3 * GB - 2_000
    assert sizes.cache_room(SMALL, 10 * GB, 0.5, parallel=2) == 3 * GB - 1_000
    assert sizes.cached_sequences(SMALL, 64 * 5 * 7, length=5) == 7
    assert sizes.cached_sequences(SMALL, 64 * 5 * 7 - 1, length=5) == 6
    assert sizes.cached_sequences(SMALL, 64 * 5 * 7, length=5, parallel=2) == 14
    assert sizes.cached_sequences(SMALL, -1, length=5) == 0


def test_a_checkpoint_is_weights_and_moments():
    assert sizes.checkpoint(1000) == 12_000
    assert sizes.checkpoint(1000, stored=2) == 6_000
    assert sizes.checkpoint(1000, weights=False) == 8_000
    assert sizes.checkpoint(1000, moments=0) == 4_000


def test_a_hosts_memory_is_processes_and_the_most_of_what_is_read_or_saved():
    # 3 processes of 4 GB a GPU; tied weights are read by every rank, others by the first. A save takes 12 bytes each.
    untied = ModelShape(**vars(SMALL) | {"tied": False})
    assert sizes.host_memory(SMALL, gpus=8) == 96 * GB + 8 * 4_000
    assert sizes.host_memory(SMALL, gpus=2) == 24 * GB + 12_000
    assert sizes.host_memory(untied, gpus=8) == 96 * GB + 12_000
    assert sizes.host_memory(untied, gpus=8, reference=True) == 96 * GB + 16_000


def test_a_size_is_told_in_the_unit_that_fits_it():
    assert [sizes.size_text(count) for count in (18_540_000_000, 10**9, 8_060_000, 0)] == [
        "18.5 GB", "1.0 GB", "8.1 MB", "0.0 MB",
    ]  # fmt: skip
