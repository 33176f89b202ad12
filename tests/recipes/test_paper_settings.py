"""The tables of what the papers publish."""

from scripts.paper_settings import README, main, tables


def test_the_readme_has_the_tables_of_the_file_as_it_is():
    assert tables() in README.read_text(), "run python -m scripts.paper_settings --write"
    assert main([]) == 0


def test_a_value_stands_with_its_place_and_with_ours():
    assert {
        "### DOTS and rollout replay (arXiv 2506.05316)",
        "| `dots/3b_deepmath.sh` | Qwen/Qwen2.5-3B | deepmath | 4096 | 56.67 | 11.35 | 61.65 | 0.703 ± 0.008 |",
        "| `dots.replay.delta` | preset `dots_rr` | 0.5 | experimental setup |  |",
        "| `dots.temperature.anneal_from` | preset `e3_temperature` | null | main table, its row |  |",
        "| `actor_rollout_ref.actor.entropy_coeff` | method `entropy` | – | – | 0.001: a usual bonus |",
    } <= set(tables().splitlines())
