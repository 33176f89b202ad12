"""Columns that verl's step has of its own: one of a data set would take their place, or be passed twice."""

from collections.abc import Sequence
from pathlib import Path

from verl_dots.data.file_lists import QuestionError
from verl_dots.data.rows import schema_of

# Of verl's agent loops, which get the columns of a row as further arguments.
ARGUMENTS = ("sampling_params", "priority", "trajectory", "trace", "session_id", "output", "validate", "self")
# What is stored of a rollout, beside the columns of its question.
STORED = (
    *("prompts", "responses", "input_ids", "position_ids", "response_mask", "loss_mask", "rollout_log_probs"),
    *("rm_scores", "num_turns", "metrics", "extra_fields", "routed_experts", "teacher_ids", "teacher_logprobs"),
    *("multi_modal_data", "multi_modal_inputs", "mm_processor_kwargs", "mm_processor_output"),
)
# What the trainer writes beside it.
COMPUTED = (
    *("old_log_probs", "ref_log_prob", "log_probs", "entropy", "values", "advantages", "returns"),
    *("token_level_scores", "token_level_rewards", "rollout_is_weights"),
)
# What verl gives a prompt: a column of that name is lost, or decides how its question is rolled out.
GIVEN = ("uid", "global_steps", "__rollout_n__", "__do_sample__", "__num_turns__", "tool_extra_fields")
# How the bridge to verl has a question rolled out.
OF_THE_BRIDGE = ("__partition__", "__first_rollout__", "__first_session__", "__temperature__")
TAKEN = frozenset((*ARGUMENTS, *STORED, *COMPUTED, *GIVEN, *OF_THE_BRIDGE))


def require_free_columns(files: Sequence[str | Path]) -> None:
    """Refuse columns of names that a training step uses itself.

    Raises:
        QuestionError: the file and its columns of such names, or a file that cannot be read.
    """
    for file in files:
        if taken := [name for name in schema_of(file).names if name in TAKEN]:
            text = (
                f"{file} has the columns {taken}, which a training step has of its own; rename them, or leave them out"
            )
            raise QuestionError(text, key=taken[0], reason="data")
