"""`n2n-ablate diagnose`: what samplers do to noise and scene, measured without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import options, stdout
from n2n_ablate.cli.screen import messages, results
from n2n_ablate.errors import AblateError, StudyError, nearest

if TYPE_CHECKING:
    from n2n_ablate.components import Noise
    from n2n_ablate.components.spec import ComponentSpec
    from n2n_ablate.diagnostics import Diagnosis, Probe
    from n2n_ablate.registry import Registry
    from n2n_ablate.study import Plan, Trial

    Diagnoses = Mapping[str, Mapping[str, Diagnosis]]  # by condition, then by name

_CROP = 96
_MEASURED_CROP = 256  # the centre of a shot says enough of its noise


def run(
    samplers: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names, or 'name(parameter=value)' in quotes; all samplers if none is given.",
            metavar="SAMPLER",
        ),
    ] = None,
    study: Annotated[
        str, typer.Option(help="Measure the trials of this study on its images and noise.")
    ] = "",
    profile: Annotated[str, typer.Option(help="With --study: whose images and crop to use.")] = "",
    noise: Annotated[
        str, typer.Option(help="A noise model, e.g. gaussian or 'poisson(lam=10)'.")
    ] = "",
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--images",
            help="Folder, file, builtin (the default) or builtin:NAME. Repeatable.",
        ),
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(help=f"Side of the centre crop in pixels, else {_CROP}; 0 for whole images."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="sampler.P=VALUE: of every sampler with a parameter P; noise.P=VALUE: of the noise. "
            "Repeatable.",
        ),
    ] = None,
    pairs: options.Pairs = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --pairs: write figures of the noise here."),
    ] = None,
    plugins_dir: options.PluginsDir = None,
    *,
    as_json: options.Json = False,
) -> None:
    """Measure leak, bias, view noise and gap of samplers.

    Nothing is trained.

    Examples:
        n2n-ablate diagnose

        n2n-ablate diagnose 'three-by-three(center=0.2)' --noise poisson

        n2n-ablate diagnose --study center-weight

        n2n-ablate diagnose --pairs shots/ --figures noise/
    """
    if figures and (study or not pairs):
        msg = "--figures shows measured noise; use it with --pairs. Figures of a study: report --figures"
        raise StudyError(msg)
    import torch

    torch.set_num_threads(1)  # small tensors: more threads cost more than they give
    if study:
        found = _of_study(
            study, profile, samplers, noise, images, crop, settings, pairs, plugins_dir
        )
    elif pairs:
        if noise or images or settings or profile:
            msg = "measured noise brings its own images; leave --noise, --images, --set and --profile out"
            raise StudyError(msg)
        _of_pairs(samplers, pairs, crop, plugins_dir, figures, as_json=as_json)
        return
    elif profile:
        msg = "--profile needs --study: it names a budget of a study"
        raise StudyError(msg)
    else:
        found = _of_samplers(samplers, noise, images, crop, settings, plugins_dir)
    if as_json:
        stdout.write_json(_to_json(found))
        return
    for condition, own in found.items():
        _print(condition, own)


def _of_study(
    study: str,
    profile: str,
    samplers: list[str] | None,
    noise: str,
    images: list[str] | None,
    crop: int | None,
    settings: list[str] | None,
    pairs: list[str] | None,
    plugins_dir: Path | None,
) -> Diagnoses:
    if samplers or noise:
        what = f"sampler '{samplers[0]}'" if samplers else f"--noise {noise}"
        msg = (
            f"--study brings its own samplers and noise, got {what} too. Use --set to change them."
        )
        raise StudyError(msg)
    from n2n_ablate.analysis.diagnoses import Diagnoses
    from n2n_ablate.runner.session import Request, open_session

    session = open_session(
        Request(
            study=study,
            profile=profile,
            settings=settings or [],
            images=images or [],
            crop=crop,
            pairs=pairs or [],
            device="cpu",
            precision="fp32",
            plugins_dir=plugins_dir,
        )
    )
    if session.plan.searched:
        told = f"{session.plan.searched} more trials would be chosen by the search; not measured."
        messages().print(told, markup=False, highlight=False)
    measured = Diagnoses(session.registry)
    by_trial = {
        _label(trial, session.plan): measured.of(trial.recipe, session.paired_data.samples)
        for trial in session.plan.fixed
    }
    labels = [condition.label for condition in session.plan.conditions]
    return {label: {name: own[label] for name, own in by_trial.items()} for label in labels}


def _of_pairs(
    samplers: list[str] | None,
    pairs: Sequence[str],
    crop: int | None,
    plugins_dir: Path | None,
    figures: Path | None,
    *,
    as_json: bool,
) -> None:
    from n2n_ablate.cli import diagnose_pairs
    from n2n_ablate.registry import Registry
    from n2n_ablate.study.settings import read_part

    registry = Registry(plugins_dir=plugins_dir)
    parts = [read_part(text) for text in samplers or registry.names("sampler")]
    found = []
    for title, probes in diagnose_pairs.scenes(pairs, _MEASURED_CROP if crop is None else crop):
        noise = diagnose_pairs.noise_of(probes)
        if not as_json:
            diagnose_pairs.print_noise(title, noise)
        rows = diagnose_pairs.diagnoses(parts, registry, probes, strict=bool(samplers))
        if not as_json:
            _print("Samplers", rows)
        found.append((title, noise, rows))
    if figures:
        diagnose_pairs.draw([(noise, rows) for _, noise, rows in found], figures)
    if as_json:
        stdout.write_json(
            [
                {**_to_json({title: rows})[0], "noise": diagnose_pairs.plain(noise)}
                for title, noise, rows in found
            ]
        )


def _label(trial: Trial, plan: Plan) -> str:
    """Return a trial's name as tables have it: without the name of the only factor."""
    keys = [factor.key for factor in plan.study.factors]
    if trial.name != plan.baseline.name:
        return trial.name.removeprefix(f"{keys[0]}=") if len(keys) == 1 else trial.name
    values = [
        f"{value}" if len(keys) == 1 else f"{key}={value}" for key, value in trial.values.items()
    ]
    return f"{', '.join(values)} (baseline)" if values else trial.name


