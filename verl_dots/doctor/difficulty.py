"""The model that embeds the questions; the difficulty worker on a GPU, beside one on a CPU."""

from verl_dots import hub
from verl_dots.doctor.context import Context
from verl_dots.doctor.rows import FETCH, Row, judged, skipped
from verl_dots.files import is_path
from verl_dots.settings import Refusal

MOST_DIFFERENCE = 1e-3  # between the same embeddings in fp32, and between difficulties, which are in [0, 1]
QUESTIONS, REFERENCES = 16, 4


def backbone(context: Context) -> list[Row]:
    """Whether the model that embeds the questions is whole here; a start reads it first, so it is fetched if not."""
    from verl_dots.difficulty.backbone import Backbone

    path = context.config.dots.difficulty.backbone
    if not context.config.dots.selection.enable or path is None:
        return [skipped("backbone", f"{context.recipe} selects no questions")]
    check, limit = f"backbone {path}", "here or on the hub"
    try:
        fetched = not is_path(path) and hub.lacking(path)
        name = Backbone(path).id
    except Refusal as error:
        return [judged(check, False, str(error), limit, FETCH.format(path=path))]
    return [judged(check, True, f"{'fetched' if fetched else 'here'}: {name}", limit, "")]


def difficulty(context: Context) -> list[Row]:
    """The same questions, embedded by the tiny model and predicted from some of them, on both; on a CPU, twice."""
    if not context.cpu:
        return compared(str(context.tiny_model()), "cuda")
    needs = skipped("difficulty worker, cuda against cpu", "device=cpu: needs a GPU")
    return [*compared(str(context.tiny_model()), "cpu"), needs]


def compared(backbone: str, device: str) -> list[Row]:
    """Embeddings and predictions of a device beside those of a CPU.

    Args:
        backbone: folder of the model that embeds.
    """
    import numpy as np

    (embedded, predicted), (others, other) = _worked_out(backbone, "cpu"), _worked_out(backbone, device)
    fix = "set dots.difficulty.device=cpu, which is slower; runs on GPUs have cuda by default"
    return [
        judged(
            f"difficulty worker's {what}, {device} against cpu", worst <= MOST_DIFFERENCE, f"{worst:.2g}",
            f"{MOST_DIFFERENCE:g}", fix,
        )
        for what, worst in (
            ("embeddings", float(np.abs(embedded - others).max())),
            ("predictions", float(np.abs(predicted - other).max())),
        )
    ]  # fmt: skip


def _worked_out(backbone: str, device: str):
    """Embeddings of some questions, and their difficulties by a predictor that nothing has trained."""
    import numpy as np
    import torch

    from verl_dots.difficulty.embeddings import embed_texts
    from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
    from verl_dots.difficulty.predictors import TrainedPredictor

    texts = [f"What is {number} plus {number + 1}?" for number in range(QUESTIONS)]
    embedded = embed_texts(texts, backbone, device=device, dtype=torch.float32)
    torch.manual_seed(0)
    model = AttentionPredictor(PredictorConfig.paper(embedded.shape[1]))
    predictor = TrainedPredictor(model, embedded, device)
    predicted, _ = predictor.predict(1, np.arange(REFERENCES), np.linspace(0, 1, REFERENCES))
    return embedded, predicted
