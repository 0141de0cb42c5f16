"""The schemas recovered from the bindings are those of the real providers."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.offline import schemas
from infra.offline.bindings import PROVIDERS, BindingError, installed_binding
from infra.offline.recovery import recover
from infra.offline.schemas import KINDS, only, provider_schemas, with_facts

GOLDEN = Path(__file__).with_name("golden")


def golden(provider: str) -> dict[str, Any]:
    """Return the real provider's schemas of the types in use."""
    loaded: dict[str, Any] = json.loads((GOLDEN / f"{provider}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("provider", PROVIDERS)
def test_recovered_schemas_equal_the_real_ones(provider: str, cache: Path) -> None:
    """Every type in use, and the provider's own arguments: each attribute, block, type, flag and limit."""
    recovered, real = provider_schemas(provider, cache=cache), golden(provider)
    assert recovered["version"] == real["version"]
    assert recovered["provider"] == real["provider"]
    for kind in KINDS:
        for name, schema in real[kind].items():
            assert recovered[kind][name] == schema, name


def test_the_bindings_hold_every_resource_of_their_provider(cache: Path) -> None:
    """None is lost on the way: the counts are those of the real providers at these versions."""
    counts = {
        name: tuple(len(provider_schemas(name, cache=cache)[kind]) for kind in KINDS) for name in sorted(PROVIDERS)
    }
    assert counts == {"azuread": (54, 20), "azurerm": (1127, 399), "databricks": (136, 112)}


def test_schemas_are_recovered_once_and_a_broken_cache_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call reads the file; a file that was cut off is replaced, not believed."""
    first = provider_schemas("azuread", cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    assert installed_binding("azuread").version in kept.name

    with monkeypatch.context() as patch:
        patch.setattr(schemas, "typescript", lambda _binding: pytest.fail("recovered a second time"))
        assert provider_schemas("azuread", cache=tmp_path) == first

    kept.write_bytes(kept.read_bytes()[:100])
    assert provider_schemas("azuread", cache=tmp_path) == first
    assert len(kept.read_bytes()) > 100


def test_the_cache_lies_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`XDG_CACHE_HOME` moves it, as for every other program."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert schemas.cache_folder() == tmp_path / "lakehouse-mlops" / "provider-schemas"


SOURCE = """
export class Thing extends cdktf.TerraformResource {
  constructor() { super(scope, id, { terraformResourceType: 'databricks_thing', providerVersion: '1.0' }) }
  // size - computed: false, optional: false, required: true
  READER
  protected synthesizeHclAttributes(): { [name: string]: any } {
    return attrs;
  }
}
export class TestProvider extends cdktf.TerraformProvider {
  constructor() { super(scope, id, { terraformResourceType: 'databricks', providerVersion: '1.0' }) }
}
"""


def test_an_attribute_in_an_unknown_notation_is_an_error_not_a_guess() -> None:
    """Bindings of another generator are refused by the attribute's name."""
    known = recover({"thing": SOURCE.replace("READER", "return this.getNumberAttribute('size');")})
    attribute = known["resources"]["databricks_thing"]["block"]["attributes"]["size"]
    assert attribute == {"type": "number", "required": True}
    with pytest.raises(BindingError, match=r"the type of Thing\.size is written in a way that is not known"):
        recover({"thing": SOURCE.replace("READER", "return this.readSize();")})


def test_unknown_bindings_are_refused_by_name() -> None:
    """A provider that the project does not use has no schemas."""
    with pytest.raises(BindingError, match="no bindings are known for provider 'google': known are azuread, azurerm"):
        installed_binding("google")


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ({"resources": {"azuread_gone": {".": {"version": 1}}}}, "facts.yaml names 'azuread_gone'"),
        (
            {"resources": {"azuread_application": {"gone": {"sensitive": True}}}},
            "azuread_application: there is no 'gone'",
        ),
    ],
)
def test_a_fact_about_something_that_does_not_exist_is_an_error(
    known: dict[str, Any], sentence: str, cache: Path
) -> None:
    """After an update of the bindings, facts that no longer hold are found by name."""
    with pytest.raises(BindingError, match=sentence):
        with_facts(provider_schemas("azuread", cache=cache), known)


def test_a_slice_holds_the_asked_types_and_nothing_else(cache: Path) -> None:
    """A type that the provider does not have is left to Terraform, which names it."""
    cut = only(
        provider_schemas("azuread", cache=cache),
        resources={"azuread_application", "azuread_applicatoin"},
        data_sources={"azuread_group"},
    )
    assert {kind: set(cut[kind]) for kind in KINDS} == {
        "resources": {"azuread_application"},
        "data_sources": {"azuread_group"},
    }
