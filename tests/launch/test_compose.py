"""The config of a run as hydra composes it."""

import yaml

from verl_dots.launch.compose import compose


def test_what_libyaml_reads_is_what_python_reads(monkeypatch):
    by_c, safe = compose(["device=cpu", "dots.preset=all"]), yaml.SafeLoader
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert compose(["device=cpu", "dots.preset=all"]) == by_c
    assert yaml.SafeLoader is safe
