"""core.asking: what the questions look like, and what becomes of nonsense."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from core.asking import TerminalAsker
from core.options import REQUIRED, Options, option, resolve


@dataclass(kw_only=True)
class Sandwich(Options):
    bread: Path = option(REQUIRED, "Bread", ask=False)
    size: int = option(512, "Size", low=256, high=2048, step=16, help="How large.", special=("auto",))
    kind: str = option("whole_face", "Kind", choices={"full_face": ("f",), "whole_face": ("wf",)})
    toasted: bool = option(False, "Toasted")
    degree: float = option(0.5, "Degree", low=0.0, high=1.0, when=lambda o: o.toasted)
    rate: Fraction | None = option(None, "Rate")
    half: int = option(lambda o: 0 if o.size == "auto" else o.size // 2, "Half", ask=False)


def test_asking_shows_the_form_and_asks_again_after_nonsense() -> None:
    prompts: list[str] = []
    said: list[str] = []
    answers = iter(["?", "lots", "1024", "", "y", "0.75", ""])

    def read_line(prompt: str) -> str:
        prompts.append(prompt)
        return next(answers)

    made = resolve(Sandwich, {"bread": "/x"}, asker=TerminalAsker(read_line, said.append))
    assert prompts[0] == "[512] Size ( 256-2048/auto ?:help ) : "
    assert prompts[3] == "[whole_face] Kind ( f/wf ) : "
    assert said[0] == "How large."
    assert "Received: lots." in said[1]
    assert (made.size, made.kind, made.toasted, made.degree, made.rate) == (1024, "whole_face", True, 0.75, None)


def test_a_remembered_number_can_be_taken_back() -> None:
    """An empty line means the number that is offered, so there is a word for no number."""
    prompts, rest = [], iter(["512", "f", "n", "none"])

    def read_line(prompt: str) -> str:
        prompts.append(prompt)
        return next(rest)

    asker = TerminalAsker(read_line, lambda _: None)
    made = resolve(Sandwich, {"bread": "/x"}, remembered={"rate": "25"}, asker=asker)
    assert prompts[-1] == "[25] Rate ( none ) : "
    assert made.rate is None


def test_end_of_input_takes_the_default() -> None:
    def nobody(_: str) -> str:
        raise EOFError

    assert resolve(Sandwich, {"bread": "/x"}, asker=TerminalAsker(nobody, lambda _: None)).size == 512


def test_a_menu_is_shown_and_answered_by_number_or_by_word() -> None:
    @dataclass(kw_only=True)
    class Meal(Options):
        side: str = option("rice", "Side")
        drink: str = option("tea", "Drink", menu=lambda settled: [("tea", f"with {settled.side}"), ("water", "cold")])

    def answered(*answers: str) -> tuple[str, list[str]]:
        rest = iter(answers)
        said: list[str] = []
        return resolve(Meal, {}, asker=TerminalAsker(lambda _: next(rest), said.append)).drink, said

    drink, said = answered("bread", "1")
    assert drink == "water"
    assert said == ["[0] : tea - with bread", "[1] : water - cold"]
    assert answered("", "")[0] == "tea"
    assert answered("", "juice")[0] == "juice"
    drink, said = answered("", "7", "0")
    assert drink == "tea"
    assert said[-1] == "The numbers here are 0-1. Received: 7."


@pytest.mark.parametrize(
    ("columns", "answer", "prompt"),
    [(60, "2", "[tall] Shape ( 0-2 ?:help ) : "), (60, "round", "[tall] Shape ( 0-2 ?:help ) : "), (200, "2", None)],
)
def test_choices_stand_below_one_another_where_a_line_has_no_room(
    monkeypatch: pytest.MonkeyPatch, columns: int, answer: str, prompt: str | None
) -> None:
    """Numbered by themselves or not; what is typed is a number or a word, as before."""
    monkeypatch.setenv("COLUMNS", str(columns))
    words = ("tall", "wide as a barn door, and open", "round")
    for choices in (words, {word: (str(number),) for number, word in enumerate(words)}):

        @dataclass(kw_only=True)
        class Vase(Options):
            shape: str = option("tall", "Shape", choices=choices, help="Of the vase.")

        said: list[str] = []
        prompts: list[str] = []

        def read_line(asked: str, prompts: list[str] = prompts) -> str:
            prompts.append(asked)
            return answer

        assert resolve(Vase, {}, asker=TerminalAsker(read_line, said.append)).shape == "round"
        rows = ["[0] : tall", "[1] : wide as a barn door, and open", "[2] : round"]
        assert said == (rows if prompt else [])
        assert prompts == ([prompt] if prompt else prompts)
        assert max(map(len, prompts)) <= columns
