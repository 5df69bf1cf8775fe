"""What columns mean: by their names, and by a schema in JSON or TOML."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recserve_trainer.config import DatasetConfig
from recserve_trainer.datasets.tabular.kinds import read_attribute
from recserve_trainer.datasets.tabular.reading import load_tabular
from recserve_trainer.datasets.tabular.schema import Attribute, Schema, find_schema, read_schema
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset
from recserve_trainer.progress import Progress

ROLES = ("user", "item", "rating", "timestamp")


def load(folder: Path, schema: Path | None = None) -> Dataset:
    config = DatasetConfig(name=f"csv:{folder}", data_dir=Path(), schema=schema)
    return load_tabular(config, Progress())


def read(tmp_path: Path, content: object) -> Schema:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(content))
    return read_schema(path)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["userId", "movieId", "rating", "timestamp"], [0, 1, 2, 3]),
        (["Customer ID", "purchased_at", "SKU"], [0, 2, None, 1]),
        (["event-time", "visitorid", "itemid", "stars", "note"], [1, 2, 3, 0]),
        (["who", "what"], [None, None, None, None]),
    ],
)
def test_usual_names_are_known_in_any_spelling(names: list[str], found: list[int | None]) -> None:
    columns = Schema().interactions.columns_for(ROLES, names, "interactions.csv")

    expected = {role: names[at] for role, at in zip(ROLES, found, strict=True) if at is not None}
    assert columns == expected


def test_two_columns_that_could_be_the_user_are_not_guessed_between(tmp_path: Path) -> None:
    names = ["user_id", "account_id", "item", "time"]

    with pytest.raises(DatasetError, match="'user_id' and 'account_id' could both be the user"):
        Schema().interactions.columns_for(ROLES, names, "interactions.csv")

    said = read(tmp_path, {"interactions": {"user": "account_id"}}).interactions
    assert said.columns_for(ROLES, names, "interactions.csv")["user"] == "account_id"


def test_the_id_of_a_table_may_be_called_id_or_as_in_the_interactions() -> None:
    schema = Schema()

    assert schema.items.columns_for(("id", "title"), ["sku", "name"], "items.csv") == {
        "id": "sku",
        "title": "name",
    }
    assert schema.users.columns_for(("id",), ["id", "item"], "users.csv") == {"id": "id"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "the schema is [], must map interactions, items, users, delimiter"),
        ({"films": {}}, "the schema has 'films', must have only interactions, items, users, del"),
        ({"items": {"name": "x"}}, "items has 'name', must have only id, title, columns"),
        ({"users": {"title": "x"}}, "users has 'title', must have only id, columns"),
        ({"items": {"id": 3}}, "items.id is 3, must be a text"),
        ({"interactions": {"timestamp_unit": "h"}}, "timestamp_unit is 'h', must be one of s, ms"),
        ({"items": {"columns": {"p": "price"}}}, "items.columns.p is 'price', must be one of num"),
        ({"items": {"columns": {"p": {"sep": ""}}}}, "items.columns.p has 'sep', must have only k"),
        ({"items": {"columns": ["p"]}}, "items.columns is ['p'], must map names to kinds"),
        (
            {"items": {"columns": {"p": {"kind": "text", "separator": "|"}}}},
            "items.columns.p: only a category has a separator",
        ),
        ({"delimiter": "ab"}, "delimiter is 'ab', must be one character"),
    ],
)
def test_what_a_schema_cannot_say_is_told_with_what_it_can(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, content)

    assert str(caught.value).startswith(f"schema {tmp_path / 'schema.json'}: {message}")


def test_a_schema_that_is_no_json_or_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("{")

    for path in (tmp_path / "schema.json", tmp_path / "absent.json"):
        with pytest.raises(DatasetError, match="schema ") as caught:
            read_schema(path)
        assert "\n" not in str(caught.value)


def test_a_column_that_the_schema_names_and_the_file_lacks_is_told(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user,item,time\nu,a,1\n")
    (tmp_path / "items.csv").write_text("id,name\na,A\n")

    for schema, said in (
        ({"interactions": {"user": "buyer"}}, "interactions.user; it has user, item, time"),
        ({"items": {"columns": {"price": "number"}}}, "items.columns.price; it has id, name|name"),
    ):
        (tmp_path / "schema.json").write_text(json.dumps(schema))
        with pytest.raises(DatasetError) as caught:
            load(tmp_path)
        assert any(each in str(caught.value) for each in said.split("|"))


def test_json_and_toml_say_the_same_and_the_given_schema_comes_first(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(
        '{"delimiter": ";", "items": {"id": "sku", "columns": {"tags": {"kind": "category",'
        ' "separator": "+"}, "cost": {"column": "price"}, "note": "ignore"}}}'
    )
    (tmp_path / "other.toml").write_text(
        'delimiter = ";"\n[items]\nid = "sku"\n[items.columns]\n'
        'tags = {kind = "category", separator = "+"}\ncost = {column = "price"}\nnote = "ignore"\n'
    )

    assert read_schema(tmp_path / "schema.json") == read_schema(tmp_path / "other.toml")
    assert find_schema(tmp_path, None) == tmp_path / "schema.json"
    assert find_schema(tmp_path, tmp_path / "other.toml") == tmp_path / "other.toml"


def test_a_schema_renames_splits_leaves_out_and_the_rest_is_inferred(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("buyer;sku;day\nu;1;2024-01-01\nu;2;2024-01-02\n")
    (tmp_path / "items.csv").write_text("sku;price;tags;note;history\n1;2;a+b;x;y\n2;3;b;x;z\n")
    schema = tmp_path / "elsewhere.json"
    attributes = {
        "cost": {"column": "price", "kind": "category"},
        "tags": {"kind": "category", "separator": "+"},
        "note": "ignore",
        "past": {"column": "history"},
    }
    schema.write_text(
        json.dumps(
            {
                "delimiter": ";",
                "interactions": {"user": "buyer", "timestamp": "day"},
                "items": {"columns": attributes},
            }
        )
    )

    columns = load(tmp_path, schema).items.columns

    found = {name: (each.kind, each.values.to_pylist()) for name, each in columns.items()}
    assert found == {
        "cost": ("category", ["2", "3"]),
        "tags": ("category", [["a", "b"], ["b"]]),
        "past": ("text", ["y", "z"]),
    }


def test_an_attribute_cannot_take_a_name_of_the_artifact(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text("user,item,time\nu,a,1\n")
    (tmp_path / "items.csv").write_text("id,history\na,x\n")

    with pytest.raises(DatasetError, match=r"cannot be called 'history'.*\"column\": \"history\""):
        load(tmp_path)


@pytest.mark.parametrize(
    ("values", "kind", "read_as"),
    [
        (["1", "", "2.5"], "number", [1.0, None, 2.5]),
        (["1", "2", "-3"], "number", [1, 2, -3]),
        (["red", "blue", "red", "blue"], "category", ["red", "blue", "red", "blue"]),
        (["a long", "way to", "go"], "text", ["a long", "way to", "go"]),
        (["x|y", "x", "x| y"], "category, separated by |", [["x", "y"], ["x"], ["x", "y"]]),
        (
            ["x;y;;", "; y ;x", "", "x"],
            "category, separated by ;",
            [["x", "y"], ["y", "x"], None, ["x"]],
        ),
    ],
)
def test_kinds_follow_the_values(values: list[str], kind: str, read_as: list) -> None:
    column, found, good = read_attribute(pa.array(values), Attribute("c"))

    assert found == kind
    assert good.all()
    assert column.values.to_pylist() == read_as


def test_a_column_without_values_is_left_out_and_said() -> None:
    column, said, _ = read_attribute(pa.array(["", " "]), Attribute("c"))

    assert column is None
    assert said == "ignored: no values"


@pytest.mark.parametrize(
    ("values", "kind", "read_as"),
    [
        (pa.array([1.5, None, float("nan")]), "number", [1.5, None, None]),
        (pa.array([True, None, False, True]), "category", ["true", None, "false", "true"]),
        (pa.array([["a"], None, ["b", "a"]]), "category", [["a"], None, ["b", "a"]]),
        (pa.array(np.array([1, 2], np.int8)), "number", [1, 2]),
    ],
)
def test_parquet_types_tell_the_kind(values: pa.Array, kind: str, read_as: list) -> None:
    column, _, good = read_attribute(values, Attribute("c"))

    assert (column.kind, column.values.to_pylist()) == (kind, read_as)
    assert good.all()


def test_a_type_that_is_no_attribute_is_left_out_and_said() -> None:
    column, said, _ = read_attribute(pa.array([b"x"]), Attribute("c"))

    assert column is None
    assert said == "ignored: binary"


def test_a_type_that_the_schema_gives_another_kind_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"column 'c' is list<.*string>, which cannot be a num"):
        read_attribute(pa.array([["x"]]), Attribute("c", "number"))
