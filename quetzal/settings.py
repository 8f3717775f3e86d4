"""Every option of the service, once: environment (``QUETZAL_…``), ``quetzal.toml``, or a flag."""

import os
from functools import cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

CONFIGURATION_FILE = "quetzal.toml"


class Settings(BaseSettings):
    """Options with their defaults; the CLI's help and the reference are made from this model."""

    model_config = SettingsConfigDict(env_prefix="QUETZAL_", toml_file=CONFIGURATION_FILE, extra="ignore")

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
