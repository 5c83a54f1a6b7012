"""A setting is declared once; prompt, flag, answers file, remembered answer and row in docs/ come from that line.

    @dataclass(kw_only=True)
    class ExtractOptions(Options):
        input_dir: Path = option(REQUIRED, "Input folder", ask=False)
        image_size: int = option(512, "Image size", low=256, high=2048, help="Side of the stored face, in pixels.")
        target_fps: Fraction | None = option(None, "FPS")

Where a value comes from, first found wins: flag, answers file, the model's saved answer, the workspace's remembered
answer, the default. What is still open is asked, when somebody is there to answer: remembered answers and defaults
are then offered as the default of the question. A value that does not fit is never silently replaced.

Networks and other deep code never see an Options object; commands hand them plain numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from core.errors import BadOption

T = TypeVar("T", bound="Options")

_TRUE = ("y", "yes", "true", "1", "on")
_FALSE = ("n", "no", "false", "0", "off")


class _Required:
    """The default of an option that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


@dataclass(frozen=True)
class OptionSpec:
    """Everything known of one option.

    Attributes:
        name: attribute name, e.g. "image_size".
        kind: int, float, bool, str, Path or Fraction.
        default: a value, REQUIRED, or a function of the values settled so far.
        label: the words of the question.
        low, high, step: limits of a number, both ends included.
        choices: accepted words -> other spellings of the same word (empty: anything goes).
        help: one or two sentences, shown for `?` and in `--help`.
        when: whether the option applies, given the values settled so far; one that does not keeps its default.
        ask: whether it is asked at all, or is a flag only.
        optional: an empty answer, for a number also `none`, means None.
        flag: the command-line spelling without dashes, e.g. "image-size".
        special: words accepted beside a number, e.g. ("auto",).
        fixed: cannot change once a model exists.
        menu: what can be picked by number when the option is asked, as (value, remark), given the values settled so
            far; any other answer is read as usual.
        rows: the menu as it is shown.
        rule: (value, values settled so far) -> the value to take, e.g. rounded to a grid; may raise BadOption.
        settled: the values settled so far; None: the rule is not applied.
    """

    name: str
    kind: type
    default: Any
    label: str
    low: float | None
    high: float | None
    step: float | None
    choices: Mapping[str, Sequence[str]]
    help: str
    when: Callable[[Any], bool] | None
    ask: bool
    optional: bool
    flag: str
    special: Sequence[str]
    fixed: bool
    menu: Callable[[Any], Sequence[tuple[str, str]]] | None = None
    rows: Sequence[tuple[str, str]] = ()
    rule: Callable[[Any, Any], Any] | None = None
    settled: Any = None

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind in (int, float, Fraction)

    @property
    def range_text(self) -> str:
        """What is accepted, in the words of a prompt: "256-2048", "f/wf/head", "y/n", or ""."""
        parts = []
        if self.kind is bool:
            parts.append("y/n")
        elif self.choices:
            parts.append("/".join(_shortest(word, others) for word, others in self.choices.items()))
        elif self.low is not None and self.high is not None:
            parts.append(f"{self.low:g}-{self.high:g}")
        elif self.low is not None:
            parts.append(f"{self.low:g} or more")
        parts.extend(self.special)
        return "/".join(parts)


def _shortest(word: str, others: Sequence[str]) -> str:
    """The shortest way to type a choice; a bare number would mean nothing, so it is shown with its word."""
    shortest = min((word, *others), key=len)
    return f"{shortest}:{word}" if shortest.isdigit() and shortest != word else shortest


