from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.generation.conditions import digest, model_fingerprint


def test_the_fingerprint_tells_checkpoints_apart_and_copies_not(tmp_path):
    def model(folder, weights):
        (tmp_path / folder / "m").mkdir(parents=True)
        (tmp_path / folder / "m" / "config.json").write_text("{}")
        (tmp_path / folder / "m" / "model.safetensors").write_bytes(weights)
        return model_fingerprint(str(tmp_path / folder / "m"))

    large = bytes(3 * 2**20)
    first = model("one", large)
    assert first.startswith("m, sha256 ")
    assert model("copy", large) == first
    # The last byte, beyond the first MiB.
    assert model("other", large[:-1] + b"\1") != first
    assert model("shorter", large[:-1]) != first
    (tmp_path / "copy" / "m" / "config.json").write_text("{ }")
    assert model_fingerprint(str(tmp_path / "copy" / "m")) != first


def test_a_hub_id_is_its_own_fingerprint():
    assert model_fingerprint("owner/name-of-nothing-here") == "owner/name-of-nothing-here"


def test_the_digest_depends_on_the_ids_and_their_order():
    a, b = AskedQuestion("a", "1+1?", "2", {}), AskedQuestion("b", "2+2?", "4", {})
    assert digest([a, b]).startswith("2 questions, sha256 ")
    assert digest([a, b]) == digest([AskedQuestion("a", "other text", "2", {}), b])
    assert len({digest([a, b]), digest([b, a]), digest([a])}) == 3
