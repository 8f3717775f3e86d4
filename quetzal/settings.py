"""Every option of the service, once: environment (``QUETZAL_…``), ``quetzal.toml``, or a flag."""

import os
import re
from functools import cache
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

CONFIGURATION_FILE = "quetzal.toml"
PREFIX = "QUETZAL_"
_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx|inproc)://.+:\d+(/.*)?|inproc://.+")
_MEMORY = re.compile(r"auto|0|0?\.\d+|1(\.0*)?|\d+(\.\d+)?\s*[kMGTP]?i?B", re.IGNORECASE)


class Settings(BaseSettings):
    """Options with their defaults; the CLI's help and the reference are made from this model."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, toml_file=CONFIGURATION_FILE, extra="forbid")

    workspace: Path = Field(Path(), description="Folder that holds surveys/, results/ and reports/.")
    workers: int = Field(1, ge=1, description="Dask worker processes of the local cluster.")
    threads: int | None = Field(
        None, ge=1, description="Threads a worker; by default the cores are shared out."
    )
    memory_limit: str = Field(
        "auto", description="Memory a worker may use, in Dask's words: 4GiB, 0.5, auto."
    )
    dashboard_port: int = Field(
        8787, ge=0, le=65535, description="Port of Dask's dashboard on loopback; a free one when taken or 0."
    )
    scheduler: str | None = Field(
        None, description="Address of a running Dask scheduler to use instead of a local cluster."
    )

    @field_validator("memory_limit")
    @classmethod
    def _readable_memory(cls, limit: str) -> str:
        if not _MEMORY.fullmatch(limit.strip()):
            raise ValueError("must be auto, a share of the memory such as 0.5, or a size such as 4GiB")
        return limit

    @field_validator("scheduler")
    @classmethod
    def _whole_address(cls, address: str | None) -> str | None:
        if address is not None and not _ADDRESS.fullmatch(address):
            raise ValueError("must be an address such as tcp://10.0.0.5:8786")
        return address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let flags win over the environment, and the environment over the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def threads_per_worker(self) -> int:
        """Threads of one worker: as asked, or this process's share of the cores."""
        return self.threads or max(1, available_cores() // self.workers)


def available_cores() -> int:
    """Cores this process may use (affinity and container limits, where the system tells)."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


@cache
def description_of(field: str) -> str:
    """Help text of an option, for the CLI."""
    return Settings.model_fields[field].description or ""
