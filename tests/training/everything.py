"""A small run with all methods that go together."""

from tests.launches import on


def everything(inputs, folder, steps, **more):
    """Overrides of a run of the preset `all`, with E3's budget and its length penalty, which it leaves out."""
    settings = {"dots.preset": "all", "data.train_max_samples": 32}
    settings |= {"dots.difficulty.cache": folder / "embeddings", "dots.difficulty.field": "extra_info.level"}
    small = on("selection", references=12, tau=0.1, mu=1) | on("replay", capacity=8)
    small |= on("budget", by="predicted", widen=3, least=2, most=8) | on("length_penalty", ranked="step")
    return inputs.without_validation(folder / "run", steps, settings, small, more)
