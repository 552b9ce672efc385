"""How pages are made of templates. What is shown is escaped, and what a template asks for must be there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

__all__ = ["BASE", "THEMES", "render"]

BASE = "/console"
THEMES = ("auto", "light", "dark")
_HERE = Path(__file__).parent
_NAVIGATION = (
    ("Overview", "/"),
    ("Models", "/models"),
    ("Rollouts", "/rollouts"),
    ("Quality", "/quality"),
    ("Drift", "/drift"),
    ("Predictions", "/predictions"),
    ("Training", "/training"),
    ("Journal", "/journal"),
    ("Try", "/try"),
)
_MANY = 1e15
_THOUSAND, _MINUTE_S, _HOUR_S, _DAY_S = 1000, 60.0, 3600.0, 86_400.0


def render(request: Request, template: str, context: Mapping[str, Any], *, status: int = 200) -> HTMLResponse:
    """The page that the template makes, with what every page has: who is signed in, where one is, what to tell."""
    session = getattr(request.state, "session", None)
    notices = []
    if session is not None and not request.state.is_live:
        notices = list(session.notices)
        session.notices.clear()
    theme = request.cookies.get("fairlead_theme", "auto")
    page = _ENVIRONMENT.get_template(template).render(
        base=BASE,
        navigation=_NAVIGATION,
        path=request.url.path,
        here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        session=session,
        notices=notices,
        theme=theme if theme in THEMES else "auto",
        now=datetime.now(UTC),
        **context,
    )
    return HTMLResponse(page, status_code=status)


# -- how values are shown ------------------------------------------------------------------------------------------


def time_of(at_us: int) -> str:
    """Microseconds since 1970 for people, in UTC.

    >>> time_of(1_772_416_800_000_000)
    '2026-03-02 02:00:00'
    """
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M:%S}"


def value_of(value: Any) -> str:
    """Whatever a model says of itself, for people: numbers with as many digits as tell something.

    >>> value_of(0.9712345678), value_of(58000.0), value_of(31), value_of(None), value_of(True), value_of("dev")
    ('0.97123', '58,000', '31', '-', 'yes', 'dev')
    """
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and abs(value) < _MANY else f"{value:.5g}"
    return str(value)


def percent(share: float | None) -> str:
    """A share for people.

    >>> percent(0.93125), percent(None)
    ('93.1 %', '-')
    """
    return "-" if share is None else f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    """A number for people.

    >>> number(1234567.0), number(0.012345), number(None)
    ('1,234,567', '0.0123', '-')
    """
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= _THOUSAND or value == int(value) else f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """A time span for people.

    >>> duration(0.0042), duration(90.0), duration(7200.0), duration(200_000.0)
    ('4.2 ms', '1.5 min', '2 h', '2.3 d')
    """
    if seconds is None:
        return "-"
    if seconds < 1.0:
        return f"{1000 * seconds:.3g} ms"
    for unit, size in (("d", _DAY_S), ("h", _HOUR_S), ("min", _MINUTE_S)):
        if seconds >= size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{seconds:.3g} s"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "time": time_of,
        "percent": percent,
        "value": value_of,
        "number": number,
        "duration": duration,
    }
    return environment


_ENVIRONMENT = _environment()
