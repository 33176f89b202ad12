"""The difficulty worker's embeddings on a GPU, beside those of a CPU."""

from verl_dots.doctor.context import Context
from verl_dots.doctor.rows import Row, judged, skipped

MOST_DIFFERENCE = 1e-3  # between the same embeddings in fp32


def difficulty(context: Context) -> list[Row]:
    """The same questions, embedded by the tiny model on both."""
    check = "difficulty worker's embeddings, cuda against cpu"
    if context.cpu:
        return [skipped(check, "device=cpu: needs a GPU")]
    import numpy as np
    import torch

    from verl_dots.difficulty.embeddings import embed_texts

    texts = [f"What is {number} plus {number + 1}?" for number in range(16)]
    tiny = str(context.tiny_model())
    made = [embed_texts(texts, tiny, device=device, dtype=torch.float32) for device in ("cpu", "cuda")]
    worst = float(np.abs(made[0] - made[1]).max())
    fix = "set dots.difficulty.device=cpu, which is the default"
    return [judged(check, worst <= MOST_DIFFERENCE, f"{worst:.2g}", f"{MOST_DIFFERENCE:g}", fix)]
