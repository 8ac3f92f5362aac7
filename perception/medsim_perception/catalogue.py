"""The recipes there are, by name; a recipe's module is imported when the recipe is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medsim_perception.recipe import Recipe

__all__ = ["HEADLINES", "RECIPES", "recipe"]

RECIPES: dict[str, str] = {
    "chest-lung-water": "medsim_perception.vision.chest_state:recipe",
    "chest-pneumonia": "medsim_perception.vision.pneumonia:recipe",
    "chest-segmentation": "medsim_perception.segmentation.chest:recipe",
    "chest-gan": "medsim_perception.gan.real_generator:recipe",
    "chest-cyclegan": "medsim_perception.gan.scanner_translation:recipe",
    "ehr-multitask": "medsim_perception.ehr.multitask:recipe",
    "ehr-mortality": "medsim_perception.ehr.mortality:recipe",
    "triage-acuity": "medsim_perception.triage.acuity:recipe",
    "ct-reconstruction": "medsim_perception.reconstruction.ct:recipe",
    "mri-reconstruction": "medsim_perception.reconstruction.mri:recipe",
    "dna-splice": "medsim_perception.sequences.splice_recipe:recipe",
    "dna-genotype": "medsim_perception.sequences.genotype:recipe",
    "hiv-resistance": "medsim_perception.sequences.hiv_recipe:recipe",
}
"""Where a recipe's function is, as "module:function"."""

HEADLINES: dict[str, tuple[str, ...]] = {
    "chest-lung-water": (
        "r2_lung_water_ml_per_kg_scanner_a",
        "r2_lung_water_ml_per_kg_scanner_b",
        "coverage_lung_water_ml_per_kg_scanner_a",
    ),
    "chest-segmentation": ("dice_lungs_scanner_a", "dice_consolidation_scanner_a", "dice_consolidation_scanner_b"),
    "chest-gan": ("frechet_error", "frechet_error_of_real", "coverage", "auroc_learned_from_made"),
    "ct-reconstruction": ("phantoms_psnr_gain", "rendered_psnr_gain", "real_head_psnr_gain"),
    "ehr-multitask": ("auroc_mortality", "auroc_shock", "r2_creatinine_ahead", "r2_lung_water_ml_per_kg", "coverage_90"),
    "mri-reconstruction": ("phantoms_4x_psnr_gain", "rendered_4x_psnr_gain", "real_brain_4x_psnr_gain", "real_brain_8x_psnr_gain"),
}
"""Metrics that tables show of a model, where they are not the first ones that its judge names; cards hold all."""


def recipe(name: str) -> Recipe:
    """The recipe of that name, or your own, named as "module:function" (a function without arguments that returns a `Recipe`).

    Raises ValueError where there is none, ImportError where a package that it needs is missing.
    """
    from medsim_perception.recipe import Recipe

    place = RECIPES.get(name, name)
    if ":" not in place:
        raise ValueError(f"no recipe is called {name!r}; there are {', '.join(RECIPES)}, and your own as module:function")
    module_name, _, function_name = place.partition(":")
    try:
        function = getattr(import_module(module_name), function_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it needs is not
        raise ValueError(f"the recipe {name!r} cannot be had: {error}") from error
    except AttributeError as error:
        raise ValueError(f"the recipe {name!r} cannot be had: {error}") from error
    if not callable(function):
        raise ValueError(f"the recipe {name!r} cannot be had: {function_name} is {type(function).__name__}, and must be a function")
    made = function()
    if not isinstance(made, Recipe):
        raise ValueError(f"{place} must return a Recipe, not {type(made).__name__}")
    if name in RECIPES and made.name != name:
        raise ValueError(f"{place} is catalogued as {name!r}, and returns the recipe {made.name!r}")
    return made
