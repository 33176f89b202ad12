"""Columns and files that only a run with these settings cannot use."""

import asyncio
import inspect
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.launches import plain_config, question_row, write_rows
from tests.refusals import changed, refused
from verl_dots.data.columns import COMPUTED, GIVEN, OF_THE_BRIDGE, STORED, TAKEN
from verl_dots.data.file_lists import PATTERNS, QuestionError, require_file
from verl_dots.launch.cell_checks import cells_of, require_tools_kwargs
from verl_dots.launch.data_checks import check_data
from verl_dots.launch.loaded import ROLLOUT, TURNS

pytestmark = pytest.mark.usefixtures("cpu_environment")
FUNCTION = "reward.custom_reward_function.path"


def check(folder, *overrides, **columns):
    """Check eight questions with further columns, of which each value is that of one row."""
    rows = [question_row(f"What is {i} plus 1?", str(i + 1), extra_info={"index": i}) for i in range(8)]
    rows = [row | {name: values[i] for name, values in columns.items()} for i, row in enumerate(rows)]
    write_rows(folder / "train.parquet", rows)
    files = [f"{key}='{folder}/train.parquet'" for key in ("data.train_files", "data.val_files")]
    more = [f"actor_rollout_ref.model.path='{folder}/model'", "data.train_batch_size=4", *overrides]
    check_data(changed(plain_config(), [*files, *more]))


def test_an_agent_loop_that_is_not_registered(folder):
    check(folder, agent_name=["tool_agent"] * 8)
    with refused("data.train_files", "data", "1 of 8 rows", "row 5", "'tool'", "single_turn_agent, tool_agent"):
        check(folder, agent_name=["tool_agent"] * 5 + ["tool"] + ["tool_agent"] * 2)
    with refused("data.train_files", "data", "row 0", "None"):  # verl takes the default for none of them
        check(folder, agent_name=[None] + ["tool_agent"] * 7)
    with refused("data.train_files", "data", "8 of 8 rows", "row 0", "['tool_agent']"):
        check(folder, agent_name=[["tool_agent"]] * 8)


def test_an_agent_loop_that_not_all_files_name(folder):
    """verl reads the files as one: rows of a file without the column have none."""
    rows = [question_row(f"What is {i} plus 1?", str(i + 1)) for i in range(8)]
    plain = write_rows(folder / "plain.parquet", rows[:4])
    named = write_rows(folder / "named.parquet", [row | {"agent_name": "tool_agent"} for row in rows[4:]])

    def read_as_one(train, val):
        files = {"data.train_files": train, "data.val_files": val}
        given = [f"{key}=[{','.join(map(str, several))}]" for key, several in files.items()]
        more = [f"actor_rollout_ref.model.path='{folder}/model'", "data.train_batch_size=4"]
        check_data(changed(plain_config(), [*given, *more]))

    for both in ([named, plain], [plain, named]):
        told = ("4 of 4 rows", "plain.parquet", "row 0", "agent_name=None", "its file has no column agent_name")
        with refused("data.train_files", "data", *told):
            read_as_one(both, [plain])
        with refused("data.val_files", "data", *told):
            read_as_one([plain], both)
    read_as_one([plain], [named])
    read_as_one([named], [plain])


@pytest.mark.parametrize("loop", ["tool_agent", "single_turn_agent"])
@pytest.mark.parametrize("named", [False, True])
def test_arguments_of_tools_that_not_all_rows_have(folder, loop, named):
    """verl reads null for them, which is none of its own {}; rows without tools need none."""
    given, least = {"tools_kwargs": {"add": {"create_kwargs": {"n": 1}}}}, {"index": 1}
    more = {"agent_name": loop} if named else {}
    rows = [question_row(f"What is {i} plus 1?", str(i + 1), extra_info=least) | more for i in range(12)]
    for row in rows[4:]:
        row["extra_info"] = least | given
    rows[6]["extra_info"] = least | {"tools_kwargs": None}
    plain, nulls, whole = (
        write_rows(folder / f"{name}.parquet", part)
        for name, part in (("plain", rows[:4]), ("nulls", rows[4:8]), ("whole", rows[8:]))
    )

    def check_files(*files, tools="tools.yaml"):
        used = f"{ROLLOUT}.agent.default_agent_loop={'single_turn_agent' if named else loop}"
        config = changed(plain_config(), [used, f"{ROLLOUT}.multi_turn.tool_config_path={tools}"])
        require_tools_kwargs(config, "data.train_files", files)

    for files, row in (((plain, whole), f"row 0 of {plain}"), ((whole, plain), f"row 0 of {plain}"),
                       ((nulls,), f"row 2 of {nulls}")):  # fmt: skip
        if loop == "tool_agent":
            with refused("data.train_files", "data", row, "extra_info.tools_kwargs", "create_kwargs"):
                check_files(*files)
        else:
            check_files(*files)
        check_files(*files, tools="null")
    check_files(plain)
    check_files(whole)


