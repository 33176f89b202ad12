"""What verl loads by name: agent loops, tools and classes of the user's, found before Ray starts."""

import json
import sys

import pytest

from tests.launches import plain_config, question_row, write_rows
from tests.refusals import changed, refused
from verl_dots.launch.loaded import (
    DEFAULT_LOOP,
    LOOPS,
    ROLLOUT,
    TURNS,
    agent_loops,
    check_loaded,
    check_turns,
    tool_schemas,
)

pytestmark = pytest.mark.usefixtures("cpu_environment")
MINE = "- {name: mine, _target_: verl.experimental.agent_loop.single_turn_agent_loop.SingleTurnAgentLoop}\n"
SAMPLER = "trainer.v1.sampler.custom_sampler"


def config_of(**settings):
    return changed(plain_config(), [f"{key}='{value}'" for key, value in settings.items()])


def test_an_agent_loop_of_the_users_file(tmp_path):
    (tmp_path / "loops.yaml").write_text(MINE)
    config = config_of(**{LOOPS: tmp_path / "loops.yaml", DEFAULT_LOOP: "mine"})
    check_loaded(config)
    assert agent_loops(config) == {"single_turn_agent", "tool_agent", "mine"}
    with refused(DEFAULT_LOOP, "choice", "mine"):
        check_loaded(config_of(**{DEFAULT_LOOP: "mine"}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [("- {name: mine}", "type"), ("- mine", "type"), ("- {name: a, _target_: nowhere.Loop}", "file"), ("- [", "file")],
)
def test_a_file_of_agent_loops_that_names_none(tmp_path, text, reason):
    (tmp_path / "loops.yaml").write_text(text)
    with refused(LOOPS, reason, "loops.yaml"):
        check_loaded(config_of(**{LOOPS: tmp_path / "loops.yaml"}))


def test_a_module_of_the_model_may_register_agent_loops(tmp_path, monkeypatch):
    from verl.experimental.agent_loop import agent_loop

    monkeypatch.setattr(agent_loop, "_agent_loop_registry", dict(agent_loop._agent_loop_registry))
    monkeypatch.syspath_prepend(tmp_path)
    lines = (
        "from verl.experimental.agent_loop.agent_loop import register\n\n\n@register('theirs')\nclass Loop:\n    pass\n"
    )
    (tmp_path / "loops_of_a_model.py").write_text(lines)
    config = config_of(**{"actor_rollout_ref.model.external_lib": "loops_of_a_model", DEFAULT_LOOP: "theirs"})
    check_loaded(config)
    sys.modules.pop("loops_of_a_model")


def test_a_manager_of_the_users_own_makes_whatever_loops_it_likes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_manager.py").write_text("class Manager:\n    pass\n")
    manager = {f"{ROLLOUT}.agent.agent_loop_manager_class": "own_manager.Manager"}
    check_loaded(config_of(**manager, **{DEFAULT_LOOP: "whatever"}))
    with refused(f"{ROLLOUT}.agent.agent_loop_manager_class", "file", "Other"):
        check_loaded(config_of(**{f"{ROLLOUT}.agent.agent_loop_manager_class": "own_manager.Other"}))


def test_tools_are_found_and_not_made(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    text = "class Tool:\n    def __init__(self, **_):\n        raise RuntimeError('made')\n"
    (tmp_path / "own_tools.py").write_text(text)
    file = tmp_path / "tools.yaml"
    key = f"{ROLLOUT}.multi_turn.tool_config_path"
    file.write_text("tools: [{class_name: own_tools.Tool, config: {type: native}}]")
    check_loaded(config_of(**{key: file}))
    file.write_text("tools: [{class_name: own_tools.Spoon, config: {type: native}}]")
    with refused(key, "file", "Spoon"):
        check_loaded(config_of(**{key: file}))
    (tmp_path / "functions.py").write_text("raise ValueError('no such pan')\n")
    key = f"{ROLLOUT}.multi_turn.function_tool_path"
    with refused(key, "file", "no such pan"):
        check_loaded(config_of(**{key: tmp_path / "functions.py"}))


SCHEMA = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    },
}


