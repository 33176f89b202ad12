"""Run in the environment with vLLM: what verl's server answers to prompts that reach it at once, at other temperatures.

python answers.py QUESTIONS.parquet OUT.json 0.5,1.0,2.0 KEY=VALUE ...
"""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

from verl_dots.generation.generation import RolloutServers
from verl_dots.launch.compose import compose
from verl_dots.processes.environment import prepare_environment


def main(questions: str, out: str, temperatures: str, *overrides: str) -> None:
    """Write prompt, temperature, tokens and log-probs of each answer; a prompt is asked once at each temperature."""
    chats = pq.read_table(questions, columns=["prompt"])["prompt"].to_pylist()
    prepare_environment(cpu=True)
    with RolloutServers(compose(list(overrides))) as servers:
        prompts = [servers.tokenize(chat) for chat in chats]
        at = [float(text) for text in temperatures.split(",")]
        asked = [
            (prompt, {"temperature": each, "top_p": 1.0, "top_k": -1, "logprobs": True, "seed": number})
            for number, (prompt, each) in enumerate((prompt, each) for prompt in prompts for each in at)
        ]
        answers = servers.answers(asked)
    found = [
        {
            "prompt": prompt,
            "temperature": params["temperature"],
            "tokens": list(answer.token_ids),
            "log_probs": answer.log_probs,
        }
        for (prompt, params), answer in zip(asked, answers, strict=True)
    ]
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
