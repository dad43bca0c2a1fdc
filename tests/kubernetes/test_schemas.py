"""Every object is what the API of the current Kubernetes, and of the two minor versions before, takes."""

import copy
import json

import kubernetes_validate
import pytest

from tests.kubernetes.manifests import Manifests

_NEWEST = int(kubernetes_validate.__version__.split(".")[1])
VERSIONS = [f"1.{minor}" for minor in range(_NEWEST - 2, _NEWEST + 1)]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(applied: dict[str, Manifests], version: str) -> None:
    # Many are the same in all; to look at one takes a tenth of a second.
    for found in {json.dumps(each) for manifests in applied.values() for each in manifests.objects}:
        assert kubernetes_validate.validate(json.loads(found), version, strict=True) == version


@pytest.mark.parametrize("version", VERSIONS)
def test_a_field_that_there_is_not_is_found(small: Manifests, version: str) -> None:
    broken = copy.deepcopy(small.of("StatefulSet")["gateway"])
    broken["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["period"] = 3
    with pytest.raises(kubernetes_validate.ValidationError, match="'period' was unexpected"):
        kubernetes_validate.validate(broken, version, strict=True)
