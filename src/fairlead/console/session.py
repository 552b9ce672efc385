"""Who is signed in: sessions in memory, known to the browser by a random name, and how often a login may fail."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead.console.users import Users

__all__ = ["Notice", "Session", "Sessions", "Tries"]

_IDLE_S = 12 * 3600.0
_LONGEST_S = 7 * 24 * 3600.0
_MOST_SESSIONS = 1000
_FREE_TRIES = 5
_LONGEST_WAIT_S = 300.0
_PLACES = 1024
_KEPT_NOTICES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What became of something that was asked for, told on the next page.

    Attributes:
        text: one sentence.
        is_good: it was done.
        hint: the next thing to try, if there is one.
    """

    text: str
    is_good: bool = True
    hint: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class Session:
    """One browser that is signed in.

    Attributes:
        id: what its cookie says.
        user: whose it is.
        seal: of the password that it was begun with.
        token: what each form must bring back.
        began, used: monotonic seconds.
        notices: what the next page tells.
    """

    id: str
    user: str
    seal: str
    token: str
    began: float
    used: float
    notices: deque[Notice] = field(default_factory=lambda: deque(maxlen=_KEPT_NOTICES))

    def admits(self, token: str) -> bool:
        """Whether a form with this token is one of this session's."""
        return hmac.compare_digest(self.token.encode(), token.encode())


class Sessions:
    """All of them; a restart ends them.

    Args:
        users: who may sign in.
        clock: monotonic seconds.
    """

    def __init__(self, users: Users, clock: Callable[[], float] = time.monotonic) -> None:
        self._users = users
        self._clock = clock
        self._sessions: dict[str, Session] = {}

    def begin(self, user: str) -> Session:
        """A new one, of a user whose password was just seen."""
        now = self._clock()
        self._sweep(now)
        session = Session(
            id=secrets.token_urlsafe(32),
            user=user,
            seal=self._users.seal(user) or "",
            token=secrets.token_urlsafe(32),
            began=now,
            used=now,
        )
        self._sessions[session.id] = session
        return session

    def find(self, id_: str, *, is_activity: bool = True) -> Session | None:
        """The session of that name, while it lasts.

        Args:
            id_: what the cookie says.
            is_activity: a person asks, not a page that keeps itself up to date: the session lasts longer for it.
        """
        session = self._sessions.get(id_)
        if session is None:
            return None
        now = self._clock()
        if _is_over(session, now) or self._users.seal(session.user) != session.seal:
            self.end(session)
            return None
        if is_activity:
            session.used = now
        return session

    def end(self, session: Session) -> None:
        """Sign it out."""
        self._sessions.pop(session.id, None)

    def _sweep(self, now: float) -> None:
        """Forget those that are over, and the one unused for longest where there are too many."""
        self._sessions = {id_: one for id_, one in self._sessions.items() if not _is_over(one, now)}
        if len(self._sessions) >= _MOST_SESSIONS:
            self.end(min(self._sessions.values(), key=lambda one: one.used))


def _is_over(session: Session, now: float) -> bool:
    return now - session.used > _IDLE_S or now - session.began > _LONGEST_S


class Tries:
    """How often logins failed, by name; after five each further one has to wait twice as long, up to 5 minutes.

    Names share places, so that strangers who try many names cannot fill the memory; that a name is slow says
    nothing of whether it is a user's.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed = [0] * _PLACES
        self._next_at = [0.0] * _PLACES

    def wait_s(self, name: str) -> float:
        """How long the next try has to wait; 0 when it may be made now."""
        return max(0.0, self._next_at[_place(name)] - self._clock())

    def fail(self, name: str) -> None:
        """Note a wrong password."""
        place = _place(name)
        self._failed[place] += 1
        extra = self._failed[place] - _FREE_TRIES
        if extra >= 0:
            self._next_at[place] = self._clock() + min(2.0 ** min(extra, 20), _LONGEST_WAIT_S)

    def succeed(self, name: str) -> None:
        """Forget what failed before."""
        place = _place(name)
        self._failed[place], self._next_at[place] = 0, 0.0


def _place(name: str) -> int:
    return hash(name) % _PLACES  # salted anew in each process
