"""The settings of the model that `train` works on: where their values come from, and who is asked what.

    flag or --set > --options FILE > --answers FILE > what the model has saved > the last answers for a new model of
    this class in this workspace > default

A new model's settings are all asked once, in the order they are declared. A trained one goes on without a question,
unless Enter is pressed within two seconds; then those are asked that can still change. What is `fixed` stays: another
value for it is refused with a sentence. Without a terminal, or with `--defaults`, nothing is asked and nothing waits.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import console
from core.errors import BadOption, BrokenFile, MissingInput
from core.options import Asker, Options, OptionSpec, check_value, parse_value, resolve, show_value, specs, to_plain
from core.paths import Workspace
from mainscripts.answers import Talk, recall, remember
from mainscripts.train_models import choose_model, saved_state
from mainscripts.train_options import TrainOptions, check_flags
from mainscripts.train_pretraining import care_about_faces, require_faces
from mainscripts.train_previews import KEPT_AS
from models.registry import MODEL_CLASSES, known_values, options_class

SECONDS_TO_OVERRIDE = 2
OVERRIDE_QUESTION = "Press Enter within 2 seconds to change the settings of this model"

_SHORTHANDS = ("batch_size", "size")
"""Flags of `train` that are settings of the model."""


def further_class(given: Mapping[str, Any]) -> type[Options]:
    """The settings class of the model class that the flags name. Raises BadOption for one that does not exist."""
    return options_class(_class_name(given))


def _class_name(given: Mapping[str, Any]) -> str:
    spec = next(s for s in specs(TrainOptions) if s.name == "model")
    return str(check_value(spec, given.get("model") or spec.default))


def further_title(given: Mapping[str, Any]) -> str:
    """What `train --help` says above the model's settings."""
    class_name = _class_name(given)
    others = [f"train --model {name} --help" for name in MODEL_CLASSES if name != class_name]
    hint = f"; of another class: {', '.join(others)}" if others else ""
    return f"settings of a {class_name} model, given by --set NAME=VALUE{hint}"


def further_words(options: TrainOptions) -> list[str]:
    """`--set` for every setting that was given or answered and is not what a new model has anyway."""
    known = {spec.name: spec for spec in specs(options_class(options.model))}
    words = []
    for name, value in options.model_values.items():
        spec = known[name]
        if callable(spec.default) or value != spec.default or spec.name in options.model_values_to_repeat:
            words += ["--set", f"{name}={show_value(spec, value)}"]
    return words


def settle_further(options: TrainOptions, talk: Talk) -> TrainOptions:
    """The conversation before a training: which model, whether to change its settings, and to what.

    Raises:
        BadOption: a name or value that does not exist, or a setting that cannot be changed any more.
    """
    if options.status:  # of the named model, else of the one in training: the newest is a default of `train` alone
        return options if "model_name" in talk.own else dataclasses.replace(options, model_name=None)
    check_flags(options)
    below = {name: value for name, value in talk.given.items() if name in talk.from_file}
    above = {name: value for name, value in talk.given.items() if name not in talk.from_file}
    given = _checked(options.model, {**below, **read_options_file(options.options_file), **above})
    options = dataclasses.replace(options, model_values=given)
    if talk.asker is None:
        return options
    if not ({"model_name", "force_model_name"} & set(talk.own) or options.silent_start):
        name = choose_model(talk.workspace, options, talk.asker, console.say)
        options = dataclasses.replace(options, model_name=name)
    return _ask_settings(options, talk.workspace, talk.asker)


def _ask_settings(options: TrainOptions, workspace: Workspace, asker: Asker) -> TrainOptions:
    """Asks for the settings of the chosen model where that is due, and keeps the answers of a new one for the next."""
    from models.checkpoint import CheckpointStore

    saved = saved_state(options.chosen_folder(workspace), options.restore_backup)
    given = given_values(options)
    kept = saved.options if saved is not None else None
    before = settle_values(options.model, given, kept)  # what cannot be is refused before anything is asked
    if saved is None and CheckpointStore(options.chosen_folder(workspace)).saves:
        return options  # it is no new model but a damaged one, which the training says in words
    if saved is None:
        require_faces(options, workspace)
    elif not _wants_to_change(options):
        return options
    recorder = _Answers(care_about_faces(asker, options, console.say))
    key = remembered_key(options.model)
    remembered = recall(workspace, key)
    settled = settle_values(options.model, given, kept, remembered, recorder)
    if saved is None:
        remember(workspace, key, {**remembered, **{name: settled[name] for name in recorder.names}})
        changed = set(recorder.names)
    else:
        changed = {name for name in recorder.names if settled[name] != before[name]}
    values = {**options.model_values, **{name: settled[name] for name in recorder.names if name in changed}}
    repeat = {name for name in changed if saved is not None or name in remembered}
    options = dataclasses.replace(options, model_values=values, model_values_to_repeat=frozenset(repeat))
    if settled.get("write_preview_history") and not before.get("write_preview_history"):
        spec = next(s for s in specs(TrainOptions) if s.name == "choose_preview_faces")
        spec = dataclasses.replace(
            spec, label="Faces of the preview history: empty for the usual ones, random, or names"
        )
        if options.choose_preview_faces is None:
            options = dataclasses.replace(options, choose_preview_faces=asker.ask(spec, None))
    return options


