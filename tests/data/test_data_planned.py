"""A dataset that is a function of the number of a batch."""

import threading

import pytest

from jaxsim.data._planned import AHEAD, Planned


def test_it_is_a_sequence_of_what_its_function_gives():
    dataset = Planned(5, lambda number: number**2)
    assert (len(dataset), dataset[3], dataset[-1], list(dataset)) == (5, 9, 16, [0, 1, 4, 9, 16])
    assert list(dataset[1:4]) == [1, 4, 9]
    assert list(dataset.map(str)) == ["0", "1", "4", "9", "16"]
    with pytest.raises(IndexError, match="batch 5 of 5"):
        dataset[5]


def test_an_iterator_resumes_where_its_state_says():
    iterator = iter(Planned(6, lambda number: number))
    assert [next(iterator) for _ in range(3)] == [0, 1, 2]
    state = iterator.get_state()
    assert [next(iterator) for _ in range(2)] == [3, 4]
    iterator.set_state(state)
    assert list(iterator) == [3, 4, 5]
    other = iter(Planned(6, lambda number: number))
    other.set_state(state)
    assert list(other) == [3, 4, 5]


def test_batches_are_made_ahead_by_a_thread_and_no_further_than_that():
    made, reached = [], threading.Event()

    def batch(number):
        made.append((number, threading.current_thread() is threading.main_thread()))
        if number == AHEAD:
            reached.set()
        return number

    iterator = iter(Planned(100, batch))
    next(iterator)
    assert reached.wait(10)
    assert made == [(number, False) for number in range(AHEAD + 1)]


def test_a_batch_that_cannot_be_made_raises_when_it_is_asked_for():
    iterator = iter(Planned(3, lambda number: 1 // (1 - number)))
    assert next(iterator) == 1
    with pytest.raises(ZeroDivisionError):
        next(iterator)
