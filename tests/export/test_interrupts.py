"""Interruptions: held back where a step has to be whole, and raised after all where Python drops them."""

import signal
import threading

import keras
import pytest

import keras_nnx as nnx
from keras_nnx.export import job
from keras_nnx.export.interrupts import held_back, kept


class Finalized:
    """Is interrupted in its finalizer, where what a handler raises is printed and dropped."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def lose_an_interrupt():
    Finalized()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_a_finalizer_lost_is_raised_at_the_end():
    reached = []

    @kept()
    def block():
        lose_an_interrupt()
        reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_export_that_lost_an_interrupt_publishes_nothing(tmp_path, monkeypatch):
    rows = keras.Input((4,))
    model = keras.Model(rows, keras.layers.Dense(2)(rows))
    written = job.Job._write

    def interrupted(*arguments):
        lose_an_interrupt()
        return written(*arguments)

    monkeypatch.setattr(job.Job, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        nnx.export_model(model, tmp_path / "new" / "export", formats=("onnx",))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_is_held_back_to_the_end_of_the_block():
    reached = []

    @held_back()
    def block():
        signal.raise_signal(signal.SIGINT)
        reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached


def test_an_interrupt_ends_the_block_at_once_where_nothing_holds_it():
    reached = []

    @kept()
    def block():
        signal.raise_signal(signal.SIGINT)
        reached.append(True)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert not reached


@pytest.mark.parametrize("block", [kept, held_back])
def test_threads_other_than_the_main_one_change_no_handler(block):
    handlers = []

    def run():
        with block():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