def _wants_to_change(options: TrainOptions) -> bool:
    """Whether a trained model's settings are to be asked: by flag, else by Enter within two seconds."""
    if not any(spec.ask and not spec.fixed for spec in specs(options_class(options.model))):
        return False
    if options.edit_options is not None:
        return options.edit_options
    return console.pressed_enter_within(SECONDS_TO_OVERRIDE, OVERRIDE_QUESTION)


class _Answers:
    """An asker that notes what was asked."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self.names: list[str] = []

    def ask(self, spec: OptionSpec, default: Any) -> Any:
        self.names.append(spec.name)
        return self._asker.ask(spec, default)


def remembered_key(class_name: str) -> str:
    """What the answers for a new model of a class are remembered under."""
    return f"new {class_name}"


def given_values(options: TrainOptions) -> dict[str, Any]:
    """What was said about the model's settings, by file, by answer or `--set`, by flag."""
    flags = {name: getattr(options, name) for name in _SHORTHANDS if getattr(options, name) is not None}
    return {**read_options_file(options.options_file), **options.model_values, **flags}


def settle_values(
    class_name: str,
    given: Mapping[str, Any],
    saved: Mapping[str, Any] | None,
    remembered: Mapping[str, Any] | None = None,
    asker: Asker | None = None,
) -> dict[str, Any]:
    """The settings of a model as plain values.

    Args:
        given: win, and are not asked.
        saved: what the model has saved; None: it is new.
        remembered: answers for an earlier new model of the class.
        asker: who is asked: everything of a new model, what is not fixed of a trained one.

    Raises:
        BadOption: an unknown name, a bad value, or another value for what is fixed.
    """
    settings = options_class(class_name)
    given = _checked(class_name, given)
    if saved is None:
        return to_plain(resolve(settings, given, remembered=remembered, asker=asker))
    known = known_values(class_name, saved)
    before = resolve(settings, {}, saved=known)
    if asker is None:
        after = resolve(settings, given, saved=known)
    else:
        kept = {spec.name: getattr(before, spec.name) for spec in specs(settings) if spec.fixed}
        after = resolve(settings, given, saved=kept, remembered=to_plain(before), asker=asker)
    for spec in specs(settings):
        if spec.fixed and getattr(after, spec.name) != getattr(before, spec.name):
            require_kept(spec.name, show_value(spec, getattr(before, spec.name)), given[spec.name])
    return to_plain(after)


def require_kept(name: str, saved: Any, given: Any) -> None:
    """Refuses to change what a model is built on. Raises BadOption."""
    if given is not None and given != saved:
        raise BadOption(
            f"The {name} of this model is {saved} and stays. Received: {given}.",
            f"Leave {name} out, or start a new model with --model-name.",
        )


def _checked(class_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values with their types. Raises BadOption, naming the settings there are."""
    known = {spec.name: spec for spec in specs(options_class(class_name))}
    checked = {}
    for name, value in given.items():
        if name not in known:
            raise BadOption(
                f"A {class_name} model has no setting of that name. Received: {name}.",
                f"Settings: {', '.join(known)}.",
            )
        try:
            read = parse_value if isinstance(value, str) else check_value
            checked[name] = read(known[name], value)
        except BadOption as problem:
            raise BadOption(
                f"{name}: {problem.what}", f"Give it as --set {name}=VALUE, or in the file of --options."
            ) from None
    return checked


def read_options_file(path: Path | None) -> dict[str, Any]:
    """Settings of a model out of a file: one JSON object of names and values, or a model's own options.json (without
    the choice of its preview faces, which other facesets do not have).

    Raises:
        MissingInput, BrokenFile: it cannot be read, or is something else.
    """
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))  # Windows editors like to begin a file with a mark
    except OSError as problem:
        raise MissingInput(
            f"The file {path} of --options cannot be read ({problem.strerror}).", "Check the name."
        ) from None
    except ValueError as problem:
        raise BrokenFile(path, f"this is no JSON ({problem}).", 'Write an object such as {"batch_size": 8}.') from None
    if isinstance(found, dict) and isinstance(found.get("values"), dict) and "schema" in found:
        found = {name: value for name, value in found["values"].items() if name != KEPT_AS}
    if not isinstance(found, dict):
        raise BrokenFile(path, "it must be one JSON object.", 'For example {"batch_size": 8}.')
    return found
