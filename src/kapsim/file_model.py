"""Models of the files that people write: typed, frozen, with errors that name line and key.

`validate` turns a parsed document into a pydantic model. Of several problems it reports one,
as one line: an unknown key before anything else, then the first in the file.
"""

from __future__ import annotations

import difflib
import math
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError, core_schema

from kapsim import units
from kapsim.errors import InputError
from kapsim.strict_yaml import Document, KeyPath, dump, one_line

__all__ = [
    "Duration",
    "FileModel",
    "Line",
    "Lines",
    "Quantity",
    "SchemaVersion",
    "Time",
    "Times",
    "nearest_of",
    "problem",
    "quantity",
    "validate",
]

Model = TypeVar("Model", bound=BaseModel)
_MAX_LIST = 8


def problem(text: str, *at: str | int) -> PydanticCustomError:
    """Return an error to raise in a validator; `at` is the key it is about, relative to the model."""
    return PydanticCustomError("kapsim", "{problem}", {"problem": text, "at": at})


def nearest_of(word: str, valid: list[str], noun: str) -> str:
    """Return advice for a word that is not valid: the nearest valid one, or the list where none is near."""
    close = difflib.get_close_matches(word.lower(), valid, n=1, cutoff=0.6)
    if close:
        return f"nearest valid {noun} '{close[0]}'"
    return f"valid {noun}s: {', '.join(valid)}"