def option(
    default: Any,
    label: str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    choices: Mapping[str, Sequence[str]] | Sequence[str] = (),
    help: str = "",
    when: Callable[[Any], bool] | None = None,
    ask: bool = True,
    fixed: bool = False,
    flag: str | None = None,
    special: Sequence[str] = (),
    menu: Callable[[Any], Sequence[tuple[str, str]]] | None = None,
    rule: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """Declares a setting; the arguments are those of OptionSpec."""
    metadata = dict(locals())
    metadata["choices"] = dict(choices) if isinstance(choices, Mapping) else dict.fromkeys(choices, ())
    metadata["special"] = tuple(special)
    if default is REQUIRED or callable(default):
        return dataclasses.field(metadata=metadata)  # type: ignore[call-overload]
    return dataclasses.field(default=default, metadata=metadata)  # type: ignore[call-overload]


@dataclass(kw_only=True)
class Options:
    """Base of every command's and every model's settings. Built directly (tests) or by `resolve` (commands)."""

    __slots__ = ("_given",)  # beside the settings, being none

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Builds the options as a command without a terminal would: what is not given takes its default."""
        return resolve(cls, given)

    @classmethod
    def values_of_files(cls, given: Mapping[str, Any], workspace: Path | None = None) -> dict[str, Any]:
        """Values out of files that given options name (`merge --settings FILE`), not asked; below flags and answers."""
        return {}

    @classmethod
    def not_asked(cls, given: Mapping[str, Any]) -> Collection[str]:
        """Names of options that nobody is asked for because of others: the last answers count, else the defaults."""
        return ()

    def was_given(self, name: str) -> bool:
        """Whether the value is from a flag or a file: nobody was asked for it, and it was not remembered."""
        return name in getattr(self, "_given", ())


def specs(options_class: type[Options]) -> list[OptionSpec]:
    """The options of a class in the order they are declared, which is the order they are asked in."""
    hints = typing.get_type_hints(options_class)
    found = []
    for field in dataclasses.fields(options_class):
        if "label" not in field.metadata:  # no setting: something that a command carries beside them
            continue
        kind, optional = _kind_of(hints[field.name])
        known = dict(field.metadata)
        known["flag"] = known["flag"] or field.name.replace("_", "-")
        found.append(OptionSpec(name=field.name, kind=kind, optional=optional, **known))
    return found


def _kind_of(hint: Any) -> tuple[type, bool]:
    """int | None -> (int, True); int | str -> (int, False): the first real type is the kind."""
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = [m for m in members if m is not type(None)]
    return kinds[0], len(kinds) < len(members)


def parse_value(spec: OptionSpec, text: str) -> Any:
    """Turns typed text into the option's value.

    Raises:
        BadOption: the text does not fit; the sentence says what is accepted and ends in "Received: ...".
    """
    text = text.strip()
    if spec.optional and (text == "" or (spec.is_number and text.casefold() == "none")):
        return None
    if text.casefold() in spec.special:
        return text.casefold()
    if spec.choices:
        for word, spellings in spec.choices.items():
            if text.casefold() in (word.casefold(), *(s.casefold() for s in spellings)):
                return word
        if text in (numbers := numbered_choices(spec)):
            return numbers[text]
        raise _refusal(spec, text)
    try:
        return check_value(spec, _CONVERTERS[spec.kind](text))
    except (ValueError, ZeroDivisionError, KeyError):
        raise _refusal(spec, text) from None


def numbered_choices(spec: OptionSpec) -> dict[str, str]:
    """Number, as it is typed -> choice: its own number, or where none has one (they may have gaps), its place."""
    own = {s: word for word, spellings in spec.choices.items() for s in spellings if s.isdigit()}
    return own or {str(place): word for place, word in enumerate(spec.choices)}


def check_value(spec: OptionSpec, value: Any) -> Any:
    """Checks a value that already has its type (from a file, or from code).

    Raises:
        BadOption: wrong type, out of range, or not among the choices.
    """
    if isinstance(value, str) and spec.kind is not str:
        return parse_value(spec, value)
    if value is None and spec.optional:
        return None
    if spec.choices:
        if isinstance(value, bool):  # JSON's true, where the words are y and n
            value = str(value)
        if isinstance(value, str):
            for word, spellings in spec.choices.items():
                if value.casefold() in (word.casefold(), *(s.casefold() for s in spellings)):
                    return word
        raise _refusal(spec, value)
    if spec.kind is Fraction and isinstance(value, int):
        value = Fraction(value)
    if spec.kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, spec.kind) or (spec.kind is int and isinstance(value, bool)):
        raise _refusal(spec, value)
    if spec.is_number:
        number = float(typing.cast(float, value))
        off_grid = spec.step is not None and abs(number / spec.step - round(number / spec.step)) > 1e-9
        too_low, too_high = spec.low is not None and number < spec.low, spec.high is not None and number > spec.high
        if not math.isfinite(number) or too_low or too_high or off_grid:
            raise _refusal(spec, value)
    return value if spec.rule is None or spec.settled is None else spec.rule(value, spec.settled)


def _refusal(spec: OptionSpec, received: Any) -> BadOption:
    wanted = {int: "a whole number", float: "a number", Fraction: "a number or a fraction such as 24000/1001"}
    accepted = spec.range_text
    if spec.kind is bool:
        rule = "y or n"
    elif spec.choices:
        every = [*spec.choices, *(s for v in spec.choices.values() for s in v)]
        rule = "one of " + ", ".join(s for n, s in enumerate(every) if s.lower() not in map(str.lower, every[:n]))
    else:
        rule = wanted.get(spec.kind, "text") + (f" ({accepted})" if accepted else "")
        if spec.step is not None:
            rule += f" that is a multiple of {spec.step:g}"
    return BadOption(f"{spec.label} must be {rule}. Received: {received}.", f"Flag: --{spec.flag}.")


def _to_bool(text: str) -> bool:
    if text.casefold() in _TRUE:
        return True
    if text.casefold() in _FALSE:
        return False
    raise ValueError(text)


def _to_path(text: str) -> Path:
    # Not resolve(): a pattern such as data_src.* and links the user made stay what they are.
    return Path(os.path.abspath(Path(text).expanduser()))


_CONVERTERS: dict[type, Callable[[str], Any]] = {
    int: int,
    float: lambda text: float(text.replace(",", ".")),
    bool: _to_bool,
    str: str,
    Path: _to_path,
    Fraction: lambda text: Fraction(text.replace(",", ".").replace(":", "/")),
}


def show_value(spec: OptionSpec, value: Any) -> str:
    """The value as a user would type it."""
    if value is None:
        return ""
    if spec.kind is bool:
        return "y" if value else "n"
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else f"{value:.1f}"
    return str(value)


class Asker(Protocol):
    """Whoever answers questions: a terminal (core/asking.py), a page, a test."""

    def ask(self, spec: OptionSpec, default: Any) -> Any:
        """The answer to one question, checked. `default` is what an empty line means (REQUIRED: nothing)."""
        ...


def missing(spec: OptionSpec) -> BadOption:
    """What is raised for a value that is needed and was not given."""
    return BadOption(f"{spec.label} is needed and was not given.", f"Add --{spec.flag}.")


class _Settled:
    """The values settled so far, as attributes, for `when` and computed defaults."""

    def __init__(self) -> None:
        self.__dict__: dict[str, Any] = {}


def resolve(
    options_class: type[T],
    given: Mapping[str, Any],
    *,
    file: Mapping[str, Any] | None = None,
    saved: Mapping[str, Any] | None = None,
    remembered: Mapping[str, Any] | None = None,
    asker: Asker | None = None,
    workspace: Path | None = None,
) -> T:
    """Settles every option of a class.

    Args:
        given: values by attribute name from flags (text or typed); they win and are not asked.
        file: from an answers file; win over the rest and are not asked.
        saved: the model's own answers; not asked.
        remembered: last answers in this workspace; taken as they are without an asker, otherwise offered as default.
        asker: who answers open questions; None: nobody, defaults are taken. workspace: for values_of_files.

    Raises:
        BadOption: unknown name, bad value, or a required value that nobody gave.
    """
    known = specs(options_class)
    names = {s.name for s in known}
    file = {**options_class.values_of_files(given, workspace), **(file or {})}
    for source in (given, file):
        for name in source:
            if name not in names:
                raise BadOption(
                    f"There is no option named {name} here. Received: {name}.", f"Options: {', '.join(sorted(names))}."
                )
    settled, unasked = _Settled(), options_class.not_asked(given)
    for spec in known:
        who = None if spec.name in unasked else asker
        settled.__dict__[spec.name] = _settle(spec, settled, given, file, saved or {}, remembered or {}, who)
    made = options_class(**settled.__dict__)
    object.__setattr__(made, "_given", frozenset((*given, *file)))
    return made


def _settle(
    spec: OptionSpec,
    settled: _Settled,
    given: Mapping[str, Any],
    file: Mapping[str, Any],
    saved: Mapping[str, Any],
    remembered: Mapping[str, Any],
    asker: Asker | None,
) -> Any:
    ruled = dataclasses.replace(spec, settled=settled)
    for source in (given, file):
        if spec.name in source:
            return check_value(ruled, source[spec.name])
    if spec.name in saved:  # what a model was built with describes it, also where it could not be chosen here
        spec = dataclasses.replace(spec, low=None, high=None, step=None) if spec.fixed else spec
        return check_value(spec, saved[spec.name])
    spec, default = ruled, spec.default
    if callable(default):
        default = default(settled)
    if spec.when is not None and not spec.when(settled):
        if default is REQUIRED:
            raise missing(spec)
        return default
    if spec.ask and spec.name in remembered:
        with contextlib.suppress(BadOption):  # an answer another version of the program remembered is no answer
            default = check_value(spec, remembered[spec.name])
    if asker is not None and spec.ask:
        rows = tuple(spec.menu(settled)) if spec.menu is not None else ()
        return asker.ask(dataclasses.replace(spec, rows=rows), default)
    if default is REQUIRED:
        raise missing(spec)
    return default


def to_plain(options: Options) -> dict[str, Any]:
    """The values as JSON can hold them: paths and fractions become text."""
    plain = {}
    for spec in specs(type(options)):
        value = getattr(options, spec.name)
        plain[spec.name] = str(value) if isinstance(value, Path | Fraction) else value
    return plain


def flag_words(options: Options, *, only_changed: bool = False) -> list[str]:
    """The command-line words that give exactly these options."""
    words = []
    for spec in specs(type(options)):
        value = getattr(options, spec.name)
        if value is None or (only_changed and not callable(spec.default) and value == spec.default):
            continue
        if spec.kind is bool:
            words.append(f"--{spec.flag}" if value else f"--no-{spec.flag}")
        else:
            words += [f"--{spec.flag}", show_value(spec, value)]
    return words
