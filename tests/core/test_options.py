"""core.options: one declaration, and a value that does not fit is never silently replaced."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from core.asking import TerminalAsker
from core.errors import BadOption
from core.options import (
    REQUIRED,
    Options,
    OptionSpec,
    flag_words,
    option,
    parse_value,
    resolve,
    specs,
    to_plain,
)


@dataclass(kw_only=True)
class Sandwich(Options):
    bread: Path = option(REQUIRED, "Bread", ask=False)
    size: int = option(512, "Size", low=256, high=2048, step=16, help="How large.", special=("auto",))
    kind: str = option("whole_face", "Kind", choices={"full_face": ("f",), "whole_face": ("wf",)})
    toasted: bool = option(False, "Toasted")
    degree: float = option(0.5, "Degree", low=0.0, high=1.0, when=lambda o: o.toasted)
    rate: Fraction | None = option(None, "Rate")
    half: int = option(lambda o: 0 if o.size == "auto" else o.size // 2, "Half", ask=False)


def _spec(name: str) -> OptionSpec:
    return next(s for s in specs(Sandwich) if s.name == name)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("size", "272", 272),
        ("size", "AUTO", "auto"),
        ("kind", "WF", "whole_face"),
        ("kind", "full_face", "full_face"),
        ("kind", "0", "full_face"),
        ("toasted", "Yes", True),
        ("toasted", "0", False),
        ("degree", "0,25", 0.25),
        ("rate", "24000/1001", Fraction(24000, 1001)),
        ("rate", "", None),
        ("rate", "None", None),
    ],
)
def test_what_is_accepted(name: str, text: str, value: object) -> None:
    assert parse_value(_spec(name), text) == value


def test_spellings_that_differ_in_case_alone_are_named_once() -> None:
    @dataclass(kw_only=True)
    class Dish(Options):
        sauce: str = option("Pesto", "Sauce", choices={"Pesto": ("pesto", "green"), "Aioli": ("aioli",)})

    (spec,) = specs(Dish)
    assert parse_value(spec, "aioli") == "Aioli"
    with pytest.raises(BadOption, match=r"Sauce must be one of Pesto, Aioli, green\. Received: ketchup\."):
        parse_value(spec, "ketchup")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("size", "100", "Size must be a whole number (256-2048/auto) that is a multiple of 16. Received: 100."),
        ("size", "257", "multiple of 16. Received: 257."),
        ("size", "1.5", "Received: 1.5."),
        ("kind", "head", "Kind must be one of full_face, whole_face, f, wf. Received: head."),
        ("toasted", "perhaps", "Toasted must be y or n. Received: perhaps."),
        ("degree", "nan", "Received: nan."),
        ("rate", "1/0", "Received: 1/0."),
    ],
)
def test_what_is_refused_and_in_which_words(name: str, text: str, sentence: str) -> None:
    with pytest.raises(BadOption) as caught:
        parse_value(_spec(name), text)
    assert sentence in caught.value.what


def test_first_found_wins() -> None:
    given, file = {"bread": "/x", "size": "256"}, {"size": 272, "kind": "f"}
    remembered = {"size": 512, "kind": "wf", "toasted": True, "degree": 7}
    made = resolve(Sandwich, given, file=file, remembered=remembered)
    assert (made.size, made.kind, made.toasted) == (256, "full_face", True)
    assert made.degree == 0.5  # remembered, but out of range: as if nothing was remembered
    assert made.half == 128


def test_required_and_unknown_names() -> None:
    with pytest.raises(BadOption, match="Add --bread"):
        Sandwich.of()
    with pytest.raises(BadOption, match="no option named cheese"):
        Sandwich.of(bread="/x", cheese=1)


def test_an_option_that_does_not_apply_is_not_asked() -> None:
    answers = iter(["512", "f", "n", "25"])
    made = resolve(Sandwich, {"bread": "/x"}, asker=TerminalAsker(lambda _: next(answers), lambda _: None))
    assert (made.degree, made.rate) == (0.5, 25)


def test_the_words_of_options_give_the_same_options() -> None:
    made = Sandwich.of(bread="/a b/工作", size="auto", toasted=True, degree=0.25, rate="24000/1001")
    given = {}
    rest = iter(flag_words(made, only_changed=True))
    for word in rest:
        name = word.removeprefix("--").replace("-", "_")
        if name in ("toasted", "no_toasted"):
            given["toasted"] = str(not name.startswith("no_"))
        else:
            given[name] = next(rest)
    assert Sandwich.of(**given) == made
    assert to_plain(made)["rate"] == "24000/1001"
    assert "--no-toasted" in flag_words(Sandwich.of(bread="/x"))


@dataclass(kw_only=True)
class Picture(Options):
    step: int = option(16, "Step")
    side: int = option(
        64, "Side", low=32, high=640, rule=lambda side, settled: side // settled.step * settled.step, fixed=True
    )
    noise: float = option(0.0, "Noise", low=0.0, high=1.0, rule=lambda noise, settled: _quiet(noise, settled.side))


def _quiet(noise: float, side: int) -> float:
    if noise and side < 64:
        raise BadOption(f"Noise needs a side of 64. Received: {noise:g}.")
    return noise


def test_a_rule_settles_what_depends_on_other_values() -> None:
    assert Picture.of(side=100).side == 96
    assert Picture.of(step=32, side="127").side == 96
    with pytest.raises(BadOption, match="Noise needs a side of 64"):
        Picture.of(side=40, noise=0.5)
    said: list[str] = []
    answers = iter(["32", "100", "0.5"])
    made = resolve(Picture, {}, asker=TerminalAsker(lambda _: next(answers), said.append))
    assert (made.side, made.noise, said) == (96, 0.5, ["96"])
    answers = iter(["32", "40", "0.5", "0"])
    said.clear()
    made = resolve(Picture, {}, asker=TerminalAsker(lambda _: next(answers), said.append))
    assert (made.side, made.noise) == (32, 0.0)
    assert said == ["32", "Noise needs a side of 64. Received: 0.5.", "0.0"]


def test_what_a_model_was_built_with_is_not_measured_by_what_can_be_chosen() -> None:
    assert resolve(Picture, {}, saved={"side": 1000}).side == 1000
    with pytest.raises(BadOption, match="Side"):
        resolve(Picture, {"side": 1000}, saved={"side": 1000})
    with pytest.raises(BadOption, match="Noise"):
        resolve(Picture, {}, saved={"noise": 2.0})