@pytest.mark.parametrize("group", ["data", TURNS])
def test_schemas_are_those_of_tools_that_verl_makes(tmp_path, monkeypatch, group):
    """Of the file, of the class or of a function; here none of them is made."""
    from verl.tools import function_tool
    from verl.tools.tool_registry import load_all_tools

    monkeypatch.setattr(function_tool, "FUNCTION_TOOL_REGISTRY", {})
    monkeypatch.syspath_prepend(tmp_path)
    module = f"schemas_of_{len(group)}"
    text = f"""
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema

MADE = []

class Tool(BaseTool):
    def __init__(self, config, tool_schema):
        MADE.append(config)
        super().__init__(config, tool_schema)

class Own(Tool):
    def get_openai_tool_schema(self):
        schema = {SCHEMA!r}
        schema["function"]["name"] = self.config["name"]
        return OpenAIFunctionToolSchema.model_validate(schema)
"""
    (tmp_path / f"{module}.py").write_text(text)
    file, functions = tmp_path / "tools.yaml", tmp_path / "functions.py"
    functions.write_text(
        "from verl.tools.function_tool import function_tool\n\n\n@function_tool\ndef mul(a: int) -> str:\n"
        '    """Multiplies.\n\n    Args:\n        a: a number.\n    """\n    return ""\n'
    )
    given = f"{{class_name: {module}.Tool, config: {{type: native}}, tool_schema: {json.dumps(SCHEMA)}}}"
    own = f"{{class_name: {module}.Own, config: {{type: native, name: sub}}}}"
    file.write_text(f"tools: [{given}, {own}]")
    config = config_of(**{f"{group}.tool_config_path": file, f"{group}.function_tool_path": functions})
    found = tool_schemas(config, group)
    assert sys.modules[module].MADE == []
    assert [each["function"]["name"] for each in found] == ["add", "sub", "mul"] and found[0] == SCHEMA
    made = load_all_tools(str(file), str(functions))
    assert found == [tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True) for tool in made]
    file.write_text(f"tools: [{{class_name: {module}.Tool, config: {{type: native}}}}]")
    with refused(f"{group}.tool_config_path", "file", f"{module}.Tool", "tool_schema"):
        tool_schemas(config, group)


def test_a_schema_that_depends_on_what_the_tool_sets_is_left_out_and_told(tmp_path, monkeypatch, caplog):
    """verl can make such a tool, and a prompt is at least as long as it is without."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "late_schema.py").write_text(
        "from verl.tools.base_tool import BaseTool\n\n\nclass Late(BaseTool):\n"
        "    def __init__(self, config, tool_schema):\n        self.lang = config['lang']\n"
        "        super().__init__(config, tool_schema)\n\n"
        "    def get_openai_tool_schema(self):\n        return self.lang\n"
    )
    (tmp_path / "tools.yaml").write_text("tools: [{class_name: late_schema.Late, config: {lang: a}}]")
    assert tool_schemas(config_of(**{f"{TURNS}.tool_config_path": tmp_path / "tools.yaml"}), TURNS) == []
    assert "late_schema.Late" in caplog.text


def test_a_sampler_of_the_users(tmp_path):
    (tmp_path / "sampler.py").write_text("class Sampler:\n    pass\n")
    check_loaded(config_of(**{f"{SAMPLER}.path": tmp_path / "sampler.py", f"{SAMPLER}.name": "Sampler"}))
    with refused(f"{SAMPLER}.path", "file", "Other"):
        check_loaded(config_of(**{f"{SAMPLER}.path": tmp_path / "sampler.py", f"{SAMPLER}.name": "Other"}))


def test_turns_are_those_of_an_agent_loop_that_takes_them(tmp_path):
    """verl itself reads multi_turn.enable no more: a run of single turns would say nothing."""
    turns, file = f"{ROLLOUT}.multi_turn", write_rows(tmp_path / "a.parquet", [question_row("1 + 1?")])

    def check(enable=True, **settings):
        check_turns(changed(config_of(**{"data.train_files": file}, **settings), [f"{turns}.enable={enable}"]))

    with refused(f"{turns}.enable", "excluded", DEFAULT_LOOP):
        check()
    with refused(f"{turns}.tool_config_path", "missing", "tool_agent"):
        check(**{DEFAULT_LOOP: "tool_agent"})
    check(**{DEFAULT_LOOP: "tool_agent", f"{turns}.function_tool_path": "tools.py"})
    check(**{DEFAULT_LOOP: "mine"})
    check(enable=False)
    write_rows(file, [question_row("1 + 1?", agent_name="tool_agent")])
    check()
