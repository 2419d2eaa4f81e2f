"""The shared options point where serving and training have their defaults, without importing PyTorch for it."""

from readability_triton.cli.options import bundle_option, model_repository_option
from readability_triton.serving.repository import default_repository
from readability_triton.training.bundle import DEFAULT_BUNDLE


def default_of(option):
    def command():
        pass

    return option(command).__click_params__[0].default


def test_the_defaults_are_those_of_serving_and_training():
    assert default_of(model_repository_option) is default_repository
    assert default_of(bundle_option) == DEFAULT_BUNDLE
