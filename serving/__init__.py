"""What every variant shares: the web application around a model."""

import sys

# OpenVINO tells its makers of every import, and complains where it cannot; without this module it does neither.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
