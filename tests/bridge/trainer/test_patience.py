"""Waits of the trainer that end, in this process; a run that ends so is in tests/training/test_faults_end_to_end.py."""

import signal
import threading
import time

import pytest

from verl_dots.bridge.trainer.patience import Patience, WaitError

ADVICE = "have more patience"


def waited(patience, what, seconds):
    with patience.waiting(what):
        time.sleep(seconds)


def test_a_wait_without_news_ends_and_says_what_for_and_how_long():
    began = time.monotonic()
    with pytest.raises(WaitError, match=r"^waited 0.1 s for the workers; have more patience$"):
        waited(Patience(0.1, ADVICE), "the workers", 30)
    assert 0.1 <= time.monotonic() - began < 10


def test_news_begin_the_time_anew_and_the_last_ones_are_told():
    patience = Patience(0.5, ADVICE)
    with pytest.raises(WaitError, match="for rollouts: 3 of 8 are there"), patience.waiting("rollouts"):
        for there in range(4):
            patience.news(f"rollouts: {there} of 8 are there")
            time.sleep(0.3 if there < 3 else 30)


def test_a_part_has_a_time_of_its_own_and_the_whole_goes_on_after_it():
    patience = Patience(0.6, ADVICE)
    with pytest.raises(WaitError, match="for the run"), patience.waiting("the run"):
        time.sleep(0.4)
        waited(patience, "a checkpoint", 0.4)
        time.sleep(0.4)
        with pytest.raises(WaitError, match="for the validation"):
            waited(patience, "the validation", 30)
        time.sleep(30)


def test_another_patience_within_leaves_the_outer_ones_time_as_it_was():
    with pytest.raises(WaitError, match="waited 0.3 s for the start"), Patience(0.3, ADVICE).waiting("the start"):
        waited(Patience(60, ADVICE), "a part", 0.5)
        time.sleep(30)


def test_a_wait_that_swallows_the_interrupt_is_interrupted_again():
    caught = 0
    with pytest.raises(WaitError), Patience(0.2, ADVICE).waiting("a library"):
        for _ in range(3):
            try:
                time.sleep(30)
            except KeyboardInterrupt:
                caught += 1
                if caught == 2:
                    raise
    assert caught == 2


def test_ctrl_c_stays_what_it_is_and_nothing_is_left_of_a_wait():
    handler, timer = signal.getsignal(signal.SIGALRM), signal.setitimer(signal.ITIMER_REAL, 0)  # those of pytest
    with pytest.raises(KeyboardInterrupt), Patience(60, ADVICE).waiting("rollouts"):
        raise KeyboardInterrupt
    assert signal.getsignal(signal.SIGALRM) is handler and signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    signal.setitimer(signal.ITIMER_REAL, *timer)


def test_a_thread_that_no_signal_reaches_waits_as_long_as_it_likes():
    raised = []

    def work():
        try:
            waited(Patience(0.01, ADVICE), "nothing", 0.1)
        except BaseException as error:  # noqa: BLE001 - the assertion is of it
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert raised == [] and not thread.is_alive()
