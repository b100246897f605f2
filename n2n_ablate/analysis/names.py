"""How trials are called in tables, and which trial a user means by such a name."""

from __future__ import annotations

from collections.abc import Iterable

from n2n_ablate.errors import StoreError, nearest
from n2n_ablate.study import BASELINE, Plan


def only_factor(plan: Plan) -> str:
    """Return the key of a study's only factor, empty if it has several: tables leave it out."""
    keys = [factor.key for factor in plan.study.factors]
    return keys[0] if len(keys) == 1 else ""


def label(name: str, role: str, plan: Plan) -> str:
    """Return what tables print for a trial."""
    key = only_factor(plan)
    if role == BASELINE:
        return str(plan.baseline.values.get(key, BASELINE)) if key else BASELINE
    own = name.removeprefix(f"{key}=") if key else name
    # Spaces instead of brackets let a long name break between words.
    return own.replace("(", " ").replace(")", "")


def meant(given: str, plan: Plan, names: Iterable[str]) -> str:
    """Return the name of the trial that a user means.

    A trial is found by its name, by what tables print for it, by the end of its name after `=`, by
    the first words of either, and whatever the case of the letters, as long as no other trial could
    be meant. Part of a word is no beginning: 0.1 does not mean 0.15.

    Raises:
        StoreError: There is no such trial, or there are several.
    """
    known = list(names)
    if given in known:
        return given
    wanted = _folded(given)
    forms = {
        name: {name, label(name, BASELINE if name == BASELINE else "", plan)} for name in known
    }
    for found in (
        [name for name, own in forms.items() if wanted in map(_folded, own)],
        [name for name in known if _folded(name).endswith(f"={wanted}")],
        [name for name, own in forms.items() if any(_begins(form, wanted) for form in own)],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            msg = f"'{given}' may be any of these trials: {', '.join(found)}. Give the whole name."
            raise StoreError(msg)
    shown = {BASELINE} & {*known} | {label(name, "", plan) for name in known if name != BASELINE}
    msg = f"study '{plan.study.name}' has no finished trial '{given}'. {nearest(given, shown)}"
    raise StoreError(msg)


def _begins(form: str, wanted: str) -> bool:
    return _folded(form).startswith((f"{wanted} ", f"{wanted}, "))


def _folded(text: str) -> str:
    return " ".join(text.casefold().replace("(", " ").replace(")", " ").split())
