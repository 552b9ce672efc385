"""Everything that the console shows and does, put together over one store and one database."""

from __future__ import annotations

from fairlead.app.console.attention import Attention
from fairlead.app.console.drift import LiveDrift
from fairlead.app.console.journal import LiveJournal
from fairlead.app.console.models import LiveModels
from fairlead.app.console.overview import LiveOverview
from fairlead.app.console.plane import RestPlane
from fairlead.app.console.predictions import LivePredictions
from fairlead.app.console.quality import LiveQuality
from fairlead.app.console.records import Records
from fairlead.app.console.releasing import LiveReleases
from fairlead.app.console.rollouts import LiveRollouts
from fairlead.app.console.training import LiveTraining
from fairlead.app.releases import open_store
from fairlead.config import Settings
from fairlead.console.ports import Views
from fairlead.console.traffic import History

__all__ = ["open_views"]


def open_views(settings: Settings, history: History, *, rest: str, key: str = "", door: int | None = None) -> Views:
    """The views of the running system; nothing is opened before it is asked for.

    Args:
        settings: say where everything is.
        history: of the server's counts.
        rest: the URL of the REST port.
        key: the console's own credential there.
        door: leads there past the port; None where none is needed.
    """
    records, store = Records(settings), open_store(settings)
    models = LiveModels(store)
    return Views(
        overview=LiveOverview(models, history, Attention(records)),
        models=models,
        releases=LiveReleases(settings, records),
        rollouts=LiveRollouts(settings, records, store),
        quality=LiveQuality(records, store),
        drift=LiveDrift(records, store),
        predictions=LivePredictions(records, store),
        training=LiveTraining(settings, store),
        journal=LiveJournal(records, store),
        plane=RestPlane(rest, key, door),
    )
