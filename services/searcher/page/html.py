"""The page itself: a template, a style sheet and a script put together with what the studies say."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from importlib import resources

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.colors import to_hex

import services
from services.common.errors import InvalidRequest, violation
from services.searcher.page.compared import MAX_STUDIES
from services.searcher.page.content import comparison_content, study_content
from services.searcher.page.view import StudyView

SHADES = tuple(to_hex(colormaps["viridis"](place)) for place in np.linspace(0.04, 0.96, 10))
"""Colours of a scale, told apart by the colour-blind and in grey."""


def page(views: Sequence[StudyView]) -> str:
    """Make the page of one or several studies; it refers to nothing outside itself.

    Every text is escaped, and the browser is told to run no script but the page's own.

    Raises
    ------
    InvalidRequest
        No study, or more than colours can tell apart.
    """
    if not 1 <= len(views) <= MAX_STUDIES:
        raise InvalidRequest.of(violation("study", f"{len(views)} studies", f"1 to {MAX_STUDIES}"))
    loader = PackageLoader("services.searcher.page", "assets")
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    script = resources.files("services.searcher.page").joinpath("assets/page.js").read_text("utf-8").strip()
    digest = hashlib.sha256(f"\n{script}\n".encode()).digest()
    style = templates.get_template("page.css").render(shades=SHADES, ramp=SHADES)
    names = [view.config.name for view in views]
    return templates.get_template("page.html").render(
        title=names[0] if len(names) == 1 else f"{len(names)} studies side by side",
        studies=[study_content(view, index) for index, view in enumerate(views, start=1)],
        comparison=comparison_content(views),
        style=Markup(style),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        script_hash=f"sha256-{base64.b64encode(digest).decode()}",
        version=services.__version__,
        written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )
