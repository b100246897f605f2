"""`n2n-ablate diagnose`: what samplers do to noise and scene, measured without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from n2n_ablate.cli import diagnose_output, grouping, options
from n2n_ablate.cli.screen import say, show_json
from n2n_ablate.errors import AblateError, StudyError, nearest

if TYPE_CHECKING:
    from n2n_ablate.cli.diagnose_output import Diagnoses
    from n2n_ablate.components import Noise
    from n2n_ablate.components.spec import ComponentSpec
    from n2n_ablate.diagnostics import Diagnosis, Probe
    from n2n_ablate.registry import Registry
    from n2n_ablate.study import Plan, Trial

_CROP = 96
_MEASURED_CROP = 256  # the centre of a shot says enough of its noise
_IMAGES = "Folder, file, builtin[:NAME] (repeatable)."
_SET = "sampler.P=V or noise.P=V (repeatable)."


@dataclass(frozen=True)
class Options:
    """What is measured, on what."""

    study: Annotated[str, options.option("Measure the trials of this study.", "STUDY")] = ""
    profile: Annotated[str, options.option("With --study: its images and crop.", "NAME")] = ""
    noise: Annotated[str, options.option("Noise model, e.g. 'poisson(lam=10)'.", "NOISE")] = ""
    images: Annotated[options.Many, options.option(_IMAGES, "SOURCE")] = None
    crop: Annotated[
        int | None, options.option(f"Centre crop, else {_CROP}; 0: whole images.", "PIXELS")
    ] = None
    settings: Annotated[options.Many, options.option(_SET, "KEY=VALUE", "--set")] = None
    pairs: options.Pairs = None
    figures: Annotated[
        Path | None, options.option("With --pairs: folder for figures of noise.", "DIR")
    ] = None
    plugins_dir: options.PluginsDir = None

    def check(self, samplers: options.Many) -> None:
        """Check that what was given goes together."""
        msg = ""
        if self.figures and (self.study or not self.pairs):
            msg = "--figures shows measured noise; use it with --pairs. Figures of a study: report --figures"
        elif self.study and (samplers or self.noise):
            what = f"sampler '{samplers[0]}'" if samplers else f"--noise {self.noise}"
            msg = f"--study brings its own samplers and noise, got {what} too. Use --set to change them."
        elif (
            self.pairs
            and not self.study
            and (self.noise or self.images or self.settings or self.profile)
        ):
            msg = "measured noise brings its own images; leave --noise, --images, --set and --profile out"
        elif self.profile and not self.study:
            msg = "--profile needs --study: it names a budget of a study"
        if msg:
            raise StudyError(msg)
        from n2n_ablate.study.limits import check_numbers  # late: `--help` does not need it

        check_numbers(crop=self.crop)


@grouping.grouped
def run(
    asked: Options,
    samplers: Annotated[
        options.Many,
        typer.Argument(help="Names or 'name(parameter=value)'; by default all.", metavar="SAMPLER"),
    ] = None,
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
    asked.check(samplers)
    import torch

    torch.set_num_threads(1)  # small tensors: more threads cost more than they give
    if asked.pairs and not asked.study:
        _of_pairs(asked, samplers, as_json=as_json)
        return
    diagnoses = _of_study(asked) if asked.study else _of_samplers(asked, samplers)
    if as_json:
        show_json(diagnose_output.to_json(diagnoses))
        return
    for condition, rows in diagnoses.items():
        diagnose_output.show(condition, rows)


def _of_study(asked: Options) -> Diagnoses:
    from n2n_ablate.analysis.diagnoses import Diagnoses
    from n2n_ablate.runner.session import Request, open_session

    session = open_session(
        Request(
            study=asked.study,
            profile=asked.profile,
            settings=asked.settings or [],
            images=asked.images or [],
            crop=asked.crop,
            pairs=asked.pairs or [],
            device="cpu",
            precision="fp32",
            plugins_dir=asked.plugins_dir,
        )
    )
    plan = session.plan
    if plan.searched:
        say(f"{plan.searched} more trials would be chosen by the search; not measured.")
    measured = Diagnoses(session.registry)
    by_trial = {
        _label(trial, plan): measured.of(trial.recipe, session.paired_data.samples)
        for trial in plan.fixed
    }
    labels = [condition.label for condition in plan.conditions]
    return {label: {name: each[label] for name, each in by_trial.items()} for label in labels}


def _label(trial: Trial, plan: Plan) -> str:
    """Return a trial's name as tables have it: without the name of the only factor."""
    keys = [factor.key for factor in plan.study.factors]
    if trial.name != plan.baseline.name:
        return trial.name.removeprefix(f"{keys[0]}=") if len(keys) == 1 else trial.name
    values = [
        f"{value}" if len(keys) == 1 else f"{key}={value}" for key, value in trial.values.items()
    ]
    return f"{', '.join(values)} (baseline)" if values else trial.name


