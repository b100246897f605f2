"""What every sampler promises. Subclass `SamplerContract`, set `sampler`, run pytest."""

from __future__ import annotations

import torch

from n2n_ablate.components import declared, declares, pairs_of
from n2n_ablate.testing.declared import DeclaredPromises
from n2n_ablate.testing.drawing import at_every_step
from n2n_ablate.testing.gpu import on_gpu
from n2n_ablate.testing.hidden_state import hidden_cause, seeded
from n2n_ablate.testing.promise import alike, picture, require, rng, shape_of


class SamplerContract(DeclaredPromises):
    """The promises of a sampler, as tests.

    A sampler declares with attributes which promises it does not make: `leaks = True` if its
    views may share noise, `preserves_mean = False` if it changes the gray of a flat image.

    With a noise that it is `required_noise` another promise replaces disjoint pixels: the views
    of a gray image with this noise have uncorrelated errors.

    Attributes:
        sampler: The sampler under test.
        smallest: Images with both sides at least this long must work, odd sides included.
        even: A side that all cells of the sampler divide; most promises are tested at this size.
    """

    kind = "sampler"

    @at_every_step
    def test_all_randomness_comes_from_rng(self) -> None:
        """One seed, one split, whatever state the global generators are in."""
        image = picture(1, 3, self.even, self.even)
        cause = hidden_cause(lambda: self.cut(image))
        require(not cause, f"the views change {cause}")

    @at_every_step
    def test_what_all_share_is_left_alone(self) -> None:
        """A sampler changes nothing that all share: no global generator, no setting of torch."""
        image = picture(1, 3, self.even, self.even)
        self.require_harmless(lambda: self.cut(image))

    @at_every_step
    def test_a_draw_remembers_nothing(self) -> None:
        """A split depends on image and `rng` alone: not on draws before it, nor on those after it."""
        image = picture(1, 3, self.even, self.even)
        alone = []
        for seed in range(2):
            with self.as_new(), seeded():
                alone.append(self.cut(image, seed))
        with self.as_new():
            now = self.at(self.ready(image.clone()))
            splits = []
            for seed in range(2):
                with seeded():
                    splits.append(now.draw(image.clone(), rng(seed)))
            for index, which in ((1, "before"), (0, "after")):
                same = alike(tuple(splits[index](image.clone())), alone[index])
                require(same, f"another draw {which} it changes where a split cuts")

    @at_every_step
    def test_fits_are_prepared_apart(self) -> None:
        """Preparing for another image changes nothing: all fits are prepared before the first step."""
        if not declares(self.sampler, "prepare"):
            return
        image, other = (picture(1, 3, self.even, self.even, seed=seed) for seed in range(2))
        with self.as_new(), seeded():
            alone = self.cut(image)
        with self.as_new(), seeded():
            ready = self.ready(image.clone())
            with seeded():
                self.ready(other)
            views = tuple(self.at(ready).draw(image.clone(), rng())(image.clone()))
            require(
                alike(views, alone), "prepared for one image, it cuts as for one prepared later"
            )

    @at_every_step
    def test_input_is_left_alone(self) -> None:
        """A sampler never writes into an image it was given."""
        image, denoised = picture(1, 3, self.even, self.even), picture(1, 3, self.even, self.even)
        before = image.clone()
        split = self.draw(image)
        require(alike(image, before), "the noisy image changed while the split was drawn")
        split(denoised)
        require(alike(denoised, before), "the image changed while it was cut")

    @at_every_step
    def test_gradients_pass_through_every_view(self) -> None:
        """The consistency loss trains through the cut: each view hands gradients to the image."""
        if declared(self.sampler, "needs_shots", False):
            return  # a view is another shot, which no network made
        image = picture(1, 3, self.even, self.even).requires_grad_()
        views = [*enumerate(self.draw(image.detach().clone())(image * 1))]
        if declared(self.sampler, "replaces_input", False):
            del views[pairs_of(self.sampler)[0][0]]
        for index, view in views:
            require(view.requires_grad, f"view {index} is cut off from the image")
            (gradient,) = torch.autograd.grad(view.sum(), image, retain_graph=True)
            require(gradient.isfinite().all(), f"the gradient of view {index} is not finite")
            require(gradient.any(), f"the gradient of view {index} is 0 everywhere")

    @at_every_step
    def test_a_split_can_be_applied_again(self) -> None:
        """A split remembers where to cut, but not what it has cut: same image, same views."""
        image = picture(1, 3, self.even, self.even)
        split = self.draw(image.clone())
        expected = tuple(view.clone() for view in split(image.clone()))
        other = tuple(split(picture(1, 3, self.even, self.even, seed=1)))
        require(not alike(other, expected), "another image was cut into the views of the first")
        problem = "the same split cut the same image in another way"
        require(alike(tuple(split(image.clone())), expected), problem)

    @at_every_step
    def test_a_stack_is_cut_image_by_image(self) -> None:
        """Cutting a stack of images is cutting each of them with the same split."""
        image = picture(1, 3, self.even, self.even)
        stack = torch.cat([image, picture(1, 3, self.even, self.even, seed=1)])
        split = self.draw(image.clone())
        for together, alone in zip(split(stack.clone()), split(stack[1:].clone()), strict=True):
            require(len(together) == 2, f"2 images were cut into views of {shape_of(together)}")
            same = torch.allclose(together[1:], alone, equal_nan=True)
            require(same, "the second image of a stack is cut otherwise than alone")

    @at_every_step
    def test_it_cuts_on_a_gpu(self) -> None:
        """Images on a GPU are cut there, although the random numbers come from the CPU."""

        def work(device: torch.device) -> None:
            image = torch.full((1, 3, self.even, self.even), 0.5, device=device)
            for index, view in enumerate(self.draw(image)(image)):
                problem = f"view {index} of an image on a GPU is on {view.device}"
                require(view.device.type == device.type, problem)

        on_gpu(work)