def test_the_command_asks_for_arguments_of_tools(folder):
    rows = [question_row(f"What is {i} plus 1?", str(i + 1), extra_info={"index": i}) for i in range(8)]
    for row in rows[:4]:
        row["extra_info"]["tools_kwargs"] = {"add": {"create_kwargs": {"n": 1}}}
    files = [str(write_rows(folder / f"{i}.parquet", rows[4 * i :][:4])) for i in range(2)]
    (folder / "tools.yaml").write_text("tools: []")
    tools = f"{ROLLOUT}.multi_turn.tool_config_path='{folder}/tools.yaml'"
    loops = [f"{ROLLOUT}.agent.default_agent_loop=tool_agent", tools]
    given = [f"data.train_files=[{','.join(files)}]", f"data.val_files={files[0]}", "data.train_batch_size=4"]
    with refused("data.train_files", "data", f"row 0 of {files[1]}", f"rows of {files[0]} have"):
        check_data(changed(plain_config(), [f"actor_rollout_ref.model.path='{folder}/model'", *given, *loops]))


ADD, MUL = ({name: {"create_kwargs": {"n": 1}}} for name in ("add", "mul"))
BOTH = ADD | MUL


def require_arguments(folder, *files, tools=("add", "mul")):
    """Check files of rows with these tools_kwargs, or of whole extra_info under "extra"; as training data of a run."""
    made = {"class_name": "verl.tools.base_tool.BaseTool", "config": {}}
    schemas = [{"type": "function", "function": {"name": name, "description": "x"}} for name in tools]
    (folder / "tools.yaml").write_text(json.dumps({"tools": [made | {"tool_schema": schema} for schema in schemas]}))
    paths = []
    for number, given in enumerate(files):
        extras = [one.get("extra", {"tools_kwargs": one}) for one in given]
        rows = [question_row(f"What is {i} plus 1?", str(i + 1), extra_info=extra) for i, extra in enumerate(extras)]
        paths.append(write_rows(folder / f"{number}.parquet", rows))
    used = [f"{ROLLOUT}.agent.default_agent_loop=tool_agent", f"{TURNS}.tool_config_path='{folder}/tools.yaml'"]
    require_tools_kwargs(changed(plain_config(), used), "data.train_files", paths)


@pytest.mark.parametrize(
    ("files", "row", "name"),
    [
        ([[ADD, MUL]], "row 0 of {}/0.parquet", "mul"),
        ([[BOTH, BOTH, ADD]], "row 2 of {}/0.parquet", "mul"),
        ([[ADD], [MUL]], "row 0 of {}/0.parquet", "mul"),
        ([[BOTH], [BOTH, BOTH], [MUL]], "row 0 of {}/2.parquet", "add"),
        ([[ADD, {"add": {"create_kwargs": None}}]], "row 1 of {}/0.parquet", "add.create_kwargs"),
        ([[ADD], [{"add": {"release_kwargs": {"n": 1}}}]], "row 0 of {}/1.parquet", "add.create_kwargs"),
        ([[ADD, {"add": None}]], "row 1 of {}/0.parquet", "add"),
        ([[{"add": 5}]], "row 0 of {}/0.parquet", "add"),
        ([[{"extra": {"tools_kwargs": "{}"}}]], "row 0 of {}/0.parquet", ""),
    ],
)
def test_arguments_of_a_tool_that_not_all_rows_have(tmp_path, files, row, name):
    """Arrow gives each row the fields of all, with null in those that it had not."""
    dotted = f"extra_info.tools_kwargs{name and '.'}{name},"
    with refused("data.train_files", "data", row.format(tmp_path), dotted, "create_kwargs: {}"):
        require_arguments(tmp_path, *files)


def test_arguments_that_each_row_has_of_the_tools_that_it_offers(tmp_path):
    require_arguments(tmp_path, [BOTH, ADD | {"mul": {"create_kwargs": {}}}], [BOTH])
    require_arguments(tmp_path, [ADD, ADD])  # verl takes {} for a tool that no row has
    require_arguments(tmp_path, [{"add": {"release_kwargs": {"n": 1}}}] * 2)
    require_arguments(tmp_path, [{"add": {"create_kwargs": None}}] * 2)  # parquet has no empty field for it
    require_arguments(tmp_path, [ADD, MUL], tools=())  # functions get none
    require_arguments(tmp_path, [ADD, ADD | {"mul": None}], tools=("add",))
    require_arguments(tmp_path, [ADD, {"extra": None}])
    chosen = [{"extra": {"tools_kwargs": BOTH[name] and {name: BOTH[name]}, "tool_selection": [name]}} for name in BOTH]
    require_arguments(tmp_path, chosen)
    require_arguments(tmp_path, chosen[:1], chosen[1:])
    with refused("data.train_files", "data", "row 1", "extra_info.tools_kwargs.add"):
        require_arguments(tmp_path, [chosen[0], {"extra": chosen[1]["extra"] | {"tool_selection": []}}])


@pytest.mark.parametrize("given", [None, {"add": None}, {"add": 5}])
def test_verls_loop_of_tools_cannot_do_without_them(given):
    """What the refusal is for: a call of a tool with null for its arguments, or for all."""
    from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop

    call, tools = SimpleNamespace(name="add", arguments="{}"), {"add": SimpleNamespace(create=None)}
    loop = SimpleNamespace(tools=tools)
    told = ToolAgentLoop._call_tool(loop, call, given, SimpleNamespace(_active_tools=tools))
    answer, _, _ = asyncio.run(told)
    assert f"'{type(given and given['add']).__name__}' object has no attribute 'get'" in answer.text


