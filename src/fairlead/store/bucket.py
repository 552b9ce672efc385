"""An object store, such as S3: the few things that a model store needs of one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError

__all__ = ["Bucket", "Found", "is_bucket_url"]

_URL = re.compile(r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._/-]+)?/?")
_QUICK: Any = {"connect_timeout": "2s", "timeout": "5s"}
_BULK: Any = {"connect_timeout": "2s", "timeout": "3600s"}
"""For whole files, which may be large: the timeout is of a request with its body."""
_RETRY: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object as it was read.

    Attributes:
        data: its bytes.
        etag: names this state of it.
    """

    data: bytes
    etag: str


def is_bucket_url(text: str) -> bool:
    """Whether `text` names a bucket, and a folder in it, and nothing else: no credential, no parameters."""
    return _URL.fullmatch(text) is not None and ".." not in text


class Bucket:
    """The objects under a URL. Credentials, region and endpoint come from the environment, as for the cloud's tools.

    Args:
        url: s3://BUCKET/FOLDER, gs:// or az://.

    Raises:
        FairleadError: FAILED_PRECONDITION without the extra, INVALID_ARGUMENT for what is no such URL.
    """

    def __init__(self, url: str) -> None:
        if not is_bucket_url(url):
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"{url.rpartition('@')[2]!r} is no bucket: s3://BUCKET/FOLDER (gs://, az://) is one",
                hint="credentials are in the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION",
            )
        try:
            import obstore  # noqa: PLC0415 - an extra
            from obstore.store import from_url  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{url} needs obstore, which is not installed",
                hint="pip install 'fairlead[object-store]'",
            ) from error
        self.url = url
        self._api: Any = obstore
        plain = {"allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("true", "1")}
        with self._errors("opening"):
            self._quick: Any = from_url(url, client_options=_QUICK | plain, retry_config=_RETRY)
            self._bulk: Any = from_url(url, client_options=_BULK | plain, retry_config=_RETRY)

    def get(self, path: str, *, unless: str = "") -> Found | None:
        """The object, or None when it is not there, or is still as `unless`, an etag, names it."""
        with self._errors(f"reading {path}"):
            try:
                got = self._api.get(self._quick, path, options={"if_none_match": unless} if unless else {})
                return Found(data=bytes(got.bytes()), etag=str(got.meta["e_tag"]))
            except (FileNotFoundError, self._api.exceptions.NotModifiedError) as error:
                self._check_bucket(error)
                return None

    def names(self, folder: str) -> list[str]:
        """The paths of all objects in the folder and its folders, sorted; the whole bucket's for an empty one."""
        with self._errors(f"listing {folder or 'it'}"):
            try:
                pages = self._api.list(self._quick, folder or None)
                return sorted(str(found["path"]) for page in pages for found in page)
            except FileNotFoundError as error:
                self._check_bucket(error)
                return []

    def put_new(self, path: str, data: bytes) -> bool:
        """Write an object that is not there yet; False when it is."""
        with self._errors(f"writing {path}"):
            try:
                self._api.put(self._quick, path, data, mode="create")
            except self._api.exceptions.AlreadyExistsError:
                return False
        return True

    def put_over(self, path: str, data: bytes, etag: str) -> str | None:
        """Write over the object as `etag` names it, or a new one for an empty etag; None when it is another by now.

        Returns:
            The new etag.
        """
        mode: Any = {"e_tag": etag} if etag else "create"
        with self._errors(f"writing {path}"):
            try:
                return str(self._api.put(self._quick, path, data, mode=mode)["e_tag"])
            except (self._api.exceptions.PreconditionError, self._api.exceptions.AlreadyExistsError):
                return None

    def upload(self, source: Path, path: str) -> None:
        """Write a file, in parts where it is large."""
        with self._errors(f"writing {path}"):
            self._api.put(self._bulk, path, source)

    def download(self, path: str, target: Path) -> str:
        """Read an object into a new file, and return its SHA-256 (hex).

        Raises:
            FairleadError: NOT_FOUND when it is not there, else as all of these.
        """
        digest = hashlib.sha256()
        with self._errors(f"reading {path}"), target.open("wb") as writer:
            try:
                chunks = self._api.get(self._bulk, path).stream(min_chunk_size=_CHUNK_BYTES)
            except FileNotFoundError as error:
                raise FairleadError(Code.NOT_FOUND, f"there is no {path} in {self.url}") from error
            for chunk in chunks:
                digest.update(chunk)
                writer.write(chunk)
        return digest.hexdigest()

    def _check_bucket(self, error: Exception) -> None:
        """Raise when not the object is missing, but the bucket."""
        if "NoSuchBucket" in str(error) or "bucket does not exist" in str(error).lower():
            raise FairleadError(
                Code.NOT_FOUND, f"the bucket of {self.url} does not exist", hint="make it, or name another --store"
            ) from error

    def _is_refusal(self, error: Exception) -> bool:
        """Whether it is for want of rights; of a listing the library has no kind of its own for that."""
        kinds = (self._api.exceptions.PermissionDeniedError, self._api.exceptions.UnauthenticatedError)
        return isinstance(error, kinds) or re.search(r"status code: 40[13]\b", str(error).splitlines()[0]) is not None

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """The library's errors as ours. Nothing of a credential is in them."""
        try:
            yield
        except self._api.exceptions.BaseError as error:
            self._check_bucket(error)
            if self._is_refusal(error):
                raise FairleadError(
                    Code.PERMISSION_DENIED,
                    f"{doing} in {self.url} is not allowed to these credentials",
                    hint="AWS_ACCESS_KEY_ID and its like; servers need to list and read, controllers to write too",
                ) from error
            raise FairleadError(
                Code.UNAVAILABLE,
                f"{doing} in {self.url} failed: {str(error).splitlines()[0][:200]}",
                hint="AWS_ENDPOINT_URL and AWS_REGION say where it is",
            ) from error
