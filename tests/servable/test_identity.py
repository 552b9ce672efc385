"""Names are safe as directory names, and a version has one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId, check_label, check_model_name, parse_version


@pytest.mark.parametrize("name", ["m", "M", "7", "digits", "a.b_c-d", "half_plus_two", "a" * 64, "0.1", "a.."])
def test_good_names(name: str) -> None:
    """Letters, digits, dot, underscore and hyphen, up to 64 of them, are models and labels."""
    assert check_model_name(name) == name
    assert check_label(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "-m",
        "_m",
        ".hidden",
        "a/b",
        "a\\b",
        "a b",
        "a\n",
        "\na",
        "a\0",
        "m@1",
        "é",
        "m٣",
        "\uff41",
        "a" * 65,
    ],
)
def test_bad_names(name: str) -> None:
    """Whatever could lead out of the store, hide a file or look like an option is refused, with the rule as hint."""
    with pytest.raises(FairleadError, match="is not a model name") as caught:
        check_model_name(name)
    with pytest.raises(FairleadError, match="is not a label"):
        check_label(name)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.hint == "use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"


def test_a_long_name_is_not_repeated_whole() -> None:
    """A megabyte sent as a name does not become a megabyte of log."""
    with pytest.raises(FairleadError) as caught:
        check_model_name("a" * 1_000_000)

    assert len(caught.value.message) < 120


@pytest.mark.parametrize(("text", "version"), [("1", 1), ("10", 10), ("9223372036854775807", 9223372036854775807)])
def test_versions(text: str, version: int) -> None:
    """Decimal digits from 1 to 2^63 - 1."""
    assert parse_version(text) == version


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "00",
        "01",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "0x1",
        "1_0",
        " 1",
        "1 ",
        "1\n",
        "٣",
        "\uff11",
        "²",
        "latest",
        "9223372036854775808",
        "9999999999999999999",
        "1" * 10_000,
    ],
)
def test_what_is_no_version(text: str) -> None:
    """Zero, leading zeros, signs, other scripts' digits and numbers from 2^63 name no version."""
    assert parse_version(text) is None


@given(st.text(max_size=25) | st.integers(-(2**70), 2**70).map(str))
def test_a_version_has_one_spelling(text: str) -> None:
    """What parses is spelled as `str` spells it, so no two directories are one version."""
    version = parse_version(text)

    assert version is None or (str(version) == text and 1 <= version < 2**63)


def test_an_id_reads_as_model_at_version() -> None:
    """Ids print one way and order by model, then by number."""
    assert str(ServableId("digits", 3)) == "digits@3"
    assert sorted([ServableId("b", 1), ServableId("a", 10), ServableId("a", 9)]) == [
        ServableId("a", 9),
        ServableId("a", 10),
        ServableId("b", 1),
    ]
