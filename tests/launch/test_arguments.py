"""Names of settings that become arguments of a call."""

import inspect
import re

import pytest

from tests.launches import plain_config
from tests.refusals import changed, refused
from verl_dots.launch.arguments import OF_RAY, OF_VERL, RAY, TEMPLATE, check_arguments, ray_arguments

pytestmark = pytest.mark.usefixtures("cpu_environment")


def check(*overrides):
    check_arguments(changed(plain_config(), overrides))


@pytest.mark.parametrize("name", ["add_generation_prompt", "tokenize", "conversation", "processor", "tools"])
@pytest.mark.parametrize("value", ["False", "x", "null"])
def test_an_option_of_the_template_that_verl_sets(name, value):
    with refused(f"{TEMPLATE}.{name}", "excluded"):
        check(f"+{TEMPLATE}.enable_thinking=False", f"+{TEMPLATE}.{name}={value}")


def test_other_options_of_the_template():
    check(f"+{TEMPLATE}.enable_thinking=False", f"+{TEMPLATE}.prefix=x")
    check(f"+{TEMPLATE}=null")
    check(f"+{TEMPLATE}.return_dict=False", f"+{TEMPLATE}.padding=False", f"+{TEMPLATE}.return_tensors=null")


def test_the_names_are_those_that_verls_own_call_has():
    """As its agent loops build the tokens of a prompt."""
    from verl.utils.tokenizer.chat_template import apply_chat_template
    from verl.utils.tokenizer.continuous_token import ContinuousTokenBuilder

    class Tokenizer:
        def apply_chat_template(self, conversation, **options):
            return [1]

    own = {
        name for name, one in inspect.signature(apply_chat_template).parameters.items() if one.kind != one.VAR_KEYWORD
    }
    assert own - {"return_dict"} <= {*OF_VERL}
    for name in own - {"return_dict"}:
        builder = ContinuousTokenBuilder(Tokenizer(), chat_template_kwargs={name: None})
        with pytest.raises(TypeError, match="multiple values"):
            builder.build_initial_tokens([{"role": "user", "content": "1 + 1?"}])
    others = {"return_dict": False, "padding": False, "return_tensors": None}
    builder = ContinuousTokenBuilder(Tokenizer(), chat_template_kwargs=others)
    assert builder.build_initial_tokens([{"role": "user", "content": "1 + 1?"}]) == [1]


@pytest.mark.parametrize(
    ("name", "near"), [("foo", ""), ("num_cpu", "num_cpus"), ("temp_dir", "_temp_dir"), ("storage", "")]
)
def test_an_argument_that_ray_does_not_have(name, near, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with refused(f"{RAY}.{name}", "unknown", near):
        check(f"+{RAY}.{name}=1")
    check(f"+{RAY}.{name}=1", f"+{RAY}.address='ray://head:10001'")  # its client has arguments of its own


def test_arguments_that_ray_has():
    given = (
        "_temp_dir=/tmp/r",
        "_node_ip_address=127.0.0.1",
        "address=local",
        "namespace=a",
        "num_cpus=2",
        "dashboard_port=1",
    )
    check(*(f"+{RAY}.{one}" for one in given))


def test_the_arguments_are_those_that_ray_takes_from_its_keywords():
    import ray

    taken = re.findall(r'kwargs\.pop\(\s*"(\w+)"', inspect.getsource(ray.init))
    assert {*taken} == {*OF_RAY} and "kwargs" not in ray_arguments() and "address" in ray_arguments()
