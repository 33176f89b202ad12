from verl_dots.console.errors import ErrorTally, first_cause

LOG = """(AgentLoopWorkerTQ pid=11) Traceback (most recent call last):
(AgentLoopWorkerTQ pid=11)   File "reward.py", line 3, in compute_score
(AgentLoopWorkerTQ pid=11) OSError: rollout 17: the service is down
\x1b[36m(AgentLoopWorkerTQ pid=12, ip=10.0.0.2)\x1b[0m OSError: rollout 4: the service is down
ray.exceptions.RayTaskError(OSError): \x1b[36mray::Worker.score()\x1b[39m (pid=30749, ip=10.0.0.2)
step:1 - critic/score/mean:0.5
UserWarning: not an error
the config says error: none
torch.cuda.OutOfMemoryError: CUDA out of memory
(WorkerDict pid=9) OSError: rollout 5: the service is down\x1b[32m [repeated 6x across cluster] (Ray logs)\x1b[0m
"""


def test_each_error_comes_once_and_is_counted():
    tally = ErrorTally()
    assert tally.feed(LOG) == [
        "OSError: rollout 17: the service is down", "torch.cuda.OutOfMemoryError: CUDA out of memory"
    ]  # fmt: skip
    assert tally.feed("OSError: rollout 6: the service is down\n") == []
    # 1 + 1 + 6 + 1
    assert tally.summary() == ["9 times: OSError: rollout 17: the service is down"]


def test_a_line_that_comes_in_two_parts_is_one():
    tally = ErrorTally()
    assert tally.feed("ValueEr") == []
    assert tally.feed("ror: x") == []
    assert tally.feed("\n") == ["ValueError: x"]


def test_the_first_cause_is_told_with_its_place():
    # As Ray's errors: the remote exception, and the remote traceback as text.
    inner = Exception(
        'ray::Worker.score()\n  File "/x/worker.py", line 5, in score\n'
        '  File "/x/reward.py", line 3, in compute_score\nOSError: the service is down'
    )
    inner.cause = OSError("the service is down")
    outer = Exception('ray::TaskRunner.run()\n  File "/x/trainer.py", line 99, in fit\nException: ...')
    outer.cause = inner
    assert first_cause(outer) == "OSError: the service is down (/x/reward.py:3, in compute_score)"


def test_an_error_of_this_process_has_the_place_of_its_traceback():
    try:
        raise KeyError("acc")
    except KeyError as error:
        told = first_cause(error)
    assert told.startswith(f"KeyError: 'acc' ({__file__}:")
    assert told.endswith(", in test_an_error_of_this_process_has_the_place_of_its_traceback)")


def test_a_long_message_is_cut_short():
    assert len(first_cause(ValueError("x" * 5000))) < 700