class FileModel(BaseModel):
    """Base of the file models: no unknown key, no coercion, no infinity, no change after reading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def to_yaml(self) -> str:
        """Return the model as the text of a file; reading it gives an equal model."""
        return dump(self.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True))


@dataclass(frozen=True)
class Quantity:
    """A number with the unit it was written in, such as ``0.5 mg/kg``."""

    value: float
    unit: str

    def to(self, unit: str) -> float:
        """Return the number in another unit of the same dimension."""
        return units.convert(self.value, self.unit, unit)

    def __str__(self) -> str:
        whole = self.value.is_integer() and abs(self.value) < 1e15
        return f"{int(self.value) if whole else repr(self.value)} {self.unit}"


@dataclass(frozen=True)
class quantity:  # noqa: N801 - reads as a function in annotations: Annotated[Quantity, quantity("h", ...)]
    """Metadata of a field that holds a `Quantity`: which dimensions, within which bounds.

    Parameters
    ----------
    unit : str
        A unit of the dimension wanted; `low` and `high` are in it.
    others : tuple of str
        Units of further dimensions that are allowed as well, without bounds.
    example : str
        What a right value looks like, for messages.
    low, high : float
        Bounds; `low` itself is excluded where `open_low`.
    """

    unit: str
    others: tuple[str, ...] = ()
    example: str = ""
    low: float = 0.0
    high: float = math.inf
    open_low: bool = False

    def check(self, value: object) -> Quantity:
        """Return the value as a quantity, or raise the problem with it."""
        if not isinstance(value, (str, Quantity)):
            found = "nothing" if value is None else one_line(repr(value), 40)
            raise problem(f"a number with its unit is needed, not {found}; write it like '{self.example}'")
        try:
            read = value if isinstance(value, Quantity) else Quantity(*units.parse_quantity(value))
            dimension = units.dimension(read.unit)
        except InputError as error:
            raise problem(f"{error}; for example '{self.example}'") from None
        allowed = [units.dimension(unit) for unit in (self.unit, *self.others)]
        if dimension not in allowed:
            raise problem(
                f"'{read}' is a quantity of {dimension}, not of {' or '.join(allowed)}; write it like '{self.example}'"
            )
        number = read.to(self.unit) if dimension == allowed[0] else read.value
        if not math.isfinite(number):
            raise problem(f"'{read}' is not finite; write it like '{self.example}'")
        if dimension == allowed[0] and not (
            self.low <= number <= self.high and not (self.open_low and number == self.low)
        ):
            least = f"more than {self.low:g}" if self.open_low else f"at least {self.low:g}"
            most = f" and at most {self.high:g}" if math.isfinite(self.high) else ""
            raise problem(f"'{read}' is out of range; it must be {least}{most} {self.unit}")
        return read

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.check, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "examples": [self.example]}


def _exactly_one(value: object) -> int:
    # Literal[1] would let `true` and `1.0` pass.
    if type(value) is not int or value != 1:
        raise problem(f"version {one_line(value, 20)} is not known; this release reads 'schema_version: 1'")
    return 1


def _one_line_text(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise problem("a line of plain text is needed; remove line breaks and control characters")
    return value


def _plain_text(value: str) -> str:
    if not all(c.isprintable() or c == "\n" for c in value):
        raise problem("only plain text and line breaks are allowed; remove tabs and control characters")
    return value


def _as_list(value: object) -> object:
    # `at: 0 h` is short for `at: [0 h]`.
    return [value] if isinstance(value, (str, Quantity)) else value


def _shorten(value: tuple[Quantity, ...]) -> list[str] | str:
    return str(value[0]) if len(value) == 1 else [str(item) for item in value]


_FIVE_YEARS_H = units.convert(5, "a", "h")
SchemaVersion = Annotated[int, PlainValidator(_exactly_one)]
Line = Annotated[
    str, Field(max_length=200), BeforeValidator(lambda v: v if not isinstance(v, str) else _one_line_text(v))
]
Lines = Annotated[
    str, Field(max_length=4000), BeforeValidator(lambda v: v if not isinstance(v, str) else _plain_text(v))
]

Time = Annotated[Quantity, quantity("h", example="24 h", high=_FIVE_YEARS_H)]
Duration = Annotated[Quantity, quantity("h", example="40 min", high=_FIVE_YEARS_H, open_low=True)]
Times = Annotated[
    tuple[Time, ...],
    Field(strict=False, min_length=1),
    BeforeValidator(_as_list),
    PlainSerializer(_shorten, return_type=Any),
]


def validate(model: type[Model], document: Document) -> Model:
    """Return the document as a `model`.

    Raises
    ------
    InputError
        The first problem in the file: ``FILE:LINE: path.to.key: problem; what would be right``.
    """
    if not isinstance(document.data, dict):
        raise document.error(
            (), f"the file must hold keys and values, not {_kind(document.data)}; begin it with 'schema_version: 1'"
        )
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        found = [_explain(model, document, detail) for detail in error.errors(include_url=False)]
    # Unknown keys come first: a misspelt key also makes the right one missing.
    path, text, _ = min(found, key=lambda item: (item[2], document.line(item[0])))
    raise document.error(path, text)


_TEMPLATES: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda c: f"is out of range; it must be more than {c['gt']:g}",
    "greater_than_equal": lambda c: f"is out of range; it must be at least {c['ge']:g}",
    "less_than": lambda c: f"is out of range; it must be less than {c['lt']:g}",
    "less_than_equal": lambda c: f"is out of range; it must be at most {c['le']:g}",
    "string_too_long": lambda c: f"is over {c['max_length']} characters long; shorten it",
    "string_pattern_mismatch": lambda c: (
        "is not a name; use lower-case letters, digits and _, a letter first, at most 64"
    ),
    "too_short": lambda c: "is an empty list; give at least one item or leave the key out",
    "finite_number": lambda c: "is not finite; write a plain number, like 0.5",
}
_WANTED: dict[str, str] = {
    "string_type": "text is needed; put it in quotes",
    "float_type": "a number is needed; write it plainly, like 0.5",
    "int_type": "a whole number is needed; write it plainly, like 2",
    "tuple_type": "a list is needed; write it as [..] or with one '- ' a line",
    "model_type": "keys and values are needed; write one 'key: value' a line",
}


def _kind(value: object) -> str:
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "a switch (true or false)"),
        ((int, float), "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "keys and values"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "nothing")


def _explain(model: type[BaseModel], document: Document, detail: ErrorDetails) -> tuple[KeyPath, str, int]:
    """Return path, message and rank (0 before 1) of a pydantic error."""
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    path: KeyPath = detail["loc"]
    if kind == "kapsim":
        path = (*path, *context["at"])
        # `at: 5 mg` is read as a list of one: the item is not in the file.
        return (_without_missing_items(path, document), str(context["problem"]), 1)
    if kind == "extra_forbidden":
        valid = _keys_of(_model_at(model, path[:-1]))
        return path, f"unknown key; {nearest_of(str(path[-1]), valid, 'key')}", 0
    if kind == "missing":
        return path, f"is missing; add '{path[-1]}: ...'", 1
    path = _without_missing_items(path, document)
    if kind in ("literal_error", "enum"):
        valid = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return path, f"'{one_line(value, 40)}' is not known here; {nearest_of(str(value), valid, 'value')}", 1
    if kind in _WANTED:
        return path, f"found {_kind(value)} where {_WANTED[kind]}", 1
    if kind in _TEMPLATES:
        shown = "" if isinstance(value, (list, tuple, dict)) or kind == "string_too_long" else f"{one_line(value, 40)} "
        return path, f"{shown}{_TEMPLATES[kind](context)}", 1
    return path, f"{detail['msg'][:1].lower()}{detail['msg'][1:]}; see the description of the format", 1


def _without_missing_items(path: KeyPath, document: Document) -> KeyPath:
    while path and isinstance(path[-1], int) and path not in document.lines:
        path = path[:-1]
    return path


def _keys_of(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """Return the model that stands at `path` within `model`."""
    for part in path:
        if isinstance(part, int):
            continue
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == part), None)
        # a name that people choose, in a mapping of models, is no field
        if field is not None:
            model = next(_models_in(field.annotation), model)
    return model


def _models_in(annotation: Any) -> typing.Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models_in(inner)
