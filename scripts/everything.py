"""All methods that go together, on the smallest batch on which each has something to do."""

# Beside the recipe cpu/all.sh, which has the preset `all`: E3's budget, its length penalty, and what asks for more
# rollouts or for fewer. 8 questions of 4 rollouts are the fewest of which groups can stop early, be refilled and differ
# in size.
EVERYTHING = (
    "data.train_batch_size=8", "actor_rollout_ref.actor.ppo_mini_batch_size=8", "actor_rollout_ref.rollout.n=4",
    "data.max_response_length=24", "dots.selection.references=8",
    "dots.budget.enable=True", "dots.budget.by=predicted", "dots.budget.least=2", "dots.budget.most=8",
    "dots.length_penalty.enable=True", "dots.length_penalty.ranked=step", "dots.refill.enable=True",
    "dots.refill.at_the_limit=train", "dots.stop_early.enable=True", "dots.stop_early.strength=1",
)  # fmt: skip
