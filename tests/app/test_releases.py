"""Which version a command means by what it is given."""

import pytest

from fairlead.app.releases import find_version
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit


def test_a_version_is_meant_by_its_number_a_label_or_for_being_stable(store: WritableStore) -> None:
    """A number needs no release; the model's name alone is what serves, which `champion` means too."""
    for digit in (1, 2, 3):
        publish_digit(store, "digits", digit)
    assert find_version(store, "digits@3") == ServableId("digits", 3)
    store.promote(ServableId("digits", 1), why="first")
    store.promote(ServableId("digits", 2), why="to look at", label="beta")

    found = [
        find_version(store, name).version for name in ("digits", "digits@stable", "digits@champion", "digits@beta")
    ]

    assert found == [1, 1, 1, 2]
    store.promote(ServableId("digits", 3), why="named so", label="champion")
    assert find_version(store, "digits@champion").version == 3


@pytest.mark.parametrize("reference", ["digits", "digits@beta", "other@champion"])
def test_what_means_no_version_is_not_found(store: WritableStore, reference: str) -> None:
    """Nothing is released here."""
    publish_digit(store, "digits", 1)

    with pytest.raises(FairleadError, match=f"is meant by '{reference}'") as caught:
        find_version(store, reference)

    assert caught.value.code is Code.NOT_FOUND
