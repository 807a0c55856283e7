"""Which models are loaded for which classes, with a zoo that has some of them."""

import pytest

from streamproc.config.model_settings import Profile
from streamproc.core.errors import ModelUnavailable
from streamproc.perception.label_models import load_models
from tests.builders.patches import RED, Brown, Patches


class Zoo:
    def __init__(self, *had: str) -> None:
        self.had, self.asked = had, set[str]()

    def profile(self, name="default"):
        return Profile()

    def first(self, names, size=None):
        self.asked.update(names)
        for name in names:
            if name in self.had:
                return Patches(name, ("person",), (RED,))
        raise ModelUnavailable("none of them")

    def those_had(self, names, size=None):
        flat = [name for entry in names for name in ([entry] if isinstance(entry, str) else entry)]
        self.asked.update(flat)
        return [Patches(name, ("person",), (RED,)) for name in flat if name in self.had]

    def first_classifier(self, names):
        return Brown()

    def present(self, name):
        return name in self.had


def test_for_packages_alone_people_are_looked_for_too():
    zoo = Zoo("yolox_nano", "mobile_object_localizer")
    models = load_models(zoo, ["PACKAGE"])
    assert [each.name for each in models.whole(1920, 1080)] == ["yolox_nano"] and models.extra == ()
    assert not models.objects, "nothing that moves is asked for, so nothing has a second look"


def test_packages_that_lie_are_found_without_a_people_detector():
    models = load_models(Zoo("mobile_object_localizer"), ["PACKAGE"])
    assert models.whole(1920, 1080) == () and len(models.proposals) == 1


def test_people_are_not_found_without_one():
    with pytest.raises(ModelUnavailable):
        load_models(Zoo("mobile_object_localizer"), ["PACKAGE", "PERSON"])