def _of_pairs(asked: Options, samplers: options.Many, *, as_json: bool) -> None:
    """Print of every source what its noise is like, and how samplers cope with it."""
    from n2n_ablate.diagnostics.measured_noise import noise_figures
    from n2n_ablate.registry import Registry

    registry = Registry(plugins_dir=asked.plugins_dir)
    specs = _specs(samplers, registry)
    sources = []
    for source in asked.pairs or ():
        title, probes = _scenes(source, _MEASURED_CROP if asked.crop is None else asked.crop)
        noise = {probe.name: noise_figures(probe.clean, probe.noisy) for probe in probes}
        rows = _measured(registry, specs, None, probes, strict=bool(samplers))
        if not as_json:
            diagnose_output.show_noise(title, noise)
            diagnose_output.show("Samplers", rows)
        sources.append((title, noise, rows))
    if asked.figures:
        diagnose_output.draw([(noise, rows) for _, noise, rows in sources], asked.figures)
    if as_json:
        show_json(
            [
                {**diagnose_output.to_json({title: rows})[0], "noise": diagnose_output.plain(noise)}
                for title, noise, rows in sources
            ]
        )


def _scenes(source: str, crop: int) -> tuple[str, list[Probe]]:
    from n2n_ablate.diagnostics import Probe
    from n2n_ablate.engine.measured import read_pairs
    from n2n_ablate.study import MeasuredPairs
    from n2n_ablate.study.read import pairs_label

    measured = read_pairs(MeasuredPairs(source), crop)
    for line in measured.notes:
        say(f"{source}: {line}")
    probes = [Probe(each.image.name, each.image.pixels, each.shots) for each in measured.scenes]
    shots = sum(len(scene.shots) for scene in measured.scenes)
    return f"{pairs_label(source)}: measured noise, {len(probes)} scenes, {shots} shots", probes


def _of_samplers(asked: Options, samplers: options.Many) -> Diagnoses:
    from n2n_ablate.components.recipe import resolved
    from n2n_ablate.diagnostics import Probe
    from n2n_ablate.images import collect
    from n2n_ablate.registry import Registry
    from n2n_ablate.study.settings import read_part

    registry = Registry(plugins_dir=asked.plugins_dir)
    specs, model = _specs(samplers, registry), read_part(asked.noise or "gaussian")
    for text in asked.settings or ():
        specs, model = _with_setting(registry, specs, model, text)
    model = resolved(registry, "noise", model)
    size = _CROP if asked.crop is None else asked.crop
    pictures = [image.cropped(size) for image in collect(asked.images or ["builtin"])]
    probes = [Probe(image.name, image.pixels) for image in pictures]
    made: Noise = registry.build("noise", model.name, model.parameters)
    names = f"{len(probes)} images" if len(probes) > 1 else probes[0].name
    return {f"{model}, {names}": _measured(registry, specs, made, probes, strict=bool(samplers))}


def _specs(samplers: options.Many, registry: Registry) -> list[ComponentSpec]:
    from n2n_ablate.study.settings import read_part

    return [read_part(text) for text in samplers or registry.names("sampler")]


def _with_setting(
    registry: Registry, specs: list[ComponentSpec], model: ComponentSpec, text: str
) -> tuple[list[ComponentSpec], ComponentSpec]:
    from n2n_ablate.study.settings import setting

    key, value = setting(text)
    kind, _, name = key.partition(".")
    if not name or kind not in ("sampler", "noise"):
        msg = f"--set '{text}': only sampler.PARAMETER and noise.PARAMETER count here"
        raise StudyError(msg)
    if kind == "noise":
        return specs, model.replace(name, value)
    known = [
        {each.name for each in registry.get("sampler", spec.name).parameters} for spec in specs
    ]
    if not any(name in names for names in known):
        hint = nearest(name, set().union(*known))
        msg = f"--set '{text}': no sampler here has a parameter '{name}'. {hint}"
        raise StudyError(msg)
    pairs = zip(specs, known, strict=True)
    return [spec.replace(name, value) if name in names else spec for spec, names in pairs], model


def _measured(
    registry: Registry,
    specs: Sequence[ComponentSpec],
    noise: Noise | None,
    probes: Sequence[Probe],
    *,
    strict: bool,
) -> dict[str, Diagnosis]:
    """Measure samplers; one that does not suit the noise is left out, or `strict` an error."""
    from n2n_ablate.components.recipe import resolved
    from n2n_ablate.diagnostics.measure import diagnose
    from n2n_ablate.registry.entry import component_context

    rows = {}
    for given in specs:
        try:
            spec = resolved(registry, "sampler", given)
            sampler = registry.build("sampler", spec.name, spec.parameters)
            entry = registry.get("sampler", spec.name)
            with component_context(entry, "cannot be measured", "draw"):
                rows[str(given)] = diagnose(sampler, noise, probes)
        except AblateError as error:
            if strict:
                raise
            say(f"left out: {error}")
    return rows