def test_sources_that_verls_own_reward_does_not_know(folder):
    check(folder, f"{FUNCTION}=null", data_source=["openai/gsm8k"] * 8)
    with refused("data.train_files", "data", "7 of 8 rows", "row 0", "'arithmetic'", FUNCTION):
        check(folder, f"{FUNCTION}=null", data_source=["arithmetic"] * 7 + ["openai/gsm8k"])
    check(folder, f"{FUNCTION}=null", "reward.reward_model.enable=True")  # a model gives the rewards


def test_images_of_which_the_engine_or_the_model_reads_none(folder):
    check(folder, images=[[]] * 7 + [None], videos=[None] * 8)
    with refused("data.train_files", "data", "1 of 8 rows", "row 2", "rollout.name=hf"):
        check(folder, images=[[], [], ["a.png"], [], [], [], [], []])
    with refused("data.train_files", "data", "row 0", "no processor", f"{folder}/model"):
        check(folder, "data.video_key=films", "actor_rollout_ref.rollout.name=vllm", films=[["a.mp4"]] * 8)
    (folder / "model/preprocessor_config.json").write_text("{}")
    config = changed(plain_config(), [f"actor_rollout_ref.model.path='{folder}/model'"])
    assert "images" in cells_of(config)
    assert "images" not in cells_of(changed(config, ["actor_rollout_ref.rollout.name=vllm"]))


@pytest.mark.parametrize(
    "name", ["session_id", "priority", "prompts", "responses", "values", "validate", "__partition__"]
)
def test_columns_of_which_a_step_has_its_own(folder, name):
    with refused("data.train_files", "data", "train.parquet", name):
        check(folder, **{name: ["a"] * 8})


@pytest.mark.parametrize("name", ["index", "raw_prompt", "level", "__index_level_0__"])
def test_columns_that_verl_replaces_or_leaves_alone(folder, name):
    check(folder, **{name: ["a"] * 8})


def test_the_names_of_verls_agent_loop_and_of_what_it_stores():
    from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
    from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
    from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
    from verl.trainer.ppo.v1 import agent_loop_tq

    from verl_dots.bridge.agents import agent_loop

    worker = agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class
    methods = (worker._run_agent_loop, worker._agent_loop_postprocess, SingleTurnAgentLoop.run, ToolAgentLoop.run)
    arguments = {name for method in methods for name in inspect.signature(method).parameters}
    assert arguments - {"agent_name", "_ray_trace_ctx", "kwargs"} <= TAKEN
    whole = {name: None for name in AgentLoopOutput.model_fields} | {"metrics": {}, "num_turns": 2}
    whole |= dict.fromkeys(("prompt_ids", "response_ids", "response_mask"), [1])
    whole |= {"response_logprobs": [-1.0], "reward_score": 1.0, "routed_experts": [[1]]}
    output = AgentLoopOutput(**whole | {"extra_fields": {"teacher_ids": [1], "teacher_logprobs": [-1.0]}})
    assert {*output.as_dict()} <= {*STORED}
    own = (agent_loop.PARTITION, agent_loop.FIRST_ROLLOUT, agent_loop.FIRST_SESSION, agent_loop.TEMPERATURE)
    assert {*own} == {*OF_THE_BRIDGE}
    code = inspect.getsource(inspect.getmodule(worker)) + Path(_trainer_file()).read_text()
    code += inspect.getsource(inspect.getmodule(AgentLoopOutput))
    names = (*STORED, *COMPUTED, *GIVEN)
    unknown = [name for name in names if f'"{name}"' not in code and name not in output.as_dict()]
    assert unknown == []


def _trainer_file() -> str:
    from verl.trainer.ppo.v1 import trainer_base

    return inspect.getfile(trainer_base)


NAMES = ["a[1]", "b*", "c?", "d::e", "[f]/g", "h{1}", "i j", "~k", "l%20", "m#", "n(1)", ".o", "p=1", "q,r", "ä"]


@pytest.mark.parametrize("name", NAMES)
def test_paths_that_verls_reader_takes_for_patterns(tmp_path, name):
    """Refused are those that `datasets` does not find, and those by which it finds others, too."""
    from datasets.data_files import resolve_pattern

    file = tmp_path / f"{name}.parquet"
    file.parent.mkdir(exist_ok=True)
    write_rows(file, [question_row("1 + 1?")])
    other = file.with_name(file.name.replace("*", "xy").replace("?", "z"))
    if not other.exists():
        write_rows(other, [question_row("1 + 2?")])
    try:
        found = resolve_pattern(str(file), base_path=os.getcwd())
    except FileNotFoundError:
        found = []
    if found == [str(file)]:
        assert require_file(file) == file
    else:
        assert any(sign in str(file) for sign in PATTERNS)
        with refused(str(file), "file", kind=QuestionError):
            require_file(file)
