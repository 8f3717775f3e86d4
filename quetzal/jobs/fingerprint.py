"""The fingerprint of a job: the same request has the same one, on any machine."""

import hashlib
import json
from collections.abc import Mapping

from pipelines.registry import Parameters, Pipeline


def fingerprint(pipeline: Pipeline, inputs: Mapping[str, str], parameters: Parameters) -> str:
    """Hash what determines a result.

    Parameters
    ----------
    pipeline : Pipeline
        Gives the name and the code version.
    inputs : mapping
        Snapshot id of each input dataset.
    parameters : Parameters
        Validated parameters; defaults are part of the hash, so that asking for a default by name
        is the same request.

    Returns
    -------
    str
        64 hexadecimal digits (SHA-256).
    """
    request = {
        "pipeline": pipeline.name,
        "code_version": pipeline.code_version,
        "inputs": dict(inputs),
        "parameters": parameters.model_dump(mode="json"),
    }
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
