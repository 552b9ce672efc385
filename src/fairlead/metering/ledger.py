"""What accounts have used, in memory that all workers of a server share."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from fairlead.errors import Code, FairleadError

__all__ = ["Ledger"]

_SETS = 2048
_WAYS = 8
_WORDS = 4
_SET_WORDS = _WAYS * _WORDS
_BYTES = _SETS * _SET_WORDS * 8
_LATELY_NS = 60 * 10**9
_USED_BITS = 40
_USED = 2**_USED_BITS - 1


class Ledger:
    """A slot for each account that has used something lately: its number, and a word that says how much.

    The word is either when all of it will be paid back, or in which stretch of time it was used and how much it was. Of
    the former the slot also has how often the account was charged, and what it costs each time; of the latter, how much
    of it other hosts were not told yet.

    An account's slot is one of the eight of its set, and a set is changed under a lock of its own. The lock is the
    kernel's and belongs to the process: it ends with it, however that ends. Where more than eight accounts of one set
    used something, the one whose word says least is forgotten; there are 16,384 slots.

    Args:
        descriptor: of what `make` or `open` made. One thread of a process uses it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._words: memoryview[int] = memoryview(mmap.mmap(descriptor, _BYTES)).cast("q")

    @classmethod
    def make(cls) -> Ledger:
        """A ledger in which nobody owes anything; nameless, gone with the last process that has it.

        Raises:
            FairleadError: RESOURCE_EXHAUSTED when there is no memory for it.
        """
        descriptor = os.memfd_create("fairlead-ledger")
        try:
            os.posix_fallocate(descriptor, 0, _BYTES)
        except OSError as error:
            os.close(descriptor)
            raise FairleadError(
                Code.RESOURCE_EXHAUSTED, f"there is no memory for {_BYTES // 1024} KiB of budgets: {error}"
            ) from error
        return cls(descriptor)

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """The ledger in a file, made where there is none: it outlives all processes.

        Raises:
            FairleadError: FAILED_PRECONDITION when it cannot be had, DATA_LOSS when it is no ledger.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _check_size(descriptor, path)
                os.posix_fallocate(descriptor, 0, _BYTES)  # a write never fails for want of a block
                return cls(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise FairleadError(Code.FAILED_PRECONDITION, f"{path} cannot be opened: {error}") from error

    def charge(self, account: int, now: int, *, cost: int, most: int) -> int:
        """Let the account owe `cost` more, unless it owes more than `most`.

        Args:
            account: its number, of 63 bits and not 0.
            now: a nanosecond of the clock that all processes of a machine share.
            cost: what it costs, in nanoseconds until that is paid back.
            most: what it may owe before, in nanoseconds.

        Returns:
            0 when it was charged, else in how many nanoseconds it will be.
        """
        which = account % _SETS
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, 1, which)
        try:
            words, at = self._words, self._slot(which, account)
            paid = max(words[at + 1], now) if words[at] == account else now
            wait = paid - now - most
            if wait > 0:
                return wait
            words[at + 2] = words[at + 2] + 1 if words[at] == account else 1
            words[at + 3] = cost
            words[at + 1] = paid + cost  # before the number: a process that dies between the two makes nobody owe less
            words[at] = account
            return 0
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, which)

    def taken(self, now: int) -> dict[int, int]:
        """How often each account was charged that owes something at `now`, or did within the last minute."""
        since = now - _LATELY_NS
        return {account: times for account, paid, times, cost in self._slots() if cost > 0 and paid > since}

    def add(self, account: int, now: int, times: float) -> None:
        """Let the account owe what it costs so many times, whatever it owes already, if it has a slot."""
        which = account % _SETS
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, 1, which)
        try:
            words, at = self._words, self._slot(which, account)
            if words[at] == account:
                words[at + 1] = max(words[at + 1], now) + int(times * words[at + 3])
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, which)

    def count(self, account: int, window: int, most: int) -> bool:
        """Let the account use one more in a stretch of time, unless it has used `most` in it.

        Args:
            account: its number, of 63 bits and not 0.
            window: which stretch, of 23 bits; what was used in another one is forgotten.
            most: less than 2**40.

        Returns:
            Whether it may.
        """
        which = account % _SETS
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, 1, which)
        try:
            words, at = self._words, self._slot(which, account)
            used = words[at + 1] & _USED if words[at] == account and words[at + 1] >> _USED_BITS == window else 0
            if used >= most:
                return False
            words[at + 2] = words[at + 2] + 1 if used else 1
            words[at + 3] = 0  # of whom the slot was before: a quota costs no time
            words[at + 1] = window << _USED_BITS | used + 1
            words[at] = account
            return True
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, which)

    def untold(self) -> dict[tuple[int, int], int]:
        """What was used here and is told to no other host yet, by account and stretch of time."""
        return {
            (account, word >> _USED_BITS): times
            for account, word, times, cost in self._slots()
            if not cost and times > 0
        }

    def _slots(self) -> Iterator[tuple[int, int, int, int]]:
        """All of them, in a millisecond. Not by NumPy: the parent does without."""
        return struct.iter_unpack(f"={_WORDS}q", self._words.cast("B"))

    def settle(self, account: int, window: int, *, told: int, total: int) -> None:
        """Note that so much was told, and that all hosts together have used `total`."""
        which = account % _SETS
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, 1, which)
        try:
            words, at = self._words, self._slot(which, account)
            if words[at] == account and words[at + 1] >> _USED_BITS == window:
                words[at + 2] -= told
                words[at + 1] = window << _USED_BITS | max(words[at + 1] & _USED, total + words[at + 2])
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, which)

    def write(self) -> None:
        """Return when all of it is on the disk."""
        os.fdatasync(self.descriptor)

    def used(self, account: int, window: int) -> int:
        """How much the account has used in a stretch of time."""
        words, at = self._words, self._slot(account % _SETS, account)
        return words[at + 1] & _USED if words[at] == account and words[at + 1] >> _USED_BITS == window else 0

    def _slot(self, which: int, account: int) -> int:
        """Where the account's slot is, or else the one that is given to it: whose word says least."""
        words, first = self._words, which * _SET_WORDS
        found = first
        for at in range(first, first + _SET_WORDS, _WORDS):
            if words[at] == account:
                return at
            if words[at + 1] < words[found + 1]:
                found = at
        return found


def _check_size(descriptor: int, path: Path) -> None:
    if os.fstat(descriptor).st_size not in (0, _BYTES):
        raise FairleadError(Code.DATA_LOSS, f"{path} has no quotas in it", hint="move it away, and they begin anew")
