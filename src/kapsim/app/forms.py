"""Values that anybody may have sent, as what a page's form holds."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kapsim.errors import InputError
from kapsim.strict_yaml import one_line

Form = TypeVar("Form", bound=BaseModel)


def checked_form(form: type[Form], values: dict[str, Any], what: str) -> Form:
    """Return a form from values.

    Parameters
    ----------
    form : type
        Its model, which knows the bounds of every value.
    values : dict
    what : str
        Name of the whole, for a problem that belongs to no single value.

    Raises
    ------
    InputError
        With the first problem, in one line.
    """
    try:
        return form.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = str(first["loc"][0]) if first["loc"] else what
        text = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{one_line(where, 40)}: {one_line(text, 200)}") from None
