"""What is wrong with a record, one line a problem: file, record, key, and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from kapsim.strict_yaml import one_line
from kapsim.units import nearest

_Record = TypeVar("_Record", bound=BaseModel)

#: A value that is shown in a message may be as long as a file.
_LONGEST = 600
_MESSAGES = {
    "missing": "is missing",
    "model_type": "is not a mapping",
    "dict_type": "is not a mapping",
    "tuple_type": "is not a list",
    "list_type": "is not a list",
}


def record_name(item: Any, index: int) -> str:
    """Return what a record is called in a message: its id, or its place in the file where it has none."""
    name = item.get("id") if isinstance(item, dict) else None
    return one_line(" ".join(name.split())) if isinstance(name, str) and name.strip() else f"record {index + 1}"


def validate(model: type[_Record], item: Any) -> tuple[_Record | None, list[str]]:
    """Check one record against its type.

    Parameters
    ----------
    model : type of BaseModel
        The type of the record.
    item : object
        The record as read from YAML.

    Returns
    -------
    tuple of (BaseModel or None, list of str)
        The typed record, None where there is a problem, and the problems, each as ``key: what is wrong``.
    """
    try:
        return model.model_validate(item), []
    except ValidationError as error:
        return None, [one_line(line, _LONGEST) for line in _lines(model, error)]


def _lines(model: type[BaseModel], error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False):
        path = _path(item["loc"])
        if item["type"] == "extra_forbidden":
            yield f"{path}: unknown key{_advice(model, item['loc'])}"
        elif item["type"] == "value_error":
            # A rule over several keys reports each of its findings on a line of its own, with the key in front.
            for line in str(item["ctx"]["error"]).splitlines():
                yield f"{path}{'.' if path and not _is_field(model, item['loc']) else ': ' if path else ''}{line}"
        else:
            message = _MESSAGES.get(item["type"], item["msg"])
            yield f"{path}: {message}" if path else f"the record {message}"


def _path(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the model whose fields lie at a place, None where a plain field lies there."""
    here: type[BaseModel] | None = model
    for part in loc:
        if here is None:
            return None
        if isinstance(part, int):
            continue
        field = next((f for name, f in here.model_fields.items() if part in (name, f.alias)), None)
        here = _model_in(field.annotation) if field is not None else None
    return here


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _is_field(model: type[BaseModel], loc: tuple[int | str, ...]) -> bool:
    return _model_at(model, loc) is None


def _advice(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    parent = _model_at(model, loc[:-1])
    if parent is None:
        return ""
    keys = [field.alias or name for name, field in parent.model_fields.items()]
    close = nearest(str(loc[-1]), keys)
    return f"; nearest valid key {close!r}" if close else f"; valid keys are {', '.join(keys)}"
