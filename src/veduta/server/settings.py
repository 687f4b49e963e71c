"""The server's settings, each a variable of the environment that begins with ``VEDUTA_SERVER_``.

They are read once, when the server starts, and handed on; nothing else looks at the environment. The table for people
is in ``docs/serving.md``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from veduta.errors import UsageError
from veduta.images.fetch_limits import FetchLimits
from veduta.images.limits import Limits
from veduta.models.threads import available_threads
from veduta.server.rate import Rate

PREFIX = "VEDUTA_SERVER_"

#: Values of one variable, separated by commas.
Listed = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """What the server does, and what one request may cost."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="the address to listen on; 0.0.0.0 for all")
    port: int = Field(8000, ge=0, le=65535, description="the port; 0 takes a free one")
    workers: int = Field(1, ge=1, le=64, description="processes, each with models of its own")
    queue: int = Field(32, ge=1, le=4096, description="photos in the house; more are answered with 503")
    batch: int = Field(8, ge=1, le=256, description="photos of one micro-batch at most")
    threads: int | None = Field(None, ge=1, description="threads that compute; as many as there are CPUs")
    decoders: int | None = Field(None, ge=1, le=64, description="processes that decode; as many as there are CPUs")
    recycle: int = Field(2000, ge=1, description="photos after which a decoding process is replaced")

    default_model: str = Field("places100", description="the model that answers where none is named")
    models: Listed = Field((), description="the only models that may be asked, by name; empty for all in the store")
    memory_mb: int = Field(1500, ge=64, description="memory for models of one process; the least used leave")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="what models compute in")

    landmarks: str | None = Field(None, description="the index of landmarks that may be asked, by name or file")

    max_upload_mb: float = Field(20, gt=0, le=1024, description="the largest photo")
    max_batch_files: int = Field(32, ge=1, le=1000, description="photos of one batch")
    max_batch_mb: float = Field(100, gt=0, le=16384, description="all photos of one batch together")
    max_megapixels: int = Field(100, ge=1, le=1000, description="the largest photo, in million pixels")
    decode_seconds: float = Field(10, gt=0, description="the longest decoding of one photo")
    decode_memory_mb: int = Field(512, ge=32, description="memory that decoding one photo may take")
    upload_seconds: float = Field(30, gt=0, description="the longest upload of one photo")
    answer_seconds: float = Field(60, gt=0, description="the longest wait for an answer, a cold model's start included")

    fetch: bool = Field(True, description="whether photos may be given by URL")
    fetch_seconds: float = Field(15, gt=0, description="the longest download of a photo")
    proxy: str | None = Field(None, description="the one proxy for downloads, http://host:port")

    api_keys: Listed = Field((), repr=False, description="keys that may ask; empty for everybody")
    api_keys_file: Path | None = Field(None, description="a file with one key a line, beside those above")
    rate_limit: str | None = Field(None, description="requests about photos from one key or address, as 60/minute")
    cors_origins: Listed = Field((), description="other pages that may ask, as https://example.org")
    forwarded_allow_ips: str = Field("127.0.0.1", description="proxies whose X-Forwarded-For counts")

    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="structured lines, or lines for people; auto: these on a terminal"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is told")
    metrics: bool = Field(True, description="whether /metrics answers")
    graceful_seconds: float = Field(20, ge=0, description="how long answers under way may take when the server stops")
    connections: int = Field(1024, ge=8, description="connections at a time")

    @field_validator("models", "api_keys", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("landmarks")
    @classmethod
    def _none_where_empty(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("rate_limit")
    @classmethod
    def _check_rate(cls, value: str | None) -> str | None:
        if not value:
            return None
        try:
            Rate.parse(value)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return value

    @model_validator(mode="after")
    def _check_batch(self) -> Self:
        if self.max_batch_mb < self.max_upload_mb:
            raise ValueError("a batch must have room for one photo: max_batch_mb is below max_upload_mb")
        if self.models and self.default_model not in self.models:
            raise ValueError(f"the default model {self.default_model} is none of the models that may be asked")
        return self

    @classmethod
    def read(cls, **given: object) -> Settings:
        """The settings of the environment, with those that are given in their place.

        Raises UsageError, naming the variable and what it takes.
        """
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            told = f"{PREFIX}{name.upper()}" if name else "The settings"
            reason = str(first["msg"]).removeprefix("Value error, ")
            shown = "" if name in ("", "api_keys") else f" is {first['input']!r:.100} and"
            raise UsageError(f"{told}{shown} can't be used: {reason}; docs/serving.md lists all settings.") from error

    @property
    def max_upload_bytes(self) -> int:
        return int(self.max_upload_mb * 2**20)

    @property
    def max_batch_bytes(self) -> int:
        return int(self.max_batch_mb * 2**20)

    @property
    def computing_threads(self) -> int:
        return self.threads or max(1, available_threads() // self.workers)

    @property
    def decoding_processes(self) -> int:
        return self.decoders or max(1, available_threads() // self.workers)

    @property
    def photo_limits(self) -> Limits:
        """What decoding one photo may cost."""
        return Limits(
            max_bytes=self.max_upload_bytes,
            max_pixels=self.max_megapixels * 1_000_000,
            max_seconds=self.decode_seconds,
            max_memory=self.decode_memory_mb * 2**20,
        )

    @property
    def fetch_limits(self) -> FetchLimits:
        """What one download may cost. Nothing is tried twice: a person waits, who can."""
        return FetchLimits(
            received_bytes=self.max_upload_bytes,
            decoded_bytes=self.max_upload_bytes,
            connect_seconds=min(5.0, self.fetch_seconds),
            read_seconds=min(10.0, self.fetch_seconds),
            total_seconds=self.fetch_seconds,
            retries=0,
            longest_wait=0,
        )

    def all_keys(self) -> tuple[str, ...]:
        """The API keys of the variable and of the file. Raises UsageError where the file can't be read."""
        if self.api_keys_file is None:
            return self.api_keys
        try:
            lines = self.api_keys_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{self.api_keys_file}: the API keys can't be read; give a file with one a line."
            ) from error
        keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not keys:
            # Without a key everybody may ask, which is not what somebody meant who gave a file of keys.
            raise UsageError(f"{self.api_keys_file}: holds no API key; write one a line.")
        return (*self.api_keys, *keys)


def names_in_environment() -> list[str]:
    """Variables that begin with the prefix and are no setting: a slip of the pen would otherwise do nothing, unsaid."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