def _of_samplers(
    samplers: list[str] | None,
    noise: str,
    images: list[str] | None,
    crop: int | None,
    settings: list[str] | None,
    plugins_dir: Path | None,
) -> Diagnoses:
    from n2n_ablate.components.recipe import resolved
    from n2n_ablate.components.spec import ComponentSpec
    from n2n_ablate.diagnostics import Probe
    from n2n_ablate.images import collect
    from n2n_ablate.registry import Registry
    from n2n_ablate.study.settings import read_part

    if crop is not None and crop < 0:
        msg = f"--crop must not be negative, got {crop}"
        raise StudyError(msg)
    registry = Registry(plugins_dir=plugins_dir)
    parts = [read_part(text) for text in samplers or registry.names("sampler")]
    model = read_part(noise or "gaussian")
    parts, model = _with_settings(registry, parts, model, settings or [])
    model = resolved(registry, "noise", model)
    size = _CROP if crop is None else crop
    pictures = [image.cropped(size) for image in collect(images or ["builtin"])]
    probes = [Probe(image.name, image.pixels) for image in pictures]
    made: Noise = registry.build("noise", model.name, model.parameters)
    found = {}
    for part in parts:
        try:
            resolved(registry, "sampler", part)
            found[str(part)] = _measured(registry, part, made, probes)
        except AblateError as error:
            if samplers:
                raise
            # Asked for all of them: one that this noise does not suit leaves the others their line.
            messages().print(f"left out: {error}", markup=False, highlight=False)
    names = f"{len(probes)} images" if len(probes) > 1 else probes[0].name
    return {f"{ComponentSpec(model.name, model.parameters)}, {names}": found}


def _with_settings(
    registry: Registry,
    parts: Sequence[ComponentSpec],
    model: ComponentSpec,
    settings: Sequence[str],
) -> tuple[list[ComponentSpec], ComponentSpec]:
    from n2n_ablate.components.spec import ComponentSpec
    from n2n_ablate.study.settings import setting

    kept = list(parts)
    for text in settings:
        key, value = setting(text)
        kind, _, name = key.partition(".")
        if not name or kind not in ("sampler", "noise"):
            msg = f"--set '{text}': only sampler.PARAMETER and noise.PARAMETER count here"
            raise StudyError(msg)
        if kind == "noise":
            model = ComponentSpec(model.name, {**model.parameters, name: value})
            continue
        known = {
            part.name: {item.name for item in registry.get("sampler", part.name).parameters}
            for part in kept
        }
        if not any(name in own for own in known.values()):
            every = set().union(*known.values())
            msg = (
                f"--set '{text}': no sampler here has a parameter '{name}'. {nearest(name, every)}"
            )
            raise StudyError(msg)
        kept = [
            ComponentSpec(part.name, {**part.parameters, name: value})
            if name in known[part.name]
            else part
            for part in kept
        ]
    return kept, model


def _measured(
    registry: Registry, part: ComponentSpec, noise: Noise, probes: Sequence[Probe]
) -> Diagnosis:
    from n2n_ablate.diagnostics.measure import diagnose
    from n2n_ablate.registry.entry import component_context

    sampler = registry.build("sampler", part.name, part.parameters)
    with component_context(registry.get("sampler", part.name), "cannot be measured", "draw"):
        return diagnose(sampler, noise, probes)


def _print(condition: str, found: Mapping[str, Diagnosis]) -> None:
    from n2n_ablate.report.document import Document, Heading, Lines
    from n2n_ablate.report.render.console import print_document
    from n2n_ablate.report.samplers import diagnostics_table
    from n2n_ablate.report.text.diagnostics import warning_lines

    table, lines = diagnostics_table(found), Lines(warning_lines(found))
    print_document(results(), Document(condition, "", [Heading(condition), table, lines]))


def _to_json(found: Diagnoses) -> list[dict[str, object]]:
    from n2n_ablate.diagnostics.concerns import to_json

    return [
        {"condition": condition, "samplers": {name: to_json(own) for name, own in each.items()}}
        for condition, each in found.items()
    ]
