"""Choosing devices by their words, and finding out what they compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from core.cards import Card
from core.errors import BadOption, FaceLoomError
from core.nn import device as device_file
from core.nn.backend import active_backend
from core.nn.device import check_device, choose_devices, list_devices, unusable_cards
from core.nn.steps import Device

Machine = Callable[[list[Device], list[Card]], None]
CPU = Device("CPU:0", "cpu", 0, "CPU", None)
SMALL = Device("GPU:0", "gpu", 0, "Small", None)
LARGE = Device("GPU:1", "gpu", 1, "Large", None)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Pretends a machine: the devices the framework finds, and the cards the driver shows."""

    def pretend(devices: list[Device], cards: list[Card]) -> None:
        class Pretended:
            @staticmethod
            def list_devices() -> list[Device]:
                return devices

        monkeypatch.setattr(device_file, "active_backend", lambda: Pretended)
        monkeypatch.setattr(device_file, "installed_cards", lambda: cards)

    return pretend


def names(text: str) -> list[str]:
    return [device.name for device in choose_devices(text)]


def test_auto_takes_the_card_with_most_memory(machine: Machine) -> None:
    machine([CPU, SMALL, LARGE], [Card("Small", 8 << 30), Card("Large", 24 << 30)])
    assert names("auto") == ["GPU:1"]
    assert names(" CPU ") == ["CPU:0"]
    assert names("0") == ["GPU:0"]
    assert names("1+0") == ["GPU:1", "GPU:0"]
    assert [d.memory_bytes for d in list_devices()][1:] == [8 << 30, 24 << 30]


def test_auto_without_a_card_takes_the_cpu(machine: Machine) -> None:
    machine([CPU], [])
    assert names("auto") == ["CPU:0"]
    assert unusable_cards() == ""


def test_a_card_that_cannot_be_used_is_an_error_not_a_silent_cpu_run(machine: Machine) -> None:
    machine([CPU], [Card("NVIDIA Wonder", 16 << 30)])
    with pytest.raises(FaceLoomError, match=r"card \(NVIDIA Wonder, 16 GiB\).* can use 0.*--device cpu"):
        choose_devices("auto")
    with pytest.raises(BadOption, match=r"GPUs here: none\. Received: 0\. Install the CUDA libraries"):
        choose_devices("0")
    assert names("cpu") == ["CPU:0"]


@pytest.mark.parametrize("text", ["2", "0+0", "gpu", "", "0,1", "-1", "0+2"])
def test_no_such_device(machine: Machine, text: str) -> None:
    machine([CPU, SMALL, LARGE], [])
    with pytest.raises(BadOption, match=r"GPUs here: 0 \(Small\), 1 \(Large\)\. Received: "):
        choose_devices(text)


def test_the_cpu_computes_what_it_should() -> None:
    check = check_device(active_backend().list_devices()[0])
    assert check.problem == ""
    assert check.convolution_difference < 1e-5
    assert check.step_difference == 0.0
    assert check.seconds > 0


def test_the_way_of_a_card_computes_the_same() -> None:
    """The CPU posing as a card: both halves of the step go through XLA as a whole."""
    check = check_device(Device("CPU:0", "gpu", 0, "CPU as a card", None))
    assert check.problem == ""
    assert check.convolution_difference < 1e-5
    assert check.step_difference < 1e-5


def test_a_device_that_is_not_there_is_reported_in_words() -> None:
    check = check_device(Device("GPU:7", "gpu", 7, "Phantom", None))
    assert check.problem.startswith("GPU:7 (Phantom) failed: ")


def test_a_device_that_computes_wrongly_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_file, "_convolution_difference", lambda _: 0.3)
    monkeypatch.setattr(device_file, "_trained", lambda _: (np.arange(3.0), np.ones(2)))
    check = check_device(CPU)
    assert check.problem == "CPU:0 (CPU) computes a convolution wrongly, off by 0.3."


@pytest.mark.gpu
def test_every_card_computes_what_it_should() -> None:
    cards = [device for device in list_devices() if device.kind == "gpu"]
    if not cards:
        pytest.skip("no graphics card")
    for card in cards:
        assert check_device(card).problem == ""
